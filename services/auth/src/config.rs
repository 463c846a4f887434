//! What can be set about the auth service.

use std::time::Duration;

use roamline_domain::credential::CredentialPolicy;
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
    /// What a secret must be, and when it is locked (SP-14).
    pub policy: PolicyConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            token_lives_for: Duration::from_secs(3600),
            refusals_every: Duration::from_millis(100),
            hashing: HashingConfig::default(),
            policy: PolicyConfig::default(),
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

/// The section `auth.policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Failures before lockout; 0 is without limit.
    pub failures_before_lockout: u32,
    /// Failures further apart than this do not add up.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub failures_reset_after: Duration,
    /// How long a lockout lasts.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub lockout_for: Duration,
    /// Least length of a PIN.
    pub least_pin_length: usize,
    /// Least length of a password.
    pub least_password_length: usize,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        let policy = CredentialPolicy::default();
        Self {
            failures_before_lockout: policy.failures_before_lockout,
            failures_reset_after: policy.failures_reset_after,
            lockout_for: policy.lockout_for,
            least_pin_length: policy.least_pin_length,
            least_password_length: policy.least_password_length,
        }
    }
}

impl PolicyConfig {
    pub(crate) fn to_domain(&self) -> CredentialPolicy {
        CredentialPolicy {
            failures_before_lockout: self.failures_before_lockout,
            failures_reset_after: self.failures_reset_after,
            lockout_for: self.lockout_for,
            least_pin_length: self.least_pin_length,
            least_password_length: self.least_password_length,
        }
    }
}
