//! Settings of the session service.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditConfig, KeepFor};

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
    /// Within which a phone whose handset is up at a login must be on hook, or the login is dropped (LI-8); 1 s to 24 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drop_pending_login_after: Duration,
    /// A login with a refused credential is answered after a multiple of this, so that the time tells nothing of the user
    /// (LI-2); 0 answers at once.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub refusals_every: Duration,
    /// For how long events are kept for watches that resume.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keep_events_for: Duration,
    /// For how long a stream may have something to say while its reader takes nothing, before it is ended; at least 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drop_slow_reader_after: Duration,
    /// Settings of the audit trail.
    pub audit: AuditConfig,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            sweep_every: Duration::from_millis(250),
            heartbeat_every: Duration::from_secs(15),
            remember_replies_for: Duration::from_secs(600),
            defer_logout_at_most: Duration::from_secs(4 * 3600),
            drop_pending_login_after: Duration::from_secs(30 * 60),
            refusals_every: Duration::from_millis(100),
            keep_events_for: Duration::from_secs(24 * 3600),
            drop_slow_reader_after: Duration::from_secs(60),
            audit: AuditConfig::default(),
        }
    }
}

impl SessionConfig {
    pub(crate) fn sweep_every(&self) -> Duration {
        self.sweep_every.clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    pub(crate) fn drop_pending_login_after(&self) -> Duration {
        self.drop_pending_login_after.clamp(Duration::from_secs(1), Duration::from_secs(24 * 3600))
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.heartbeat_every.clamp(Duration::from_secs(1), Duration::from_secs(60))
    }

    /// For how long audit records are kept: events that are in the log still must be known to be recorded. `None` is for
    /// ever.
    pub(crate) fn keep_audit_for(&self) -> Option<Duration> {
        match self.audit.keep_for {
            KeepFor::Forever => None,
            KeepFor::For(length) => Some(length.max(self.keep_events_for)),
        }
    }

    pub(crate) fn drop_slow_reader_after(&self) -> Duration {
        self.drop_slow_reader_after.max(Duration::from_secs(1))
    }
}
