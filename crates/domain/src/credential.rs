//! Credentials: when one is locked, and what a new one must be (SP-14).

mod policy;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use policy::CredentialPolicy;

/// The least length of any secret, in characters; sites with short PINs are taken over as they are.
pub const LEAST_LENGTH: usize = 4;

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

/// What has happened to a credential lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Failures since the last success, as far as they add up.
    pub failures: u32,
    /// When the last failure was.
    pub last_failure_at: Option<Timestamp>,
    /// Until when it is locked; the end of all time where an administrator must set a new one.
    pub locked_until: Option<Timestamp>,
}

impl Attempts {
    /// Whether the credential is locked at `now`.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// After a failure of a principal of that kind at `now`. A failure while it is locked changes nothing: nobody can
    /// keep a user locked out by trying on.
    #[must_use]
    pub fn failed(&self, kind: PrincipalKind, policy: &CredentialPolicy, now: Timestamp) -> Self {
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
            locked_until: locks
                .then(|| policy.lockout_of(kind).map_or(Timestamp::MAX, |time| after(now, time))),
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
    /// Easily guessed.
    #[error("is easily guessed: a repetition, a row such as 1234, or the name (SP-14)")]
    Trivial,
}

/// Whether `secret` has the form of a secret of that kind: what is asked of one that an administrator sets for
/// somebody.
///
/// # Errors
/// Why not; the text of the secret is in no error.
pub fn check_form(kind: SecretKind, secret: &str) -> Result<(), WeakSecret> {
    let most = match kind {
        SecretKind::Pin => 64,
        SecretKind::Password => 128,
    };
    let length = secret.chars().count();
    if length < LEAST_LENGTH {
        return Err(WeakSecret::TooShort(LEAST_LENGTH));
    }
    if length > most {
        return Err(WeakSecret::TooLong(most));
    }
    if kind == SecretKind::Pin && !secret.chars().all(|c| c.is_ascii_digit() || c == '*' || c == '#') {
        return Err(WeakSecret::NotDialable);
    }
    Ok(())
}

/// Whether the owner of that name may set `secret` himself: its form, and what the policy asks (SP-14).
///
/// # Errors
/// Why not; the text of the secret is in no error.
pub fn check_own(
    kind: SecretKind,
    secret: &str,
    name: &str,
    policy: &CredentialPolicy,
) -> Result<(), WeakSecret> {
    check_form(kind, secret)?;
    let least = usize::try_from(policy.minimum_length).unwrap_or(usize::MAX);
    if secret.chars().count() < least {
        return Err(WeakSecret::TooShort(least));
    }
    if policy.trivial_check && is_trivial(secret, name) {
        return Err(WeakSecret::Trivial);
    }
    Ok(())
}

/// Whether a secret is among the first that somebody would try: fewer than three different characters, a group that
/// is repeated (408408), a row up or down (12345678, fedcba), or the name or its reverse, also as a part where the
/// name has four characters and more.
fn is_trivial(secret: &str, name: &str) -> bool {
    let secret: Vec<char> = secret.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let reversed: Vec<char> = name.iter().rev().copied().collect();
    let holds =
        |part: &[char]| secret == part || (part.len() >= 4 && secret.windows(part.len()).any(|w| w == part));
    secret.iter().collect::<BTreeSet<_>>().len() < 3
        || repeats_a_group(&secret)
        || is_row(&secret, next)
        || is_row(&secret, |c, d| next(d, c))
        || holds(&name)
        || holds(&reversed)
}

fn repeats_a_group(secret: &[char]) -> bool {
    (1..=secret.len() / 2).any(|length| {
        let mut groups = secret.chunks(length);
        let first = groups.next();
        secret.len().is_multiple_of(length) && groups.all(|group| Some(group) == first)
    })
}

fn is_row(secret: &[char], follows: impl Fn(char, char) -> bool) -> bool {
    secret.windows(2).all(|pair| matches!(pair, [c, d] if follows(*c, *d)))
}

/// Whether `d` comes right after `c` among letters or digits; 0 comes after 9 too, as on a keypad.
fn next(c: char, d: char) -> bool {
    let both = |test: fn(&char) -> bool| test(&c) && test(&d);
    (both(char::is_ascii_digit) || both(char::is_ascii_lowercase)) && u32::from(d) == u32::from(c) + 1
        || (c, d) == ('9', '0')
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
        let policy = CredentialPolicy::default();
        times.iter().fold(Attempts::default(), |a, t| a.failed(PrincipalKind::User, &policy, at(*t)))
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
        assert_eq!(check_form(SecretKind::Pin, "12*4#"), Ok(()));
        assert_eq!(check_form(SecretKind::Pin, "12a4"), Err(WeakSecret::NotDialable));
        assert_eq!(check_form(SecretKind::Password, "päss"), Ok(()), "four characters");
    }

    #[test]
    fn sp_14_pins_and_passwords_hold_their_limits() {
        for (kind, most) in [(SecretKind::Pin, 64), (SecretKind::Password, 128)] {
            let check = |length: usize| check_form(kind, &"1".repeat(length));
            assert_eq!((check(4), check(most)), (Ok(()), Ok(())));
            assert_eq!(check(3), Err(WeakSecret::TooShort(4)));
            assert_eq!(check(most + 1), Err(WeakSecret::TooLong(most)));
        }
    }

    #[test]
    fn sp_14_an_owner_keeps_the_minimum_length_and_never_less_than_four() {
        let check = |secret: &str, minimum_length: u32| {
            let policy = CredentialPolicy { minimum_length, ..CredentialPolicy::default() };
            check_own(SecretKind::Pin, secret, "agent7", &policy)
        };
        assert_eq!(check("2718281", 8), Err(WeakSecret::TooShort(8)));
        assert_eq!(check("27182818", 8), Ok(()));
        assert_eq!(check("271", 0), Err(WeakSecret::TooShort(4)));
        assert_eq!(check("2718", 0), Ok(()));
    }

    #[test]
    fn sp_14_what_is_easily_guessed_is_refused_where_the_policy_says_so() {
        let own = |secret: &str, trivial_check: bool| {
            let policy = CredentialPolicy { minimum_length: 4, trivial_check, ..CredentialPolicy::default() };
            check_own(SecretKind::Password, secret, "agent7", &policy)
        };
        for guess in [
            "1111",
            "121212",
            "112211",
            "408408",
            "1234",
            "4321",
            "7890",
            "3210",
            "abcdef",
            "FEDCBA",
            "agent7",
            "Agent7",
            "7tnega",
            "my-agent7!",
        ] {
            assert_eq!(own(guess, true), Err(WeakSecret::Trivial), "{guess}");
            assert_eq!(own(guess, false), Ok(()), "{guess}");
        }
        for good in ["2718", "1357", "12346", "40840", "correct horse", "agent"] {
            assert_eq!(own(good, true), Ok(()), "{good}");
        }
    }

    #[test]
    fn sp_14_a_short_name_is_refused_as_the_whole_secret_alone() {
        let own =
            |secret: &str, name: &str| check_own(SecretKind::Pin, secret, name, &CredentialPolicy::default());
        assert_eq!(own("27182817", "1"), Ok(()));
        assert_eq!(own("27182818", "2718"), Err(WeakSecret::Trivial));
        assert_eq!(own("81728172", "2718"), Err(WeakSecret::Trivial));
        assert_eq!(own("27182818", ""), Ok(()));
    }

    #[test]
    fn sp_14_a_lockout_without_an_end_waits_for_an_administrator_but_not_his_own() {
        let policy = CredentialPolicy {
            lockout_for: Duration::ZERO,
            failures_before_lockout: 1,
            ..Default::default()
        };
        let locked = |kind| Attempts::default().failed(kind, &policy, at(0));
        let years = 100 * 365 * 24 * 3600;
        assert!(locked(PrincipalKind::User).is_locked(at(years)));
        let administrator = locked(PrincipalKind::Administrator);
        assert!(administrator.is_locked(at(1799)) && !administrator.is_locked(at(1800)));
    }

    #[test]
    fn sp_14_after_a_lockout_the_count_starts_anew_however_long_failures_add_up() {
        let policy = CredentialPolicy {
            failures_reset_after: Duration::from_secs(10 * 3600),
            ..CredentialPolicy::default()
        };
        let after = |times: &[i64]| {
            times.iter().fold(Attempts::default(), |a, t| a.failed(PrincipalKind::User, &policy, at(*t)))
        };
        assert!(after(&[0, 9000, 18_000]).is_locked(at(18_001)));
        assert!(!after(&[0, 1, 2, 1802, 1803]).is_locked(at(1804)));
        assert!(after(&[0, 1, 2, 1802, 1803, 1804]).is_locked(at(1805)));
    }

    #[test]
    fn sp_14_a_policy_without_a_limit_of_failures_never_locks() {
        let policy = CredentialPolicy { failures_before_lockout: 0, ..CredentialPolicy::default() };
        let tried = (0..100).fold(Attempts::default(), |a, t| a.failed(PrincipalKind::User, &policy, at(t)));
        assert!(!tried.is_locked(at(100)));
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
