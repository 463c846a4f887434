//! Refresh tokens: each is made from the one before it and a seed that is kept with the sign-in, so that the successor of
//! a token is always the same one and is given again where an answer was lost. The store has hashes and the seed, which
//! make no token without another one.
//!
//! A token says its sign-in and its number, and carries a mark by which it is known as one that was given out, however long
//! it has been spent.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use jiff::{SignedDuration, Timestamp};
use roamline_store::SignIn;
use secrecy::zeroize::Zeroizing;

use crate::hex;

/// A request that got no answer may be sent again with the same token for so long.
const GRACE: SignedDuration = SignedDuration::from_secs(10);
/// What every one begins with, for those who search for leaked secrets.
const PREFIX: &str = "roamline-refresh";
const SECRET_BYTES: usize = 32;
const SIGN_IN_CHARACTERS: usize = 32;

/// A refresh token. `Debug` shows whose it is alone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    sign_in: String,
    number: u64,
    secret: Zeroizing<Vec<u8>>,
    mark: Vec<u8>,
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("sign_in", &self.sign_in)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a token is to its sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It is the one that is good.
    Good,
    /// It was spent a moment ago: whoever has it may not have heard of the next one.
    Repeated,
    /// It was given out and spent: somebody has it who should not.
    Spent,
    /// It was never given out, or its time is over.
    None,
}

impl RefreshToken {
    /// The first one of a sign-in, and the seed; `None` without randomness.
    pub(crate) fn first(sign_in: &str) -> Option<(Self, Vec<u8>)> {
        let (mut seed, mut secret) = (vec![0_u8; SECRET_BYTES], Zeroizing::new(vec![0_u8; SECRET_BYTES]));
        aws_lc_rs::rand::fill(&mut seed).ok()?;
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        let token = Self::marked(&seed, sign_in, 0, secret);
        Some((token, seed))
    }

    fn marked(seed: &[u8], sign_in: &str, number: u64, secret: Zeroizing<Vec<u8>>) -> Self {
        let mark = mark(seed, sign_in, number, &secret);
        Self { sign_in: sign_in.to_owned(), number, secret, mark }
    }

    /// The one after it, which is always the same.
    pub(crate) fn successor(&self, seed: &[u8]) -> Self {
        let number = self.number.saturating_add(1);
        let secret = derived(seed, "next", &self.sign_in, number, &self.secret);
        Self::marked(seed, &self.sign_in, number, Zeroizing::new(secret))
    }

    /// Reads what a client sends.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.strip_prefix('.')?.split('.');
        let sign_in = parts.next()?.to_owned();
        let number = parts.next()?;
        let secret = Zeroizing::new(hex::decode(parts.next()?)?);
        let mark = hex::decode(parts.next()?)?;
        let digits = number.len() <= 20 && number.bytes().all(|digit| digit.is_ascii_digit());
        let whole =
            digits && secret.len() == SECRET_BYTES && mark.len() == SECRET_BYTES && parts.next().is_none();
        let number = number.parse().ok().filter(|_| whole)?;
        let named = sign_in.len() == SIGN_IN_CHARACTERS && sign_in.bytes().all(|c| c.is_ascii_hexdigit());
        named.then_some(Self { sign_in, number, secret, mark })
    }

    /// As a client keeps it.
    pub(crate) fn text(&self) -> String {
        let (secret, mark) = (Zeroizing::new(hex::encode(&self.secret)), hex::encode(&self.mark));
        format!("{PREFIX}.{}.{}.{}.{mark}", self.sign_in, self.number, *secret)
    }

    /// The id of its sign-in.
    pub(crate) fn sign_in(&self) -> &str {
        &self.sign_in
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.secret).as_ref().to_vec()
    }

    /// Whether it was given out by this sign-in at any time.
    pub(crate) fn is_of(&self, sign_in: &SignIn) -> bool {
        let mark = mark(&sign_in.seed, &self.sign_in, self.number, &self.secret);
        self.sign_in == sign_in.id && verify_slices_are_equal(&mark, &self.mark).is_ok()
    }

    /// What it is worth at `now`.
    pub(crate) fn worth(&self, sign_in: &SignIn, now: Timestamp) -> Worth {
        let is = |hash: &[u8]| verify_slices_are_equal(&self.hash(), hash).is_ok();
        if !self.is_of(sign_in) || now >= sign_in.expires_at {
            Worth::None
        } else if self.number == sign_in.counter && is(&sign_in.current) {
            Worth::Good
        } else if sign_in.previous.as_deref().is_some_and(is)
            && now.duration_since(sign_in.refreshed_at) <= GRACE
        {
            Worth::Repeated
        } else {
            Worth::Spent
        }
    }
}

fn mark(seed: &[u8], sign_in: &str, number: u64, secret: &[u8]) -> Vec<u8> {
    derived(seed, "mark", sign_in, number, secret)
}

fn derived(seed: &[u8], what: &str, sign_in: &str, number: u64, secret: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
    let mut context = hmac::Context::with_key(&key);
    // Each part has one length, but for the last one.
    for part in [what.as_bytes(), &number.to_be_bytes(), secret, sign_in.as_bytes()] {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roamline_domain::credential::SecretKind;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn begun() -> (RefreshToken, SignIn) {
        let (token, seed) = RefreshToken::first(ID).unwrap();
        let sign_in = SignIn {
            id: ID.into(),
            principal: "agent7".parse().unwrap(),
            secret_kind: SecretKind::Pin,
            secret_set_at: at(0),
            seed,
            counter: 0,
            current: token.hash(),
            previous: None,
            refreshed_at: at(0),
            begun_at: at(0),
            ends_at: at(10_000),
            expires_at: at(1_000),
        };
        (token, sign_in)
    }

    fn refreshed(token: &RefreshToken, held: &SignIn, now: i64) -> (RefreshToken, SignIn) {
        let next = token.successor(&held.seed);
        let sign_in = SignIn {
            counter: held.counter + 1,
            current: next.hash(),
            previous: Some(held.current.clone()),
            refreshed_at: at(now),
            ..held.clone()
        };
        (next, sign_in)
    }

    #[test]
    fn each_is_good_once_and_again_for_ten_seconds_only_with_the_same_successor() {
        let (first, held) = begun();
        assert_eq!(first.worth(&held, at(1)), Worth::Good);
        let (second, held) = refreshed(&first, &held, 100);
        assert_eq!(second.worth(&held, at(100)), Worth::Good);
        assert_eq!(first.worth(&held, at(110)), Worth::Repeated);
        assert_eq!(first.successor(&held.seed), second);
        assert_eq!(first.worth(&held, at(111)), Worth::Spent);
        let (third, held) = refreshed(&second, &held, 100);
        assert_eq!(first.worth(&held, at(100)), Worth::Spent, "its successor has been used");
        assert_eq!(third.worth(&held, at(999)), Worth::Good);
        assert_eq!(third.worth(&held, at(1_000)), Worth::None, "its time is over");
    }

    #[test]
    fn one_of_another_sign_in_or_with_anything_changed_is_worth_nothing() {
        let ((token, held), (other, _)) = (begun(), begun());
        assert_eq!(other.worth(&held, at(1)), Worth::None);
        for changed in [
            RefreshToken { number: 1, ..token.clone() },
            RefreshToken { secret: other.secret.clone(), ..token.clone() },
            RefreshToken { mark: other.mark.clone(), ..token.clone() },
            RefreshToken { sign_in: ID.replace('0', "1"), ..token.clone() },
        ] {
            assert_eq!(changed.worth(&held, at(1)), Worth::None, "{changed:?}");
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_does_not_print() {
        let (token, held) = begun();
        let text = token.text();
        assert_eq!(RefreshToken::parse(&text), Some(token.clone()));
        let printed = format!("{token:?} {held:?}");
        assert!(!printed.contains(&hex::encode(&token.secret)) && !printed.contains("secret"), "{printed}");
        for bad in [
            text.to_uppercase(),
            format!("{text}.1"),
            format!("{text}0"),
            text.replace(".0.", ".+0."),
            text.replace(".0.", ".."),
            text.replace(PREFIX, ""),
            text[..text.len() - 2].to_owned(),
        ] {
            assert_eq!(RefreshToken::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(text in ".{0,300}", tail in "[0-9a-f.]{0,260}") {
            prop_assert!(RefreshToken::parse(&text).is_none());
            let _ = RefreshToken::parse(&format!("{PREFIX}.{tail}"));
        }
    }
}
