//! The credential policy: when a credential is locked, and what a new one must be (SP-14).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whose a credential is; names are unique over all kinds (DP-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// An agent.
    User,
    /// A logout profile.
    LogoutProfile,
    /// An application that acts for others.
    Application,
    /// An administrator.
    Administrator,
    /// A link to phones.
    PhoneLink,
}

/// Which of a principal's two secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// Digits, `*` and `#`, as a keypad gives them.
    Pin,
    /// Any characters.
    Password,
}

/// The part of the credential policy that is enforced (SP-14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPolicy {
    /// Failures before lockout; 0 is without limit.
    pub failures_before_lockout: u32,
    /// Failures further apart than this do not add up.
    pub failures_reset_after: Duration,
    /// How long a lockout lasts.
    pub lockout_for: Duration,
    /// Least length of a PIN.
    pub least_pin_length: usize,
    /// Least length of a password.
    pub least_password_length: usize,
}

impl Default for CredentialPolicy {
    fn default() -> Self {
        Self {
            failures_before_lockout: 3,
            failures_reset_after: Duration::from_secs(30 * 60),
            lockout_for: Duration::from_secs(30 * 60),
            least_pin_length: 4,
            least_password_length: 4,
        }
    }
}

/// What has happened to a credential lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Failures since the last success, as far as they add up.
    pub failures: u32,
    /// When the last failure was.
    pub last_failure_at: Option<Timestamp>,
    /// Until when it is locked.
    pub locked_until: Option<Timestamp>,
}

impl Attempts {
    /// Whether the credential is locked at `now`.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// After a failure at `now`. A failure while it is locked changes nothing: nobody can keep a user locked out by
    /// trying on.
    #[must_use]
    pub fn failed(&self, policy: &CredentialPolicy, now: Timestamp) -> Self {
        if self.is_locked(now) {
            return self.clone();
        }
        let adds_up = self.locked_until.is_none()
            && self.last_failure_at.is_some_and(|last| after(last, policy.failures_reset_after) > now);
        let failures = if adds_up { self.failures.saturating_add(1) } else { 1 };
        let locks = policy.failures_before_lockout > 0 && failures >= policy.failures_before_lockout;
        Self {
            failures,
            last_failure_at: Some(now),
            locked_until: locks.then(|| after(now, policy.lockout_for)),
        }
    }
}

/// Why a secret cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Too short.
    #[error("must have at least {0} characters (SP-14)")]
    TooShort(usize),
    /// Too long.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// Not what a keypad can give.
    #[error("must be digits, `*` and `#`, as a keypad gives them")]
    NotDialable,
}

/// Whether `secret` can be a new secret of that kind.
///
/// # Errors
/// Why not; the text of the secret is in no error.
pub fn check_secret(kind: SecretKind, secret: &str, policy: &CredentialPolicy) -> Result<(), WeakSecret> {
    let (least, most) = match kind {
        SecretKind::Pin => (policy.least_pin_length, 64),
        SecretKind::Password => (policy.least_password_length, 128),
    };
    let length = secret.chars().count();
    if length < least {
        return Err(WeakSecret::TooShort(least));
    }
    if length > most {
        return Err(WeakSecret::TooLong(most));
    }
    if kind == SecretKind::Pin && !secret.chars().all(|c| c.is_ascii_digit() || c == '*' || c == '#') {
        return Err(WeakSecret::NotDialable);
    }
    Ok(())
}

fn after(instant: Timestamp, time: Duration) -> Timestamp {
    instant.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::login::fixture::at;

    fn failures(times: &[i64]) -> Attempts {
        times.iter().fold(Attempts::default(), |a, t| a.failed(&CredentialPolicy::default(), at(*t)))
    }

    #[test]
    fn sp_14_the_third_failure_locks_for_half_an_hour() {
        assert!(!failures(&[0, 1]).is_locked(at(2)));
        let locked = failures(&[0, 1, 2]);
        assert!(locked.is_locked(at(2)) && locked.is_locked(at(1801)));
        assert!(!locked.is_locked(at(2 + 1800)));
    }

    #[test]
    fn sp_14_failures_far_apart_do_not_add_up() {
        assert!(!failures(&[0, 1, 1801, 3700]).is_locked(at(3701)));
    }

    #[test]
    fn sp_14_trying_on_does_not_prolong_a_lockout_and_after_it_the_count_starts_anew() {
        assert_eq!(failures(&[0, 1, 2]), failures(&[0, 1, 2, 3, 900, 1700]));
        assert!(!failures(&[0, 1, 2, 1803]).is_locked(at(1804)));
    }

    #[test]
    fn sp_14_a_pin_is_what_a_keypad_gives() {
        let policy = CredentialPolicy::default();
        assert_eq!(check_secret(SecretKind::Pin, "12*4#", &policy), Ok(()));
        assert_eq!(check_secret(SecretKind::Pin, "12a4", &policy), Err(WeakSecret::NotDialable));
        assert_eq!(check_secret(SecretKind::Pin, "123", &policy), Err(WeakSecret::TooShort(4)));
        assert_eq!(
            check_secret(SecretKind::Password, &"x".repeat(129), &policy),
            Err(WeakSecret::TooLong(128))
        );
    }

    proptest! {
        #[test]
        fn sp_14_whatever_the_attempts_a_lockout_ends(times in prop::collection::vec(0i64..10_000, 0..50)) {
            let mut times = times;
            times.sort_unstable();
            let last = times.last().copied().unwrap_or(0);
            prop_assert!(!failures(&times).is_locked(at(last + 1800)));
        }
    }
}
