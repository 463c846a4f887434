//! What somebody's credential policy says otherwise than that of the cluster (SP-14).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CredentialPolicy;
use crate::violation::Violations;

/// A credential policy of one's own: each field that is there holds in place of the cluster's, each that is not follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnPolicy {
    /// As [`CredentialPolicy::failures_before_lockout`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures_before_lockout: Option<u32>,
    /// As [`CredentialPolicy::failures_reset_after`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures_reset_after: Option<Duration>,
    /// As [`CredentialPolicy::lockout_for`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lockout_for: Option<Duration>,
    /// As [`CredentialPolicy::minimum_length`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_length: Option<u32>,
    /// As [`CredentialPolicy::history`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<u32>,
    /// As [`CredentialPolicy::expires_after_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after_days: Option<u32>,
    /// As [`CredentialPolicy::expiry_warning_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_warning_days: Option<u32>,
    /// As [`CredentialPolicy::minimum_change_interval`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_change_interval: Option<Duration>,
    /// As [`CredentialPolicy::inactive_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_days: Option<u32>,
    /// As [`CredentialPolicy::trivial_check`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trivial_check: Option<bool>,
    /// As [`CredentialPolicy::minimum_changed_characters`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_changed_characters: Option<u32>,
    /// As [`CredentialPolicy::must_change_initial`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub must_change_initial: Option<bool>,
}

impl OwnPolicy {
    /// Whether it says nothing: the cluster's holds as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is in force where `cluster` is the cluster's.
    pub fn over(&self, cluster: &CredentialPolicy) -> CredentialPolicy {
        CredentialPolicy {
            failures_before_lockout: self.failures_before_lockout.unwrap_or(cluster.failures_before_lockout),
            failures_reset_after: self.failures_reset_after.unwrap_or(cluster.failures_reset_after),
            lockout_for: self.lockout_for.unwrap_or(cluster.lockout_for),
            minimum_length: self.minimum_length.unwrap_or(cluster.minimum_length),
            history: self.history.unwrap_or(cluster.history),
            expires_after_days: self.expires_after_days.unwrap_or(cluster.expires_after_days),
            expiry_warning_days: self.expiry_warning_days.unwrap_or(cluster.expiry_warning_days),
            minimum_change_interval: self.minimum_change_interval.unwrap_or(cluster.minimum_change_interval),
            inactive_days: self.inactive_days.unwrap_or(cluster.inactive_days),
            trivial_check: self.trivial_check.unwrap_or(cluster.trivial_check),
            minimum_changed_characters: self
                .minimum_changed_characters
                .unwrap_or(cluster.minimum_changed_characters),
            must_change_initial: self.must_change_initial.unwrap_or(cluster.must_change_initial),
        }
    }

    /// Every field of it that is out of its range (SP-14).
    pub fn check(&self) -> Violations {
        self.over(&CredentialPolicy::default()).check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sp_14_what_is_ones_own_holds_and_the_rest_follows_the_cluster() {
        let cluster = CredentialPolicy { minimum_length: 10, history: 3, ..CredentialPolicy::default() };
        let own = OwnPolicy {
            minimum_length: Some(4),
            lockout_for: Some(Duration::ZERO),
            trivial_check: Some(false),
            ..OwnPolicy::default()
        };
        let in_force = own.over(&cluster);
        let wanted = CredentialPolicy {
            minimum_length: 4,
            lockout_for: Duration::ZERO,
            trivial_check: false,
            ..cluster.clone()
        };
        assert_eq!(in_force, wanted);
        assert_eq!(OwnPolicy::default().over(&cluster), cluster);
        assert!(OwnPolicy::default().is_empty() && !own.is_empty());
    }

    #[test]
    fn sp_14_a_policy_of_ones_own_holds_the_limits_of_the_clusters() {
        let own = OwnPolicy {
            history: Some(26),
            lockout_for: Some(Duration::from_secs(61)),
            ..OwnPolicy::default()
        };
        let fields: Vec<_> = own.check().into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["history", "lockout_duration"]);
        assert!(OwnPolicy::default().check().is_empty());
    }

    #[test]
    fn it_is_kept_as_far_as_it_says_something() {
        let own = OwnPolicy {
            lockout_for: Some(Duration::from_secs(60)),
            must_change_initial: Some(true),
            ..OwnPolicy::default()
        };
        let text = serde_json::to_string(&own).unwrap();
        assert!(!text.contains("history"), "{text}");
        assert_eq!(serde_json::from_str::<OwnPolicy>(&text).unwrap(), own);
    }
}
