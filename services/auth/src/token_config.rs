//! What can be set about tokens, and about who is a service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use roamline_token::LEEWAY;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::BuildError;

/// The section `auth.tokens`: refresh tokens, and the keys that sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokensConfig {
    /// How long somebody who refreshes his tokens may go on without signing in again.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub sign_in_lives_for: Duration,
    /// How long a refresh token is good that is not used.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub refresh_token_lives_for: Duration,
    /// Sign-ins of one principal that can be refreshed; the oldest ones beyond it cannot.
    pub max_sign_ins: u32,
    /// How far the clocks of two machines may be apart.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub leeway: Duration,
    /// How long a key signs before the next one does.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub key_lives_for: Duration,
    /// A file with keys of 64 hexadecimal digits, one a line, that encrypt the signing keys in the store: the first one
    /// does, each one of them may have. Without it they are kept as they are.
    pub key_encryption_file: PathBuf,
    /// Files with the signing keys, in place of those in the store: P-256 in PKCS#8 (PEM). The first one signs, all of them
    /// are published: the next one, and those before, each for as long as its tokens are good. They are read again when
    /// they change. Without any, the keys are made and kept in the store.
    pub key_files: Vec<PathBuf>,
}

impl Default for TokensConfig {
    fn default() -> Self {
        Self {
            sign_in_lives_for: Duration::from_secs(30 * 24 * 3600),
            refresh_token_lives_for: Duration::from_secs(24 * 3600),
            max_sign_ins: 64,
            leeway: LEEWAY,
            key_lives_for: Duration::from_secs(30 * 24 * 3600),
            key_encryption_file: PathBuf::new(),
            key_files: Vec::new(),
        }
    }
}

impl TokensConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let second = Duration::from_secs(1);
        let wrong = if self.refresh_token_lives_for < second {
            "tokens.refresh_token_lives_for must be at least 1s"
        } else if self.sign_in_lives_for < second {
            "tokens.sign_in_lives_for must be at least 1s"
        } else if self.max_sign_ins == 0 {
            "tokens.max_sign_ins must be at least 1"
        } else if self.leeway > Duration::from_secs(300) {
            "tokens.leeway must be at most 5m"
        } else if self.key_lives_for < Duration::from_secs(60) {
            "tokens.key_lives_for must be at least 1m"
        } else if !self.key_files.is_empty() && !self.key_encryption_file.as_os_str().is_empty() {
            "tokens.key_encryption_file encrypts keys in the store, and tokens.key_files says that they are elsewhere"
        } else {
            return Ok(());
        };
        Err(BuildError::Config(wrong))
    }
}

/// The section `auth.services`: who is believed to be a service of this cluster, and given a token as one. In
/// `roamline up` it is not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesConfig {
    /// For each service (`auth`, `profile`, `session`, `emcc`, `gateway`) the SPIFFE ids that certificates of its
    /// processes carry.
    pub ids: BTreeMap<String, Vec<String>>,
    /// A file with secrets of at least 32 bytes, one a line: who knows one of them is a service. It is read again for each
    /// token.
    pub secret_file: PathBuf,
}

impl ServicesConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let wrong = |text| Err(BuildError::Config(text));
        if self.ids.keys().any(|service| calls_of(service).is_none()) {
            return wrong("services.ids: services are auth, profile, session, emcc and gateway");
        }
        if self.ids.values().flatten().any(|id| !id.starts_with("spiffe://")) {
            return wrong("services.ids: an id begins with spiffe://");
        }
        Ok(())
    }
}

/// The services that a service calls, which its tokens are for; `None` where there is no such service.
pub(crate) fn calls_of(service: &str) -> Option<&'static [&'static str]> {
    Some(match service {
        "auth" => &["auth", "profile"],
        "profile" => &["auth", "session"],
        "session" => &["auth", "profile"],
        "emcc" => &["auth", "profile", "session"],
        "gateway" => &["auth", "profile", "session", "emcc"],
        _ => return None,
    })
}
