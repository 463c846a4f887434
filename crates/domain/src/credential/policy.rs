//! The credential policy as a service parameter: its fields, their ranges and their defaults (SP-14).

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PrincipalKind;
use crate::violation::Violations;

const MINUTE: u64 = 60;
const HALF_AN_HOUR: Duration = Duration::from_secs(30 * MINUTE);

/// What a credential must be, and when it is locked (SP-14).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CredentialPolicy {
    /// Failures before lockout, 0 to 100; 0 is without limit.
    pub failures_before_lockout: u32,
    /// Failures further apart than this do not add up; 1 to 120 minutes.
    pub failures_reset_after: Duration,
    /// How long a lockout lasts, 0 to 1,440 minutes; zero is until an administrator sets a new credential.
    pub lockout_for: Duration,
    /// Least length of a secret that its owner sets himself, 0 to 64 characters.
    pub minimum_length: u32,
    /// Former credentials that cannot be used again, 0 to 25.
    pub history: u32,
    /// Days until a credential expires, 0 to 365; 0 is never.
    pub expires_after_days: u32,
    /// Days before that on which its owner is warned, 0 to 90.
    pub expiry_warning_days: u32,
    /// Least time until its owner changes a secret again, 0 to 129,600 minutes.
    pub minimum_change_interval: Duration,
    /// Days without a login after which a credential is locked, 0 to 5,000; 0 is never.
    pub inactive_days: u32,
    /// Whether a secret that its owner sets himself must not be trivial.
    pub trivial_check: bool,
    /// Characters in which a new secret must differ from the one before, 0 to 31; never less than one.
    pub minimum_changed_characters: u32,
    /// Whether a user or administrator must change a credential that was set for him before he uses it.
    pub must_change_initial: bool,
}

impl Default for CredentialPolicy {
    fn default() -> Self {
        Self {
            failures_before_lockout: 3,
            failures_reset_after: HALF_AN_HOUR,
            lockout_for: HALF_AN_HOUR,
            minimum_length: 8,
            history: 12,
            expires_after_days: 180,
            expiry_warning_days: 0,
            minimum_change_interval: Duration::ZERO,
            inactive_days: 0,
            trivial_check: true,
            minimum_changed_characters: 1,
            must_change_initial: false,
        }
    }
}

impl CredentialPolicy {
    /// Everything that is out of its range (SP-14).
    pub fn check(&self) -> Violations {
        let mut found = Violations::new();
        for (field, value, range) in [
            ("failures_before_lockout", self.failures_before_lockout, 0..=100),
            ("minimum_length", self.minimum_length, 0..=64),
            ("history", self.history, 0..=25),
            ("expires_after_days", self.expires_after_days, 0..=365),
            ("expiry_warning_days", self.expiry_warning_days, 0..=90),
            ("inactive_days", self.inactive_days, 0..=5_000),
            ("minimum_changed_characters", self.minimum_changed_characters, 0..=31),
        ] {
            if !range.contains(&value) {
                found.add(field, "SP-14", format!("must be {} to {}", range.start(), range.end()));
            }
        }
        for (field, time, minutes) in [
            ("failures_reset_after", self.failures_reset_after, 1..=120),
            ("lockout_duration", self.lockout_for, 0..=1_440),
            ("minimum_change_interval", self.minimum_change_interval, 0..=129_600),
        ] {
            if !is_minutes(time, &minutes) {
                let (least, most) = (minutes.start(), minutes.end());
                found.add(field, "SP-14", format!("must be {least} to {most} minutes, in whole minutes"));
            }
        }
        found
    }

    /// How long a lockout lasts; `None` until an administrator sets a new credential. An administrator's own ends
    /// after half an hour where others' do not end: there may be nobody else to end it.
    pub fn lockout_of(&self, kind: PrincipalKind) -> Option<Duration> {
        match (self.lockout_for, kind) {
            (Duration::ZERO, PrincipalKind::Administrator) => Some(HALF_AN_HOUR),
            (Duration::ZERO, _) => None,
            (time, _) => Some(time),
        }
    }

    /// Whether a secret that was set for such a principal must be changed at its first use. Machines cannot do that.
    pub fn must_be_changed_first(&self, kind: PrincipalKind) -> bool {
        self.must_change_initial && matches!(kind, PrincipalKind::User | PrincipalKind::Administrator)
    }
}

fn is_minutes(time: Duration, range: &RangeInclusive<u64>) -> bool {
    let seconds = time.as_secs();
    time.subsec_nanos() == 0 && seconds.is_multiple_of(MINUTE) && range.contains(&(seconds / MINUTE))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Set = fn(&mut CredentialPolicy, u64);

    fn minutes(number: u64) -> Duration {
        Duration::from_secs(number * MINUTE)
    }

    #[test]
    fn sp_14_every_field_of_the_policy_holds_its_limits() {
        let bounds: [(&str, u64, u64, Set); 10] = [
            ("failures_before_lockout", 0, 100, |p, n| p.failures_before_lockout = n as u32),
            ("minimum_length", 0, 64, |p, n| p.minimum_length = n as u32),
            ("history", 0, 25, |p, n| p.history = n as u32),
            ("expires_after_days", 0, 365, |p, n| p.expires_after_days = n as u32),
            ("expiry_warning_days", 0, 90, |p, n| p.expiry_warning_days = n as u32),
            ("inactive_days", 0, 5_000, |p, n| p.inactive_days = n as u32),
            ("minimum_changed_characters", 0, 31, |p, n| p.minimum_changed_characters = n as u32),
            ("failures_reset_after", 1, 120, |p, n| p.failures_reset_after = minutes(n)),
            ("lockout_duration", 0, 1_440, |p, n| p.lockout_for = minutes(n)),
            ("minimum_change_interval", 0, 129_600, |p, n| p.minimum_change_interval = minutes(n)),
        ];
        for (field, least, most, set) in bounds {
            let check = |value: u64| {
                let mut policy = CredentialPolicy::default();
                set(&mut policy, value);
                policy.check().into_iter().map(|v| (v.field, v.rule)).collect::<Vec<_>>()
            };
            assert_eq!(check(least), [], "{field} at {least}");
            assert_eq!(check(most), [], "{field} at {most}");
            assert_eq!(check(most + 1), [(field.to_owned(), "SP-14")]);
            if least > 0 {
                assert_eq!(check(least - 1), [(field.to_owned(), "SP-14")]);
            }
        }
    }

    #[test]
    fn sp_14_times_are_whole_minutes() {
        for odd in [Duration::from_secs(61), Duration::new(60, 1)] {
            let policy = CredentialPolicy {
                failures_reset_after: odd,
                lockout_for: odd,
                minimum_change_interval: odd,
                ..CredentialPolicy::default()
            };
            assert_eq!(policy.check().iter().count(), 3, "{odd:?}");
        }
    }

    #[test]
    fn sp_14_defaults_are_those_that_administrators_know() {
        let policy = CredentialPolicy::default();
        assert!(policy.check().is_empty());
        assert_eq!((policy.failures_before_lockout, policy.lockout_for), (3, minutes(30)));
        assert_eq!((policy.minimum_length, policy.history, policy.expires_after_days), (8, 12, 180));
        assert!(policy.trivial_check && !policy.must_change_initial);
    }

    #[test]
    fn sp_14_only_people_must_change_what_was_set_for_them() {
        use PrincipalKind::{Administrator, Application, LogoutProfile, PhoneLink, User};
        let policy = CredentialPolicy { must_change_initial: true, ..CredentialPolicy::default() };
        for (kind, must) in [
            (User, true),
            (Administrator, true),
            (Application, false),
            (LogoutProfile, false),
            (PhoneLink, false),
        ] {
            assert_eq!(policy.must_be_changed_first(kind), must, "{kind:?}");
            assert!(!CredentialPolicy::default().must_be_changed_first(kind));
        }
    }
}
