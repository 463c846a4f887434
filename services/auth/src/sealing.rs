//! Signing keys at rest: AES-256-GCM with a key that the operator names, bound to the kid.
//!
//! What is kept is a byte that says the version, 12 bytes of nonce, and the sealed key. A key that was kept as it is begins
//! with another byte, as all DER does, so that it is found when an operator begins to encrypt.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::zeroize::Zeroizing;

use crate::error::BuildError;

/// The first byte of what is sealed.
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;

/// The operator's keys: the first one seals, each opens. Without any, keys are kept as they are.
#[derive(Default)]
pub(crate) struct Sealing(Vec<LessSafeKey>);

impl Sealing {
    /// Those of a file; none where no file is named.
    pub(crate) async fn load(file: &Path) -> Result<Self, BuildError> {
        if file.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let wrong = |why: String| BuildError::KeyEncryption(file.to_owned(), why);
        let text = tokio::fs::read_to_string(file).await.map_err(|error| wrong(error.to_string()))?;
        let text = Zeroizing::new(text);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(key).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(wrong("must have a line of 64 hexadecimal digits".into())),
        }
    }

    /// Whether keys are encrypted.
    pub(crate) fn is_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is kept of a key; `None` where it cannot be sealed.
    pub(crate) fn seal(&self, kid: &str, pkcs8: Vec<u8>) -> Option<Vec<u8>> {
        let Some(key) = self.0.first() else { return Some(pkcs8) };
        let mut nonce = [0_u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut sealed = pkcs8;
        let bound = Aad::from(bound_to(kid));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed).ok()?;
        Some([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// The key of what is kept, and whether the first of the operator's keys has sealed it; `None` where none of them has,
    /// or it is not this kid's.
    pub(crate) fn open(&self, kid: &str, kept: &[u8]) -> Option<(Zeroizing<Vec<u8>>, bool)> {
        let Some((&VERSION, rest)) = kept.split_first() else {
            return Some((Zeroizing::new(kept.to_vec()), !self.is_on()));
        };
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        self.0.iter().enumerate().find_map(|(place, key)| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut opened = Zeroizing::new(sealed.to_vec());
            let length = key.open_in_place(nonce, Aad::from(bound_to(kid)), &mut opened).ok()?.len();
            opened.truncate(length);
            Some((opened, place == 0))
        })
    }
}

fn bound_to(kid: &str) -> Vec<u8> {
    [b"roamline signing key 1 ".as_slice(), kid.as_bytes()].concat()
}

fn key(line: &str) -> Option<LessSafeKey> {
    let bytes = Zeroizing::new(crate::hex::decode(line).filter(|bytes| bytes.len() == KEY_BYTES)?);
    UnboundKey::new(&AES_256_GCM, &bytes).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(lines: &[&str]) -> Sealing {
        Sealing(lines.iter().map(|line| key(line).unwrap()).collect())
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_key_for_its_kid_alone() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let sealed = sealing(&[&old]).seal("a", vec![0x30, 1, 2, 3]).unwrap();
        assert!(!sealed.windows(3).any(|part| part == [1, 2, 3]));
        let opened =
            |sealing: &Sealing, kid| sealing.open(kid, &sealed).map(|(key, first)| (key.to_vec(), first));
        assert_eq!(opened(&sealing(&[&old]), "a"), Some((vec![0x30, 1, 2, 3], true)));
        assert_eq!(opened(&sealing(&[&new, &old]), "a"), Some((vec![0x30, 1, 2, 3], false)));
        assert_eq!(opened(&sealing(&[&old]), "b"), None);
        assert_eq!(opened(&sealing(&[&new]), "a"), None);
        assert_eq!(opened(&Sealing::default(), "a"), None);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            let opened = sealing(&[&old]).open("a", &changed);
            assert!(opened.is_none_or(|(key, current)| place == 0 && !current && key.len() > 4), "{place}");
        }
        assert!(sealing(&[&old]).open("a", &sealed[..5]).is_none());
    }

    #[test]
    fn a_key_that_was_kept_as_it_is_is_found_and_to_be_sealed() {
        let plain = vec![0x30, 1, 2, 3];
        let (opened, current) = sealing(&[&"11".repeat(32)]).open("a", &plain).unwrap();
        assert_eq!((opened.to_vec(), current), (plain.clone(), false));
        assert_eq!(Sealing::default().seal("a", plain.clone()).unwrap(), plain);
        assert!(Sealing::default().open("a", &plain).unwrap().1);
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_key() {
        for bad in ["", "11", &"1g".repeat(32), &"11".repeat(33), &"é".repeat(32)] {
            assert!(key(bad).is_none(), "{bad}");
        }
    }
}
