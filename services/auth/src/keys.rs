//! The signing keys: the current one signs, the next is published already so that verifiers know it when it does.

use jiff::Timestamp;
use roamline_proto::auth::JsonWebKey;
use roamline_serve::Ids;
use roamline_store::{CredentialStore, KeyRecord};
use roamline_token::{Signer, generate_key, public_key};

use crate::error::BuildError;

pub(crate) struct Keys {
    signer: Signer,
    published: Vec<JsonWebKey>,
}

impl Keys {
    /// The keys of the store; two new ones if it has none.
    pub(crate) async fn ensure(
        store: &dyn CredentialStore,
        issuer: &str,
        now: Timestamp,
        ids: &Ids,
    ) -> Result<Self, BuildError> {
        let mut keys = store.keys().await?;
        if keys.is_empty() {
            keys = store.ensure_keys(vec![new_key(now, ids)?, new_key(now, ids)?]).await?;
        }
        let unusable = |key: &KeyRecord| BuildError::Key(key.kid.clone());
        let current = keys.first().ok_or_else(|| BuildError::Key("current".to_owned()))?;
        let signer =
            Signer::new(issuer, issuer, &current.kid, &current.pkcs8).map_err(|_| unusable(current))?;
        let published = keys
            .iter()
            .map(|key| public_key(&key.kid, &key.pkcs8).map_err(|_| unusable(key)))
            .collect::<Result<_, _>>()?;
        Ok(Self { signer, published })
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// All public keys, the current one first.
    pub(crate) fn published(&self) -> &[JsonWebKey] {
        &self.published
    }
}

fn new_key(now: Timestamp, ids: &Ids) -> Result<KeyRecord, BuildError> {
    let pkcs8 = generate_key().map_err(|_| BuildError::Randomness)?;
    Ok(KeyRecord { kid: ids.opaque(), pkcs8, created_at: now })
}
