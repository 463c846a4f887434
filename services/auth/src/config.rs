//! What can be set about the auth service.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::BuildError;

/// The section `auth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// How long a token is good.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub token_lives_for: Duration,
    /// A refused credential is answered after a multiple of this, so that the time tells nothing (LI-2); 0 answers at
    /// once.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub refusals_every: Duration,
    /// How secrets are hashed.
    pub hashing: HashingConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            token_lives_for: Duration::from_secs(3600),
            refusals_every: Duration::from_millis(100),
            hashing: HashingConfig::default(),
        }
    }
}

impl AuthConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.token_lives_for < Duration::from_secs(1) {
            return Err(BuildError::Config("token_lives_for must be at least 1s"));
        }
        Ok(())
    }
}

/// The section `auth.hashing`: argon2id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HashingConfig {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes at once; 0 is one for each processor.
    pub concurrency: usize,
    /// Requests that may wait for their turn; those beyond it are refused.
    pub waiting: usize,
}

impl Default for HashingConfig {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1, concurrency: 0, waiting: 256 }
    }
}
