//! Ids, made at the edge and handed down as arguments.

use jiff::Timestamp;
use ulid::Ulid;

/// Makes ids from the system's randomness.
#[derive(Clone, Debug, Default)]
pub struct Ids(());

impl Ids {
    /// A source of ids.
    pub fn new() -> Self {
        Self(())
    }

    /// A session id: a ULID with the time of `now` (milliseconds; 1970 for anything before) and 80 random bits.
    pub fn session_id(&self, now: Timestamp) -> String {
        let millisecond = u64::try_from(now.as_millisecond()).unwrap_or_default();
        Ulid::from_parts(millisecond, u128::from_be_bytes(random())).to_string()
    }

    /// An id that says nothing: 128 random bits as 32 hexadecimal digits.
    pub fn opaque(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(random()))
    }
}

/// Random bytes. A process that has no randomness can keep no promise about ids and ends.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::error!("the system gives no randomness");
        std::process::abort();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn session_ids_are_unique_and_ordered_by_time() {
        let ids = Ids::new();
        let at = |second| ids.session_id(Timestamp::from_second(second).unwrap());
        assert!(at(1_000) < at(2_000));
        let many: BTreeSet<_> = (0..1_000).map(|_| at(1_000)).collect();
        assert_eq!(many.len(), 1_000);
        assert!(many.iter().all(|id| id.len() == 26));
        assert_eq!(ids.opaque().len(), 32);
    }
}
