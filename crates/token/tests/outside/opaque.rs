//! Opaque tokens, which their issuer is asked about.

use std::sync::Arc;
use std::time::Duration;

use roamline_token::{BearerVerifier, IntrospectionConfig, IssuerConfig, SsoConfig, TokenError, Verifier};
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::{AUDIENCE, AtMost, CLUSTER, NOW, NoKeys, at, name, user_id, verifier};

fn active(other: &Value) -> Value {
    let mut answer = json!({
        "active": true, "aud": AUDIENCE, "sub": "Agent7", "token_type": "Bearer", "iat": NOW, "exp": NOW + 300,
    });
    answer.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    answer
}

#[tokio::test]
async fn an_opaque_token_is_what_its_issuer_says_and_asked_about_once_in_ten_seconds() {
    let provider = Provider::start(&[]).await;
    provider.knows("abc", active(&json!({})));
    let verifier = verifier(provider.introspecting());
    for (second, asked) in [(0, 1), (9, 1), (10, 2), (19, 2)] {
        assert_eq!(name(&verifier, "abc", second).await, Ok("agent7".into()), "{second}");
        assert_eq!(provider.asked(), asked, "{second}");
    }
    // "roamline:a secret: 5 %", each part encoded as in a form.
    assert_eq!(provider.authorization(), "Basic cm9hbWxpbmU6YStzZWNyZXQlM0ErNSslMjU=");
    provider.knows("abc", json!({"active": false}));
    assert!(name(&verifier, "abc", 19).await.is_ok());
    assert_eq!(name(&verifier, "abc", 20).await, Err(TokenError::Inactive), "it was revoked there");
}

#[tokio::test]
async fn an_opaque_token_is_never_good_beyond_its_end_and_what_is_unknown_is_asked_about_once() {
    let provider = Provider::start(&[]).await;
    provider.knows("abc", active(&json!({"exp": NOW + 3})));
    let verifier = verifier(provider.introspecting());
    assert!(name(&verifier, "abc", 0).await.is_ok());
    assert!(name(&verifier, "abc", 9).await.is_ok(), "within the leeway, and remembered");
    assert!(name(&verifier, "abc", 32).await.is_ok());
    assert_eq!(name(&verifier, "abc", 33).await, Err(TokenError::Expired));
    let before = provider.asked();
    for _ in 0..5 {
        assert_eq!(name(&verifier, "unknown", 40).await, Err(TokenError::Inactive));
    }
    assert_eq!(provider.asked() - before, 1);
}

#[tokio::test]
async fn an_answer_that_does_not_make_a_caller_is_refused_with_its_reason() {
    let provider = Provider::start(&[]).await;
    let verifier = verifier(IssuerConfig { required_scope: "roamline".into(), ..provider.introspecting() });
    for (number, (other, refused)) in [
        (json!({"aud": "https://crm.example.org"}), TokenError::WrongAudience),
        (json!({"aud": null}), TokenError::WrongAudience),
        (json!({"iss": "https://elsewhere.example.org"}), TokenError::Untrusted),
        (json!({"scope": "openid"}), TokenError::LacksScope),
        (json!({"sub": null}), TokenError::NoUser),
        (json!({"token_type": "refresh_token"}), TokenError::NotForAccess),
        (json!({"token_type": null}), TokenError::NotForAccess),
        (json!({"token_use": "refresh_token"}), TokenError::NotForAccess),
        (json!({"token_type": "DPoP"}), TokenError::NotForAccess),
        (json!({"typ": "Refresh"}), TokenError::NotForAccess),
        (json!({"cnf": {"x5t#S256": "x"}}), TokenError::Bound),
        (json!({"exp": NOW - 30}), TokenError::Expired),
        (json!({"nbf": NOW + 31}), TokenError::NotYetValid),
    ]
    .into_iter()
    .enumerate()
    {
        let mut answer = active(&json!({"scope": "roamline", "iss": provider.url}));
        let token = format!("good{number}");
        provider.knows(&token, answer.clone());
        assert_eq!(name(&verifier, &token, 0).await, Ok("agent7".into()));
        answer.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let token = format!("bad{number}");
        provider.knows(&token, answer);
        assert_eq!(name(&verifier, &token, 0).await, Err(refused), "{other}");
    }
    for wrong in ["a b", "a\"b", "", &"x".repeat(5000), "a\u{e9}"] {
        assert!(matches!(name(&verifier, wrong, 0).await, Err(TokenError::Malformed | TokenError::TooLong)));
    }
}

#[tokio::test]
async fn while_the_issuer_is_away_opaque_tokens_are_unavailable_and_not_refused() {
    let provider = Provider::start(&[]).await;
    for token in ["abc", "def"] {
        provider.knows(token, active(&json!({})));
    }
    let verifier = verifier(provider.introspecting());
    assert!(name(&verifier, "abc", 0).await.is_ok());
    provider.go_away(true);
    assert!(name(&verifier, "abc", 9).await.is_ok(), "it is remembered");
    assert_eq!(name(&verifier, "abc", 10).await, Err(TokenError::IssuerUnavailable));
    let asked = provider.asked();
    assert_eq!(name(&verifier, "def", 10).await, Err(TokenError::IssuerUnavailable));
    assert_eq!(provider.asked(), asked, "not again within the second");
    provider.go_away(false);
    assert_eq!(name(&verifier, "def", 11).await, Ok("agent7".into()));
    provider.knows("odd", json!({"scope": "x"}));
    assert_eq!(
        name(&verifier, "odd", 12).await,
        Err(TokenError::IssuerUnavailable),
        "it does not say `active`"
    );
}

#[tokio::test]
async fn an_issuer_that_is_not_there_or_mute_is_unavailable_in_time() {
    let provider = Provider::start(&[]).await;
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [mute.local_addr().unwrap(), gone] {
        let endpoint = format!("http://{address}/introspect");
        let introspection = IntrospectionConfig { endpoint, ..provider.introspecting().introspection };
        let timeout = Duration::from_millis(300);
        let verifier = verifier(IssuerConfig { introspection, timeout, ..provider.config() });
        let judged = tokio::time::timeout(Duration::from_secs(20), name(&verifier, "abc", 0)).await;
        assert_eq!(judged.unwrap(), Err(TokenError::IssuerUnavailable));
    }
}

#[tokio::test]
async fn many_calls_with_one_token_ask_once() {
    let provider = Provider::start(&[]).await;
    provider.knows("abc", active(&json!({})));
    let verifier = std::sync::Arc::new(verifier(provider.introspecting()));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let verifier = std::sync::Arc::clone(&verifier);
        calls.spawn(async move { name(&verifier, "abc", 0).await });
    }
    assert!(calls.join_all().await.into_iter().all(|judged| judged == Ok("agent7".into())));
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn without_introspection_an_opaque_token_is_none() {
    let provider = Provider::start(&[]).await;
    let verifier = verifier(provider.config());
    assert_eq!(name(&verifier, "abc", 0).await, Err(TokenError::Malformed));
    assert_eq!(provider.asked(), 0);
}

/// By somebody at that address.
async fn from(verifier: &Verifier, source: &str, token: &str) -> Result<String, TokenError> {
    let source = Some(format!("{source}:4711").parse().unwrap());
    BearerVerifier::caller(verifier, token, at(0), source).await.map(|caller| caller.name)
}

#[tokio::test]
async fn sp_14_made_up_tokens_have_the_issuer_asked_so_often_and_no_more() {
    let (stranger, office) = ("203.0.113.9", "192.0.2.1");
    let provider = Provider::start(&[]).await;
    for token in ["known", "other"] {
        provider.knows(token, active(&json!({})));
    }
    let own = Verifier::new(CLUSTER, CLUSTER, Arc::new(NoKeys));
    let issuers = SsoConfig { issuers: vec![provider.introspecting()] };
    let verifier = own.with_outside(&issuers, user_id, AtMost::questions(5)).unwrap();
    assert_eq!(from(&verifier, stranger, "known").await, Ok("agent7".into()), "what is good is not counted");
    for number in 0..5 {
        for _again in 0..3 {
            let judged = from(&verifier, stranger, &format!("made-up-{number}")).await;
            assert_eq!(judged, Err(TokenError::Inactive));
        }
    }
    assert_eq!(provider.asked(), 6);
    let too_many = Err(TokenError::TooMany(Duration::from_mins(1)));
    for number in 5..100 {
        assert_eq!(from(&verifier, stranger, &format!("made-up-{number}")).await, too_many);
    }
    assert_eq!(from(&verifier, stranger, "other").await, too_many, "it may be one that is made up");
    assert_eq!(from(&verifier, stranger, "made-up-1").await, Err(TokenError::Inactive), "remembered");
    assert_eq!(from(&verifier, stranger, "known").await, Ok("agent7".into()), "remembered");
    assert_eq!(provider.asked(), 6);
    assert_eq!(from(&verifier, office, "other").await, Ok("agent7".into()));
    assert_eq!(from(&verifier, stranger, "other").await, Ok("agent7".into()), "it is known now");
    assert_eq!(name(&verifier, "of-this-process", 0).await, Err(TokenError::Inactive), "from nowhere");
}

#[tokio::test]
async fn sp_14_made_up_tokens_at_once_are_asked_about_at_most_as_many_as_are_asked_at_once() {
    let provider = Provider::start(&[]).await;
    let own = Verifier::new(CLUSTER, CLUSTER, Arc::new(NoKeys));
    let issuers = SsoConfig { issuers: vec![provider.introspecting()] };
    let verifier = Arc::new(own.with_outside(&issuers, user_id, AtMost::questions(5)).unwrap());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..500 {
        let verifier = Arc::clone(&verifier);
        calls.spawn(async move { from(&verifier, "203.0.113.9", &format!("made-up-{number}")).await });
    }
    let judged = calls.join_all().await;
    assert!(judged.iter().all(Result::is_err));
    assert!(provider.asked() < 5 + 32, "{}", provider.asked());
}

#[tokio::test]
async fn the_secret_of_the_client_is_read_again_when_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "one\n").unwrap();
    let provider = Provider::start(&[]).await;
    let introspection: IntrospectionConfig = toml::from_str(&format!(
        "endpoint = '{}/introspect'\nclient_id = 'r'\nclient_secret_file = '{}'",
        provider.url,
        file.display()
    ))
    .unwrap();
    let verifier = verifier(IssuerConfig { introspection, ..provider.config() });
    let asked_as = async |number: usize| {
        let _refused = name(&verifier, &format!("token{number}"), 0).await;
        provider.authorization()
    };
    assert_eq!(asked_as(0).await, "Basic cjpvbmU=");
    std::fs::write(&file, "two\n").unwrap();
    let changed = async {
        let mut number = 1;
        while asked_as(number).await != "Basic cjp0d28=" {
            number += 1;
        }
    };
    tokio::select! {
        changed = tokio::time::timeout(Duration::from_secs(20), changed) => changed.unwrap(),
        () = verifier.follow_outside(Arc::new(|| at(0))) => unreachable!(),
    }
}
