//! How old a secret may be, and how long it may lie idle (SP-14).

use std::time::Duration;

use jiff::Timestamp;

use super::{CredentialPolicy, PrincipalKind, WeakSecret, after};

const DAY: u64 = 24 * 60 * 60;

/// Why a secret must be changed before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MustChange {
    /// It is the first that was set for its owner.
    Initial,
    /// An administrator has set it anew.
    Administrator,
    /// It has expired.
    Expired,
}

impl CredentialPolicy {
    /// When a secret of such a principal that was set at `set_at` must be changed; never where it must not, and that of
    /// a machine never, which cannot change it.
    pub fn expires_at(&self, kind: PrincipalKind, set_at: Timestamp) -> Option<Timestamp> {
        let expires = self.expires_after_days > 0 && is_person(kind);
        expires.then(|| after(set_at, days(self.expires_after_days)))
    }

    /// The same where its owner is to be warned of it at `now`.
    pub fn warns_of(&self, kind: PrincipalKind, set_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let ahead = after(now, days(self.expiry_warning_days));
        self.expires_at(kind, set_at).filter(|at| self.expiry_warning_days > 0 && *at <= ahead)
    }

    /// Whether a user's secret that was last proven, or set, at `last` has lain idle for too long at `now`. Those of
    /// machines and of administrators, whom nobody else might let in again, never have.
    pub fn is_inactive(&self, kind: PrincipalKind, last: Timestamp, now: Timestamp) -> bool {
        self.inactive_days > 0 && kind == PrincipalKind::User && after(last, days(self.inactive_days)) <= now
    }

    /// Whether an owner may change his secret at `now` that was set at `set_at`.
    ///
    /// # Errors
    /// It is too soon.
    pub fn check_interval(&self, set_at: Timestamp, now: Timestamp) -> Result<(), WeakSecret> {
        if after(set_at, self.minimum_change_interval) > now {
            return Err(WeakSecret::TooSoon(self.minimum_change_interval.as_secs().div_ceil(60)));
        }
        Ok(())
    }
}

fn is_person(kind: PrincipalKind) -> bool {
    matches!(kind, PrincipalKind::User | PrincipalKind::Administrator)
}

fn days(number: u32) -> Duration {
    Duration::from_secs(u64::from(number) * DAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::login::fixture::at;
    use PrincipalKind::{Administrator, Application, LogoutProfile, PhoneLink, User};

    fn day(number: i64) -> Timestamp {
        at(number * DAY.cast_signed())
    }

    #[test]
    fn sp_14_secrets_of_people_expire_and_those_of_machines_do_not() {
        let policy = CredentialPolicy { expires_after_days: 30, ..CredentialPolicy::default() };
        for (kind, expires) in [
            (User, true),
            (Administrator, true),
            (Application, false),
            (LogoutProfile, false),
            (PhoneLink, false),
        ] {
            assert_eq!(policy.expires_at(kind, day(1)), expires.then(|| day(31)), "{kind:?}");
        }
        let never = CredentialPolicy { expires_after_days: 0, ..policy };
        assert_eq!(never.expires_at(User, day(1)), None);
    }

    #[test]
    fn sp_14_a_warning_comes_so_many_days_before() {
        let policy = CredentialPolicy {
            expires_after_days: 30,
            expiry_warning_days: 5,
            ..CredentialPolicy::default()
        };
        assert_eq!(policy.warns_of(User, day(0), at(25 * 24 * 3600 - 1)), None);
        assert_eq!(policy.warns_of(User, day(0), day(25)), Some(day(30)));
        let silent = CredentialPolicy { expiry_warning_days: 0, ..policy };
        assert_eq!(silent.warns_of(User, day(0), day(30)), None);
    }

    #[test]
    fn sp_14_only_a_user_is_locked_for_being_idle() {
        let policy = CredentialPolicy { inactive_days: 10, ..CredentialPolicy::default() };
        assert!(!policy.is_inactive(User, day(0), at(10 * 24 * 3600 - 1)));
        assert!(policy.is_inactive(User, day(0), day(10)));
        for kind in [Administrator, Application, LogoutProfile, PhoneLink] {
            assert!(!policy.is_inactive(kind, day(0), day(9_999)), "{kind:?}");
        }
        assert!(!CredentialPolicy::default().is_inactive(User, day(0), day(9_999)));
    }

    #[test]
    fn sp_14_between_two_changes_the_interval_passes() {
        let minimum_change_interval = Duration::from_secs(3600);
        let policy = CredentialPolicy { minimum_change_interval, ..CredentialPolicy::default() };
        assert_eq!(policy.check_interval(at(0), at(3599)), Err(WeakSecret::TooSoon(60)));
        assert_eq!(policy.check_interval(at(0), at(3600)), Ok(()));
        assert_eq!(CredentialPolicy::default().check_interval(at(0), at(0)), Ok(()));
    }

    proptest! {
        #[test]
        fn sp_14_whoever_is_warned_is_warned_of_the_expiry_itself(
            expires_after_days in 0u32..=365,
            expiry_warning_days in 0u32..=90,
            now in 0i64..400 * 24 * 3600,
        ) {
            let policy =
                CredentialPolicy { expires_after_days, expiry_warning_days, ..CredentialPolicy::default() };
            if let Some(told) = policy.warns_of(User, at(0), at(now)) {
                prop_assert_eq!(Some(told), policy.expires_at(User, at(0)));
            }
        }
    }
}
