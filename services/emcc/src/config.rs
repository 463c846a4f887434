//! Settings of the emcc service.

use std::time::Duration;

use roamline_serve::CallTls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trust::TrustConfig;

/// Settings of the emcc service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmccConfig {
    /// Between two looks whether other clusters answer (XC-9); 100 ms to 60 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub look_every: Duration,
    /// How long another cluster may take to say that it is there, or whether it knows a user (XC-1); 100 ms to 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub answer_within: Duration,
    /// How long the home of a user may take for his login; 1 s to 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub login_within: Duration,
    /// For how long it is remembered where a user is at home, and that he is nowhere, where peers had to be asked (XC-1).
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub remember_for: Duration,
    /// How often the filter of our own users is made anew; a new user can log in elsewhere after that. At least 100 ms.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub filter_every: Duration,
    /// Requests of one peer at once; beyond, it is told to come back.
    pub max_requests_per_peer: u32,
    /// By what we prove ourselves to other clusters, and whom we believe where a remote cluster has no bundle of its own.
    pub tls: CallTls,
    /// Who this cluster is to others (XC-10).
    pub trust: TrustConfig,
}

impl Default for EmccConfig {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(2),
            answer_within: Duration::from_secs(1),
            login_within: Duration::from_secs(5),
            remember_for: Duration::from_secs(30),
            filter_every: Duration::from_secs(60),
            max_requests_per_peer: 64,
            tls: CallTls::default(),
            trust: TrustConfig::default(),
        }
    }
}

impl EmccConfig {
    pub(crate) fn look_every(&self) -> Duration {
        self.look_every.clamp(Duration::from_millis(100), Duration::from_secs(60))
    }

    pub(crate) fn answer_within(&self) -> Duration {
        self.answer_within.clamp(Duration::from_millis(100), Duration::from_secs(10))
    }

    pub(crate) fn login_within(&self) -> Duration {
        self.login_within.clamp(Duration::from_secs(1), Duration::from_secs(30))
    }

    pub(crate) fn filter_every(&self) -> Duration {
        self.filter_every.max(Duration::from_millis(100))
    }
}
