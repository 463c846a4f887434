//! Tokens that are refused before their time, how a verifier hears of it, and for which service a token is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail so")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_proto::auth::revocation::Of;
use roamline_proto::auth::{JsonWebKey, ListRevocationsResponse, PrincipalKind, Revocation};
use roamline_token::{
    FetchError, KeySource, NewToken, RevocationSource, Revocations, Signer, TokenError, Verifier,
    generate_key,
};

const CLUSTER: &str = "roamline:test";

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
}

struct Published(Vec<JsonWebKey>);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(self.0.clone())
    }
}

fn signer(kid: &str) -> Signer {
    Signer::new(CLUSTER, CLUSTER, kid, &generate_key().unwrap()).unwrap()
}

fn token(signer: &Signer, subject: &str, sign_in: Option<&str>, signed: i64, after: Option<i64>) -> String {
    let token = NewToken {
        subject,
        kind: PrincipalKind::User,
        roles: &["agent"],
        scopes: &["session.own"],
        sign_in,
        services: &[],
        now: at(signed),
        after: after.map(at),
        lives_for: Duration::from_secs(3600),
    };
    signer.sign_new(&token).unwrap().token
}

fn told(of: Of, until: i64, expires: i64) -> Revocation {
    let instant = |milliseconds| {
        let at = at(milliseconds);
        Some(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() })
    };
    Revocation { of: Some(of), signed_until: instant(until), expire_time: instant(expires) }
}

fn page(revision: u64, revocations: &[Revocation]) -> ListRevocationsResponse {
    ListRevocationsResponse { revocations: revocations.to_vec(), revision }
}

async fn judge(verifier: &Verifier, token: &str, now: i64) -> Result<(), TokenError> {
    verifier.caller(token, at(now), None).await.map(|_| ())
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_its_sign_in_its_principal_or_its_key_is_revoked() {
    let (one, two) = (signer("one"), signer("two"));
    let revocations = Revocations::new();
    let published = Arc::new(Published(vec![one.public_key(), two.public_key()]));
    let verifier = Verifier::new(CLUSTER, CLUSTER, published).with_revocations(revocations.clone());
    let of_sign_in = token(&one, "a", Some("s1"), 0, None);
    let of_another = token(&one, "a", Some("s2"), 0, None);
    let of_principal = token(&one, "b", None, 0, None);
    let of_key = token(&two, "c", None, 0, None);
    let all = [&of_sign_in, &of_another, &of_principal, &of_key];
    for token in all {
        assert_eq!(judge(&verifier, token, 1).await, Ok(()));
    }
    let steps = [
        (told(Of::SignIn("s1".into()), 10, 4_000_000), &of_sign_in),
        (told(Of::Principal("b".into()), 10, 4_000_000), &of_principal),
        (told(Of::Key("two".into()), 10, 4_000_000), &of_key),
    ];
    for (revision, (revocation, refused)) in (1..).zip(steps) {
        assert_eq!(judge(&verifier, refused, 20).await, Ok(()));
        revocations.add(&page(revision, &[revocation]), at(20));
        for _ in 0..2 {
            assert_eq!(judge(&verifier, refused, 20).await, Err(TokenError::Revoked));
        }
    }
    assert_eq!(judge(&verifier, &of_another, 20).await, Ok(()));
    // A stolen key signs with any time, and a sign-in that has ended does not begin again.
    for late in [token(&two, "d", None, 90_000, None), token(&one, "a", Some("s1"), 90_000, None)] {
        assert_eq!(judge(&verifier, &late, 90_001).await, Err(TokenError::Revoked));
    }
}

#[tokio::test]
async fn of_a_principal_that_is_revoked_what_is_signed_later_is_believed_even_within_the_second() {
    let signer = signer("a");
    let revocations = Revocations::new();
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(Published(vec![signer.public_key()])));
    let verifier = verifier.with_revocations(revocations.clone());
    revocations.add(&page(1, &[told(Of::Principal("a".into()), 500, 4_000_000)]), at(500));
    assert_eq!(revocations.signed_until("a"), Some(at(500)));
    for (signed, after, good) in [
        (0, None, false),
        (500, None, false),
        (501, None, true),
        (400, Some(500), true),
        (999, None, true),
        (-90_000, Some(500), true),
    ] {
        let token = token(&signer, "a", Some("s"), signed, after);
        assert_eq!(judge(&verifier, &token, 1_000).await.is_ok(), good, "{signed} {after:?}");
    }
    // A revocation that came earlier narrows nothing.
    revocations.add(&page(2, &[told(Of::Principal("a".into()), 100, 1_000)]), at(500));
    assert_eq!(revocations.signed_until("a"), Some(at(500)));
}

#[tokio::test]
async fn a_user_who_has_the_name_of_a_service_is_revoked_without_it() {
    let signer = signer("a");
    let revocations = Revocations::new();
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(Published(vec![signer.public_key()])));
    let verifier = verifier.with_revocations(revocations.clone());
    let (user, lives_for) = (token(&signer, "session", None, 0, None), Duration::from_secs(60));
    let service = signer.sign("session", PrincipalKind::Unspecified, &[], at(0), lives_for).unwrap().token;
    revocations.add(&page(1, &[told(Of::Principal("session".into()), 500, 4_000_000)]), at(500));
    assert_eq!(judge(&verifier, &user, 600).await, Err(TokenError::Revoked));
    assert_eq!(judge(&verifier, &service, 600).await, Ok(()));
}

#[test]
fn revocations_are_forgotten_when_no_token_is_concerned_any_more() {
    let revocations = Revocations::new();
    revocations.add(&page(1, &[told(Of::Principal("a".into()), 0, 1_000)]), at(0));
    revocations.add(&page(2, &[]), at(999));
    assert!(revocations.signed_until("a").is_some());
    revocations.add(&page(3, &[]), at(1_000));
    assert_eq!((revocations.signed_until("a"), revocations.revision()), (None, 3));
    revocations.add(&page(0, &[]), at(1_000));
    assert_eq!(revocations.revision(), 0, "the list has begun anew");
}

/// Tells page after page, or nothing.
#[derive(Default)]
struct Told(Mutex<Option<Vec<Revocation>>>);

#[async_trait]
impl RevocationSource for Told {
    async fn after(&self, revision: u64) -> Result<ListRevocationsResponse, FetchError> {
        let told = self.0.lock().unwrap().clone().ok_or_else(|| FetchError("down".into()))?;
        let next: Vec<_> = told.iter().skip(revision as usize).take(2).cloned().collect();
        Ok(page(revision + next.len() as u64, &next))
    }
}

#[tokio::test(start_paused = true)]
async fn a_verifier_that_follows_hears_within_two_seconds_and_goes_on_with_what_it_knows() {
    let signer = signer("a");
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(Published(vec![signer.public_key()])));
    let told_now = Arc::new(Told::default());
    let source = Arc::clone(&told_now) as Arc<dyn RevocationSource>;
    let tokens: Vec<_> = (0..5).map(|n| token(&signer, "a", Some(&format!("s{n}")), 0, None)).collect();
    let looking = async {
        let within = |milliseconds| {
            tokio::time::timeout(Duration::from_millis(milliseconds), std::future::pending::<()>())
        };
        within(5_000).await.unwrap_err();
        for token in &tokens {
            assert_eq!(judge(&verifier, token, 1).await, Ok(()), "the source is down");
        }
        let all = (0..5).map(|n| told(Of::SignIn(format!("s{n}")), 0, 4_000_000)).collect();
        *told_now.0.lock().unwrap() = Some(all);
        within(1_000).await.unwrap_err();
        for token in &tokens {
            assert_eq!(judge(&verifier, token, 1).await, Err(TokenError::Revoked));
        }
        *told_now.0.lock().unwrap() = None;
        within(60_000).await.unwrap_err();
        assert_eq!(judge(&verifier, &tokens[0], 1).await, Err(TokenError::Revoked));
    };
    tokio::select! {
        () = looking => {}
        () = verifier.follow(source, Arc::new(|| at(0))) => {}
    }
}

#[tokio::test]
async fn a_token_for_one_service_is_refused_by_others_and_one_for_the_cluster_by_none() {
    let signer = signer("a");
    let verifier = |service: &str| {
        let published = Arc::new(Published(vec![signer.public_key()]));
        Verifier::new(CLUSTER, CLUSTER, published).of_service(service)
    };
    let of_cluster = token(&signer, "a", None, 0, None);
    let services = NewToken {
        subject: "session",
        kind: PrincipalKind::Unspecified,
        roles: &[],
        scopes: &[],
        sign_in: None,
        services: &["auth", "profile"],
        now: at(0),
        after: None,
        lives_for: Duration::from_secs(60),
    };
    let of_two = signer.sign_new(&services).unwrap().token;
    let of_one = signer.sign_new(&NewToken { services: &["profile"], ..services }).unwrap().token;
    let cases = [("profile", [Ok(()); 3]), ("auth", [Ok(()), Ok(()), Err(TokenError::Untrusted)])];
    let nowhere = [Ok(()), Err(TokenError::Untrusted), Err(TokenError::Untrusted)];
    for (service, wanted) in
        cases.into_iter().chain([("session", nowhere), ("", nowhere), ("profil", nowhere)])
    {
        let verifier = verifier(service);
        for (token, wanted) in [&of_cluster, &of_two, &of_one].into_iter().zip(wanted) {
            assert_eq!(judge(&verifier, token, 1).await, wanted, "{service}");
        }
    }
    let plain = Verifier::new(CLUSTER, CLUSTER, Arc::new(Published(vec![signer.public_key()])));
    assert_eq!(judge(&plain, &of_one, 1).await, Err(TokenError::Untrusted));
    assert_eq!(plain.verify(&of_cluster, at(1)).await.unwrap().aud, [CLUSTER]);
}

#[tokio::test]
async fn the_leeway_is_what_the_operator_says() {
    let signer = signer("a");
    let token = token(&signer, "a", None, 0, None);
    for (leeway, good) in [(0, 0), (7, 7)] {
        let published = Arc::new(Published(vec![signer.public_key()]));
        let verifier = Verifier::new(CLUSTER, CLUSTER, published).with_leeway(Duration::from_secs(leeway));
        assert_eq!(judge(&verifier, &token, -1_000 * good).await, Ok(()));
        assert_eq!(judge(&verifier, &token, -1_000 * good - 1).await, Err(TokenError::NotYetValid));
        assert_eq!(judge(&verifier, &token, 3_600_000 + 1_000 * good - 1).await, Ok(()));
        assert_eq!(judge(&verifier, &token, 3_600_000 + 1_000 * good).await, Err(TokenError::Expired));
    }
}

#[tokio::test]
async fn a_signer_goes_on_with_another_key_in_all_its_clones() {
    let key = generate_key().unwrap();
    let (signer, next) = (signer("a"), Signer::new(CLUSTER, CLUSTER, "b", &key).unwrap());
    let clone = signer.clone();
    let before = token(&clone, "a", None, 0, None);
    signer.replace("b", &key).unwrap();
    assert!(signer.replace("c", b"no key").is_err());
    assert_eq!(clone.public_key(), next.public_key());
    let after = token(&clone, "a", None, 0, None);
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(Published(vec![next.public_key()])));
    assert_eq!(judge(&verifier, &after, 1).await, Ok(()));
    assert_eq!(judge(&verifier, &before, 1).await, Err(TokenError::Untrusted));
}
