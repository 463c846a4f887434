//! Credentials and signing keys.

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::PrincipalName;
use roamline_domain::credential::{Attempts, PrincipalKind};

use crate::StoreError;

/// One secret of a principal, hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// PHC string of the hash.
    pub hash: String,
    /// Whether the owner must change it before he uses it.
    pub must_change: bool,
    /// When it was set.
    pub set_at: Timestamp,
}

impl std::fmt::Debug for SecretRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretRecord")
            .field("must_change", &self.must_change)
            .field("set_at", &self.set_at)
            .finish_non_exhaustive()
    }
}

/// Whoever has a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Unique over all kinds (DP-16).
    pub name: PrincipalName,
    /// Whose it is.
    pub kind: PrincipalKind,
    /// His PIN.
    pub pin: Option<SecretRecord>,
    /// His password.
    pub password: Option<SecretRecord>,
    /// What has happened to his credentials lately; both secrets share it.
    pub attempts: Attempts,
    /// 0 before the first commit; the store makes it one more at each.
    pub version: u64,
}

/// A key that signs tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Key id.
    pub kid: String,
    /// Private key, PKCS#8 DER.
    pub pkcs8: Vec<u8>,
    /// When it was made; the oldest signs.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRecord").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Credentials and signing keys of a cluster.
#[async_trait]
pub trait CredentialStore: Send + Sync + 'static {
    /// The principal of that name.
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError>;

    /// Writes all of these, or none, in one step that survives the process, if each still has the version it carries
    /// (0: there is none of that name). Returns false, with nothing written, when one has moved.
    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError>;

    /// All signing keys, the oldest first; keys of the same instant by kid.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// Adds these keys if there are none at all yet, in one step; of two processes that start at once, one does.
    /// Returns the keys that hold then.
    async fn ensure_keys(&self, keys: Vec<KeyRecord>) -> Result<Vec<KeyRecord>, StoreError>;
}
