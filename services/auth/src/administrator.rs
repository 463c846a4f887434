//! The first administrator of a cluster.

use roamline_domain::PrincipalName;
use roamline_domain::credential::PrincipalKind;
use roamline_store::{Principal, SecretRecord};
use secrecy::SecretString;

use crate::Service;
use crate::error::BuildError;

/// 32 characters that are not taken for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a password: 140 bits.
const LENGTH: usize = 28;

impl Service {
    pub(crate) async fn ensure_administrator(
        &self,
        name: &PrincipalName,
        password: &SecretString,
    ) -> Result<bool, BuildError> {
        if self.store.principal(name).await?.is_some() {
            return Ok(false);
        }
        let place = self.hasher.admit(None).map_err(BuildError::Hashing)?;
        let hash = self.hasher.hash(&place, password.clone()).await.map_err(BuildError::Hashing)?;
        let administrator = Principal {
            password: Some(SecretRecord::new(hash, false, self.clock.now())),
            ..Principal::new(name.clone(), PrincipalKind::Administrator)
        };
        Ok(self.store.set_principals(vec![administrator]).await?)
    }
}

/// A password of 28 characters that are not taken for one another: 140 random bits.
///
/// # Errors
/// When the source of randomness fails.
pub fn random_password() -> Result<SecretString, BuildError> {
    let mut bytes = [0_u8; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| BuildError::Randomness)?;
    let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    Ok(SecretString::from(letters.map(|letter| char::from(*letter)).collect::<String>()))
}
