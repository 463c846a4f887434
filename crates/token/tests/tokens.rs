//! Signing and verification from outside: what is believed, what is refused, and how often keys are fetched.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use proptest::prelude::*;
use roamline_proto::auth::{JsonWebKey, PrincipalKind};
use roamline_token::{
    FetchError, KeySource, ServiceToken, Signer, TokenError, Verifier, generate_key, scopes_of,
};

const CLUSTER: &str = "roamline:test";
const HOUR: Duration = Duration::from_secs(3600);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn signer(kid: &str) -> Signer {
    Signer::new(CLUSTER, CLUSTER, kid, &generate_key().unwrap()).unwrap()
}

/// Publishes what a test tells it to, and counts who asks.
#[derive(Default)]
struct Published {
    keys: Mutex<Option<Vec<JsonWebKey>>>,
    fetched: AtomicUsize,
}

impl Published {
    fn of(signers: &[&Signer]) -> Arc<Self> {
        let published = Arc::new(Self::default());
        published.set(signers);
        published
    }

    fn set(&self, signers: &[&Signer]) {
        *self.keys.lock().unwrap() = Some(signers.iter().map(|s| s.public_key().clone()).collect());
    }

    fn fail(&self) {
        *self.keys.lock().unwrap() = None;
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.keys.lock().unwrap().clone().ok_or_else(|| FetchError("down".into()))
    }
}

fn token(signer: &Signer) -> String {
    signer.sign("agent7", PrincipalKind::User, scopes_of(PrincipalKind::User), at(0), HOUR).unwrap().token
}

#[tokio::test]
async fn a_token_names_its_caller_and_his_scopes() {
    let signer = signer("a");
    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[&signer]));
    let caller = verifier.caller(&token(&signer), at(10), None).await.unwrap();
    assert_eq!((caller.name.as_str(), caller.kind), ("agent7", PrincipalKind::User));
    assert!(caller.has("session.own") && !caller.has("session.manage") && !caller.is_anonymous());
}

#[tokio::test]
async fn a_token_is_good_from_its_time_until_its_end_by_the_clock_that_is_given() {
    let signer = signer("a");
    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[&signer]));
    let token = token(&signer);
    assert_eq!(verifier.verify(&token, at(-31)).await, Err(TokenError::NotYetValid));
    assert!(verifier.verify(&token, at(-30)).await.is_ok());
    assert!(verifier.verify(&token, at(3629)).await.is_ok());
    assert_eq!(verifier.verify(&token, at(3630)).await, Err(TokenError::Expired));
}

#[tokio::test]
async fn tokens_of_another_cluster_or_for_another_cluster_or_of_another_key_are_not_trusted() {
    let key = generate_key().unwrap();
    let ours = Signer::new(CLUSTER, CLUSTER, "a", &key).unwrap();
    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[&ours]));
    let strangers = [
        Signer::new("roamline:other", CLUSTER, "a", &key).unwrap(),
        Signer::new(CLUSTER, "roamline:other", "a", &key).unwrap(),
        signer("a"),
        signer("b"),
    ];
    for stranger in &strangers {
        assert_eq!(verifier.verify(&token(stranger), at(1)).await, Err(TokenError::Untrusted));
    }
}

#[tokio::test]
async fn a_token_without_signature_is_not_trusted() {
    let signer = signer("a");
    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[&signer]));
    let token = token(&signer);
    let (_, claims_on) = token.split_once('.').unwrap();
    // {"alg":"none","kid":"a"} and {"alg":"HS256","kid":"a"}
    for header in ["eyJhbGciOiJub25lIiwia2lkIjoiYSJ9", "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ"] {
        assert!(verifier.verify(&format!("{header}.{claims_on}"), at(1)).await.is_err());
    }
    assert_eq!(verifier.verify(&"x".repeat(10_000), at(1)).await, Err(TokenError::TooLong));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_fetched_once_a_second_and_by_one() {
    let (old, new) = (signer("old"), signer("new"));
    let published = Published::of(&[&old]);
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::clone(&published) as Arc<dyn KeySource>);
    let (a, b, c) = (token(&old), token(&old), token(&old));
    let (a, b, c) =
        tokio::join!(verifier.verify(&a, at(1)), verifier.verify(&b, at(1)), verifier.verify(&c, at(1)));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(published.fetched(), 1);

    published.set(&[&old, &new]);
    assert_eq!(verifier.verify(&token(&new), at(1)).await, Err(TokenError::Untrusted));
    assert_eq!(published.fetched(), 1, "not twice in one second");
    tokio::time::advance(Duration::from_millis(1001)).await;
    assert!(verifier.verify(&token(&new), at(2)).await.is_ok());
    assert_eq!(published.fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn known_keys_stay_when_the_publisher_is_down() {
    let (known, unknown) = (signer("known"), signer("unknown"));
    let published = Published::of(&[&known]);
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::clone(&published) as Arc<dyn KeySource>);
    assert!(verifier.verify(&token(&known), at(1)).await.is_ok());
    published.fail();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(verifier.verify(&token(&unknown), at(3)).await, Err(TokenError::KeysUnavailable));
    assert!(verifier.verify(&token(&known), at(3)).await.is_ok());
}

/// What was verified with keys that are published no longer is believed no longer.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_good_is_not_trusted_once_its_key_has_gone() {
    let (old, new) = (signer("old"), signer("new"));
    let published = Published::of(&[&old]);
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::clone(&published) as Arc<dyn KeySource>);
    let token_of_old = token(&old);
    for _ in 0..2 {
        assert!(verifier.verify(&token_of_old, at(1)).await.is_ok());
    }
    published.set(&[&new]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(verifier.verify(&token(&new), at(3)).await.is_ok());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(verifier.verify(&token_of_old, at(5)).await, Err(TokenError::Untrusted));
    assert!(verifier.verify(&token(&new), at(5)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_good_is_refused_once_its_time_is_over() {
    let signer = signer("a");
    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[&signer]));
    let token = token(&signer);
    for second in [1, 3629] {
        assert!(verifier.verify(&token, at(second)).await.is_ok());
    }
    assert_eq!(verifier.verify(&token, at(3630)).await, Err(TokenError::Expired));
    assert_eq!(verifier.verify(&token, at(-31)).await, Err(TokenError::NotYetValid));
}

#[tokio::test]
async fn a_service_token_is_signed_anew_before_it_ends() {
    let signer = signer("a");
    let now = Arc::new(Mutex::new(at(0)));
    let clock = Arc::clone(&now);
    let source = ServiceToken::new(signer.clone(), "session", Arc::new(move || *clock.lock().unwrap()));
    let first = source.current().unwrap();
    *now.lock().unwrap() = at(200);
    assert_eq!(source.current().unwrap(), first);
    *now.lock().unwrap() = at(241);
    let second = source.current().unwrap();
    assert_ne!(second, first);
    signer.replace("b", &generate_key().unwrap()).unwrap();
    let third = source.current().unwrap();
    assert_ne!(third, second, "the key may have been replaced because it is known to others");
    assert_eq!(source.current().unwrap(), third);

    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[&signer]));
    let caller = verifier.caller(&third, at(250), None).await.unwrap();
    assert!(caller.has("directory.resolve") && caller.has("credential.verify"));
    assert_eq!((caller.name.as_str(), caller.kind), ("session", PrincipalKind::Unspecified));
}

#[test]
fn no_token_and_no_key_is_printed() {
    let signer = signer("a");
    let signed = signer.sign("agent7", PrincipalKind::User, &[], at(0), HOUR).unwrap();
    assert!(!format!("{signed:?}").contains(&signed.token));
    assert!(!format!("{signer:?}").contains("key"));
    assert!(Signer::new(CLUSTER, CLUSTER, "a", b"no key").is_err());
    assert!(signer.sign("agent7", PrincipalKind::User, &[], Timestamp::MAX, HOUR).is_err());
}

fn judge(text: &str, signer: &Signer) -> Result<(), TokenError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let verifier = Verifier::new(CLUSTER, CLUSTER, Published::of(&[signer]));
    runtime.block_on(verifier.caller(text, at(1), None)).map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_sent_is_refused(text in ".{0,200}", dotted in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let signer = signer("a");
        prop_assert!(judge(&text, &signer).is_err());
        prop_assert!(judge(&dotted, &signer).is_err());
    }

    #[test]
    fn a_token_with_a_character_changed_is_refused(place in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.-]") {
        let signer = signer("a");
        let real = token(&signer);
        let mut letters: Vec<char> = real.chars().collect();
        let place = place.index(letters.len());
        letters[place] = letter.chars().next().unwrap();
        let changed: String = letters.into_iter().collect();
        prop_assume!(changed != real);
        prop_assert!(judge(&changed, &signer).is_err());
    }
}
