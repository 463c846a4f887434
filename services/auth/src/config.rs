//! What can be set about the auth service.

use std::time::Duration;

use ipnet::IpNet;
use roamline_domain::credential::Allowance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::BuildError;
use crate::token_config::{ServicesConfig, TokensConfig};

/// The longest life of a token at any replica, whatever it is set to here.
pub(crate) const TOKEN_LIVES_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// The section `auth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// How long a token is good, at most 24h.
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
    /// How many failures are borne.
    pub throttle: ThrottleConfig,
    /// Refresh tokens and keys.
    pub tokens: TokensConfig,
    /// Who is a service.
    pub services: ServicesConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            token_lives_for: Duration::from_secs(3600),
            refusals_every: Duration::from_millis(100),
            hashing: HashingConfig::default(),
            tokens: TokensConfig::default(),
            services: ServicesConfig::default(),
            throttle: ThrottleConfig::default(),
        }
    }
}

impl AuthConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.token_lives_for < Duration::from_secs(1) {
            return Err(BuildError::Config("token_lives_for must be at least 1s"));
        }
        if self.token_lives_for > TOKEN_LIVES_AT_MOST {
            return Err(BuildError::Config("token_lives_for must be at most 24h"));
        }
        let ThrottleConfig { by_source, by_user, by_phone, .. } = &self.throttle;
        if [by_source, by_user, by_phone].iter().any(|limit| limit.failures > 0 && limit.a_minute == 0) {
            return Err(BuildError::Config("throttle: a_minute must be at least 1"));
        }
        self.tokens.check()?;
        self.services.check()
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
    /// Hashes at once; 0 is one for each processor on Linux, where they give way to everything else, and one less
    /// elsewhere.
    pub concurrency: usize,
    /// Requests that may wait for their turn, three in four of them from one address; those beyond it are told when to
    /// come back.
    pub waiting: usize,
}

impl Default for HashingConfig {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1, concurrency: 0, waiting: 256 }
    }
}

/// The section `auth.throttle`: credentials that fail are counted by where they come from; those that are right are not.
/// Whoever is over a limit is refused unseen until he may try again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThrottleConfig {
    /// Failures from one address (of IPv6, one network of 64 bits). Opaque tokens that their issuer refuses are counted in
    /// the same way, by themselves and in each process.
    pub by_source: Limit,
    /// Failures for one name from one address.
    pub by_user: Limit,
    /// Failures at one phone from one address.
    pub by_phone: Limit,
    /// Addresses that `by_source` does not hold for, in CIDR notation: those that many come from whom nothing else tells
    /// apart. Of IPv6, an address is exempt with its network of 64 bits.
    #[schemars(with = "Vec<String>")]
    pub exempt: Vec<IpNet>,
    /// Whether a lockout spares the addresses, at most four, from which its owner has proven himself within 30 days; their
    /// failures lock them by themselves.
    pub lockout_spares_known_sources: bool,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            by_source: Limit { failures: 300, a_minute: 60 },
            by_user: Limit { failures: 20, a_minute: 2 },
            by_phone: Limit { failures: 100, a_minute: 10 },
            exempt: ["127.0.0.0/8", "::1/128"].iter().filter_map(|range| range.parse().ok()).collect(),
            lockout_spares_known_sources: true,
        }
    }
}

/// Failures that are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// At once; 0 is without limit.
    pub failures: u32,
    /// In a minute, in the long run; at least 1.
    pub a_minute: u32,
}

impl From<Limit> for Allowance {
    fn from(limit: Limit) -> Self {
        Self { at_once: limit.failures, a_minute: limit.a_minute }
    }
}
