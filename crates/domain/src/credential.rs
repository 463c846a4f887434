//! Credentials: when one is locked, and what a new one must be (SP-14).

mod age;
mod allowance;
mod attempts;
mod own_policy;
mod policy;
mod role;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use age::MustChange;
pub use allowance::Allowance;
pub use attempts::{Attempts, KnownPlace, Tally, place_of};
pub use own_policy::OwnPolicy;
pub use policy::CredentialPolicy;
pub use role::Role;

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
    /// Too much like the one before.
    #[error("must differ from the current one in at least {0} characters (SP-14)")]
    TooAlike(usize),
    /// One of those before it.
    #[error("is one of the last {0} that were in use (SP-14)")]
    UsedBefore(usize),
    /// Changed again too soon.
    #[error("was set less than {0} minutes ago and cannot be changed yet (SP-14)")]
    TooSoon(u64),
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

/// Whether `replacement` differs enough from the secret before it: in so many characters that are replaced, added or
/// taken away as the policy asks, or in all of its own if it is shorter; never in less than one (SP-14).
///
/// # Errors
/// Why not; the text of the secrets is in no error.
pub fn check_difference(
    current: &str,
    replacement: &str,
    policy: &CredentialPolicy,
) -> Result<(), WeakSecret> {
    let asked = usize::try_from(policy.minimum_changed_characters).unwrap_or(usize::MAX);
    let least = asked.min(replacement.chars().count()).max(1);
    if strsim::levenshtein(current, replacement) < least {
        return Err(WeakSecret::TooAlike(least));
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

/// That much later, or the end of time.
fn after(instant: Timestamp, time: Duration) -> Timestamp {
    instant.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn sp_14_a_replacement_differs_in_as_many_characters_as_the_policy_asks() {
        let check = |current: &str, replacement: &str, minimum_changed_characters: u32| {
            let policy = CredentialPolicy { minimum_changed_characters, ..CredentialPolicy::default() };
            check_difference(current, replacement, &policy)
        };
        for least in [0, 1] {
            assert_eq!(check("2718", "2718", least), Err(WeakSecret::TooAlike(1)));
            assert_eq!(check("2718", "2719", least), Ok(()));
        }
        assert_eq!(check("2718", "3728", 3), Err(WeakSecret::TooAlike(3)));
        assert_eq!(check("12345678", "23456781", 3), Err(WeakSecret::TooAlike(3)), "a shift is two changes");
        assert_eq!(check("2718", "271828", 2), Ok(()), "two are added");
        assert_eq!(check("2718", "3141", 31), Ok(()), "all of them");
        assert_eq!(check("2718", "2141", 31), Err(WeakSecret::TooAlike(4)));
    }
}
