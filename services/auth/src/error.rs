//! What can go wrong, in this service's own words.

use std::time::Duration;

use std::path::PathBuf;

use roamline_domain::credential::{MustChange, PrincipalKind};
use roamline_domain::{PrincipalName, Violations};
use roamline_store::StoreError;

use crate::hashing::HashingError;

/// A service that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting that cannot be.
    #[error("auth.{0}")]
    Config(&'static str),
    /// Parameters that argon2 does not take.
    #[error("auth.hashing: {0}")]
    Parameters(argon2::Error),
    /// No secret can be hashed.
    #[error("secrets cannot be hashed")]
    Hashing(#[source] HashingError),
    /// The file that encrypts signing keys cannot be used.
    #[error("auth.tokens.key_encryption_file: {}: {}", .0.display(), .1)]
    KeyEncryption(PathBuf, String),
    /// A file with a signing key cannot be used.
    #[error("auth.tokens.key_files: {}: {}", .0.display(), .1)]
    KeyFile(PathBuf, String),
    /// The file with the secrets of services cannot be used.
    #[error("auth.services.secret_file: {}: {}", .0.display(), .1)]
    ServiceSecrets(PathBuf, String),
    /// The keys in the store are none, or none can be made, or they are encrypted with another key.
    #[error("the signing key {0} is not usable")]
    Key(String),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// The store failed.
    #[error("credentials cannot be read or written")]
    Store(#[from] StoreError),
}

/// A request that is refused, or a fault that keeps it from being answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// The request is malformed.
    #[error("the request is malformed: {0}")]
    Malformed(Violations),
    /// Unknown, locked or wrong; nobody is told which.
    #[error("the credential is refused")]
    Refused,
    /// A refresh token that is unknown, spent, expired or revoked.
    #[error("the refresh token is good no more")]
    RefreshRefused,
    /// Right, but not to be used before it is changed.
    #[error("the credential must be changed before it is used")]
    MustChange(MustChange),
    /// New secrets that break the policy.
    #[error("the new credential is too weak: {0}")]
    TooWeak(Violations),
    /// New credentials that break another rule.
    #[error("the credentials cannot be set: {0}")]
    Invalid(Violations),
    /// Names that credentials of another kind have (DP-16); the kind is that of the first.
    #[error("a name is taken: {0}")]
    Exists(Violations, PrincipalKind),
    /// Nobody of that name has a credential; told to those who may know alone.
    #[error("{0} has no credential")]
    Unknown(PrincipalName),
    /// More to hash than can wait; when to come back.
    #[error("too many requests at once")]
    Busy(Duration),
    /// Too many failures from there; when the next try is looked at.
    #[error("too many failures")]
    Throttled(Duration),
    /// The same credential is changed by too many at once.
    #[error("the credential is being changed by others")]
    Contended,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Hashing or signing failed.
    #[error("{0}")]
    Fault(&'static str),
}

impl From<HashingError> for AuthError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy(wait) => Self::Busy(wait),
            HashingError::Failed => Self::Fault("a secret cannot be hashed"),
        }
    }
}

impl From<AuthError> for BuildError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(error) => Self::Store(error),
            _ => Self::Key("current".to_owned()),
        }
    }
}
