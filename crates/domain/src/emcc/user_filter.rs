//! The compact, salted filter of the users that a cluster is home to (XC-1): with the filters of its peers, a cluster asks
//! one of them about a user who has a home, and hardly ever anybody about one who has none.
//!
//! It is a Bloom filter whose bits are written down in the contract (`UserFilter`), so that clusters of any release agree
//! on them. What a peer sends is not trusted: any bytes can be asked, and a filter that says yes to many strangers is
//! refused, since the credentials of mistyped users would be sent to it.

use sha2::{Digest, Sha256};

/// The algorithm of this module, as the contract numbers it.
pub const ALGORITHM: u32 = 1;
/// Bytes of salt.
pub const SALT_BYTES: usize = 16;
/// The most bytes of bits, so that a filter fits a message.
pub const MOST_BYTES: usize = (1 << 20) - 1024;

/// Bits for each user and how many of them he sets: one in 100,000 others is taken for a user.
const BITS_PER_USER: usize = 32;
const HASHES: u32 = 16;
const MOST_HASHES: u32 = 32;
const LEAST_BYTES: usize = 8;
/// Of strangers, as many as a peer's filter may take for users.
const MOST_TAKEN: f64 = 0.001;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFilter {
    salt: Vec<u8>,
    hashes: u32,
    bits: Vec<u8>,
    users: u32,
}

/// Why a filter of a peer is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterRefused {
    /// Of a later release.
    #[error("its algorithm is not known")]
    Algorithm,
    /// A salt, bits or hashes of a size that cannot be.
    #[error("its salt, its bits or the number of its hashes is out of range")]
    Size,
    /// It would take more than one stranger in 1,000 for a user.
    #[error("it would take more than one stranger in 1,000 for a user")]
    TooFull,
}

impl UserFilter {
    /// The filter of these users.
    pub fn of<'a>(salt: [u8; SALT_BYTES], users: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let number = users.len();
        let bytes = (number.saturating_mul(BITS_PER_USER) / 8).clamp(LEAST_BYTES, MOST_BYTES);
        let mut filter = Self {
            salt: salt.to_vec(),
            hashes: HASHES,
            bits: vec![0; bytes],
            users: u32::try_from(number).unwrap_or(u32::MAX),
        };
        for user in users {
            let places: Vec<_> = filter.places(user).collect();
            for (byte, bit) in places {
                if let Some(byte) = filter.bits.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        filter
    }

    /// A filter as a peer sent it.
    ///
    /// # Errors
    /// Why it is not used: every user is asked for then.
    pub fn read(
        algorithm: u32,
        salt: Vec<u8>,
        hashes: u32,
        bits: Vec<u8>,
        users: u32,
    ) -> Result<Self, FilterRefused> {
        if algorithm != ALGORITHM {
            return Err(FilterRefused::Algorithm);
        }
        let sizes = salt.len() == SALT_BYTES
            && (LEAST_BYTES..=MOST_BYTES).contains(&bits.len())
            && (1..=MOST_HASHES).contains(&hashes);
        if !sizes {
            return Err(FilterRefused::Size);
        }
        let set: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
        let full = f64::from(set) / (bits.len() as f64 * 8.0);
        if full.powf(f64::from(hashes)) > MOST_TAKEN {
            return Err(FilterRefused::TooFull);
        }
        Ok(Self { salt, hashes, bits, users })
    }

    /// Whether the user may be one of them; never `false` for one who is.
    pub fn may_have(&self, user: &str) -> bool {
        self.users > 0
            && self.places(user).all(|(byte, bit)| self.bits.get(byte).is_some_and(|set| set & bit != 0))
    }

    /// Salt, hashes, bits and how many users are in it, for the wire.
    pub fn parts(&self) -> (&[u8], u32, &[u8], u32) {
        (&self.salt, self.hashes, &self.bits, self.users)
    }

    /// How many users are in it, by its own word.
    pub fn users(&self) -> u32 {
        self.users
    }

    /// Byte and bit of each hash.
    fn places(&self, user: &str) -> impl Iterator<Item = (usize, u8)> + use<> {
        let digest = Sha256::new().chain_update(&self.salt).chain_update(user).finalize();
        let word =
            |at: usize| digest.iter().skip(at).take(8).fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        let (first, step) = (word(0), word(8) | 1);
        let bits = self.bits.len().max(1) as u64 * 8;
        (0..u64::from(self.hashes)).map(move |n| {
            let bit = first.wrapping_add(n.wrapping_mul(step)) % bits;
            (usize::try_from(bit / 8).unwrap_or_default(), 1 << (bit % 8))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: [u8; 16] = *b"0123456789abcdef";

    fn of(users: &[String]) -> UserFilter {
        UserFilter::of(SALT, users.iter().map(String::as_str))
    }

    #[test]
    fn xc_1_the_bits_are_those_that_the_contract_says() {
        // Computed by another program, from the words of the contract.
        let users = ["1001".to_owned()];
        let filter = of(&users);
        assert_eq!(filter.bits, [0x88, 0x10, 0x11, 0x21, 0x22, 0x42, 0x44, 0x8c]);
    }

    #[test]
    fn xc_1_of_20000_strangers_few_are_taken_for_users() {
        let users: Vec<_> = (0..1_000).map(|n| format!("user{n}")).collect();
        let filter = of(&users);
        let taken = (0..20_000).filter(|n| filter.may_have(&format!("stranger{n}"))).count();
        assert!(taken <= 3, "{taken}");
    }

    #[test]
    fn a_filter_that_says_yes_to_everybody_is_refused() {
        let read = |hashes, bits| UserFilter::read(1, SALT.to_vec(), hashes, bits, 1);
        assert_eq!(read(16, vec![0xff; 64]), Err(FilterRefused::TooFull));
        assert_eq!(read(1, vec![0x01; 64]), Err(FilterRefused::TooFull));
        assert!(read(16, vec![0x0f; 64]).is_ok());
        assert_eq!(read(0, vec![0; 64]), Err(FilterRefused::Size));
        assert_eq!(read(16, vec![]), Err(FilterRefused::Size));
        assert_eq!(read(16, vec![0; MOST_BYTES + 1]), Err(FilterRefused::Size));
        assert_eq!(UserFilter::read(2, SALT.to_vec(), 16, vec![0; 64], 1), Err(FilterRefused::Algorithm));
        assert_eq!(UserFilter::read(1, vec![], 16, vec![0; 64], 1), Err(FilterRefused::Size));
    }

    proptest! {
        #[test]
        fn xc_1_whoever_is_in_it_is_found(users in proptest::collection::vec("[a-z0-9.]{1,20}", 0..60)) {
            let filter = of(&users);
            let (salt, hashes, bits, number) = filter.parts();
            let read = UserFilter::read(ALGORITHM, salt.to_vec(), hashes, bits.to_vec(), number).unwrap();
            prop_assert!(users.iter().all(|user| read.may_have(user)));
        }

        #[test]
        fn any_bits_can_be_asked(
            salt in proptest::collection::vec(any::<u8>(), 0..20), hashes in 0..40_u32,
            bits in proptest::collection::vec(any::<u8>(), 0..64), user in "\\PC{0,20}",
        ) {
            if let Ok(filter) = UserFilter::read(1, salt, hashes, bits, 5) {
                filter.may_have(&user);
            }
        }
    }
}
