//! Settings of the session service.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the session service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// Between two looks for sessions that are due to end; 10 ms to 1 s, since LO-5 allows 2 s of lateness.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub sweep_every: Duration,
    /// After which a silent watch sends a heartbeat; 1 s to 60 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub heartbeat_every: Duration,
    /// For how long an answer to a request id is remembered (LI-11).
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub remember_replies_for: Duration,
    /// For how long an automatic logout waits for a handset that is up (LO-4); 0 is not at all.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub defer_logout_at_most: Duration,
    /// For how long events are kept for watches that resume.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keep_events_for: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            sweep_every: Duration::from_millis(250),
            heartbeat_every: Duration::from_secs(15),
            remember_replies_for: Duration::from_secs(600),
            defer_logout_at_most: Duration::from_secs(4 * 3600),
            keep_events_for: Duration::from_secs(24 * 3600),
        }
    }
}

impl SessionConfig {
    pub(crate) fn sweep_every(&self) -> Duration {
        self.sweep_every.clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.heartbeat_every.clamp(Duration::from_secs(1), Duration::from_secs(60))
    }
}
