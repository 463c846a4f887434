//! Signing keys in files that the operator names: the first one whose key is not refused signs, all of them are published.
//! The kid is made from the public key, so that replicas that have the same files say the same.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use jiff::Timestamp;
use roamline_store::KeyRecord;
use roamline_token::public_key;
use secrecy::zeroize::Zeroizing;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::error::BuildError;
use crate::hex;

/// The keys of these files, as a store would have them: the current one, the next one, and the others as previous ones.
/// Keys that are `refused` are left out.
///
/// # Errors
/// When a file is not there or has no such key, or none is left.
pub(crate) async fn records(
    files: &[PathBuf],
    refused: impl Fn(&str) -> bool,
) -> Result<Vec<KeyRecord>, BuildError> {
    let mut records = Vec::<KeyRecord>::with_capacity(files.len());
    for file in files {
        let (kid, pkcs8) = key(file).await?;
        if records.iter().any(|record| record.kid == kid) {
            return Err(wrong(file, "has the key of a file before it"));
        }
        if !refused(&kid) {
            let place = i64::try_from(records.len()).unwrap_or(i64::MAX);
            records.push(KeyRecord {
                kid,
                pkcs8,
                created_at: Timestamp::UNIX_EPOCH,
                signs_from: (place != 1).then_some(Timestamp::UNIX_EPOCH),
                // The order of the files is that of the previous ones.
                retired_at: Timestamp::from_second(-place).ok().filter(|_| place > 1),
            });
        }
    }
    match files.last() {
        Some(last) if records.is_empty() => {
            Err(wrong(last, "is the last key, and refused: name another one before it"))
        }
        _ => Ok(records),
    }
}

/// The kid and the key of a file.
async fn key(file: &Path) -> Result<(String, Vec<u8>), BuildError> {
    let text = tokio::fs::read(file).await.map_err(|error| wrong(file, &error.to_string()))?;
    let text = Zeroizing::new(text);
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text)
        .map_err(|_| wrong(file, "has no private key in PKCS#8 (BEGIN PRIVATE KEY)"))?;
    let pkcs8 = key.secret_pkcs8_der().to_vec();
    let public = public_key("", &pkcs8).map_err(|_| wrong(file, "has no key of the curve P-256"))?;
    let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, public.x, public.y);
    Ok((hex::encode(digest::digest(&digest::SHA256, thumbprint.as_bytes()).as_ref()), pkcs8))
}

fn wrong(file: &Path, why: &str) -> BuildError {
    BuildError::KeyFile(file.to_owned(), why.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ED25519};

    use super::*;

    fn pem() -> String {
        KeyPair::generate().unwrap().serialize_pem()
    }

    async fn why(files: &[PathBuf]) -> String {
        records(files, |_| false).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn the_first_file_signs_the_second_is_next_and_the_rest_are_previous() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..4).map(|number| folder.path().join(format!("key{number}.pem"))).collect();
        for file in &files {
            std::fs::write(file, pem()).unwrap();
        }
        let all = records(&files, |_| false).await.unwrap();
        let place = |record: &KeyRecord| (record.signs_from.is_some(), record.retired_at.is_some());
        let places: Vec<_> = all.iter().map(place).collect();
        assert_eq!(places, [(true, false), (false, false), (true, true), (true, true)]);
        assert!(all[2].retired_at > all[3].retired_at, "the later the file, the earlier it was retired");
        assert_eq!(records(&files, |_| false).await.unwrap(), all, "a kid depends on its key alone");

        let left = records(&files, |kid| kid == all[0].kid).await.unwrap();
        assert_eq!(
            (&left[0].kid, place(&left[0])),
            (&all[1].kid, (true, false)),
            "the next one that is not refused"
        );
        let none = records(&files, |_| true).await.unwrap_err().to_string();
        assert!(none.contains("key3.pem"), "{none}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = file("good.pem", &pem());
        let twice = file("twice.pem", &std::fs::read_to_string(&good).unwrap());
        for (second, says) in [
            (folder.path().join("absent.pem"), "absent.pem: No such file"),
            (file("empty.pem", ""), "empty.pem: has no private key in PKCS#8"),
            (
                file("other.pem", KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem().as_str()),
                "other.pem: has no key of the curve P-256",
            ),
            (twice, "twice.pem: has the key of a file before it"),
        ] {
            let told = why(&[good.clone(), second]).await;
            assert!(told.starts_with("auth.tokens.key_files: ") && told.contains(says), "{told}");
        }
    }
}
