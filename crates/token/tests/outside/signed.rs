//! Tokens that an issuer has signed.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roamline_proto::auth::revocation::Of;
use roamline_proto::auth::{ListRevocationsResponse, PrincipalKind, Revocation};
use roamline_token::{IssuerConfig, MappedRole, Revocations, SignatureAlgorithm, TokenError};
use serde_json::{Value, json};

use crate::provider::{Key, Provider};
use crate::{AUDIENCE, NOW, at, name, role, verifier, verifier_with};

#[tokio::test]
async fn a_token_of_each_algorithm_names_a_user_and_makes_him_an_agent() {
    let keys =
        [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(|one| Key::new(&format!("{one:?}"), one));
    let provider = Provider::start(&keys.each_ref()).await;
    let verifier = verifier(provider.config());
    for key in &keys {
        let token = key.sign(&provider.claims(&json!({})));
        assert_eq!(name(&verifier, &token, 1).await, Ok("agent7".into()), "{}", key.kid);
        let scopes = vec!["profile.own".to_owned(), "session.own".to_owned()];
        assert_eq!(role(&verifier, &token).await, (PrincipalKind::User, scopes));
    }
    assert_eq!(provider.fetched(), 1, "the keys were fetched for the first token");
}

#[tokio::test]
async fn a_token_that_says_something_else_is_refused_with_its_reason() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let verifier = verifier(IssuerConfig { required_scope: "roamline".into(), ..provider.config() });
    let good = json!({"scope": "openid roamline"});
    assert_eq!(name(&verifier, &key.sign(&provider.claims(&good)), 1).await, Ok("agent7".into()));
    for (other, refused) in [
        (json!({"aud": "https://crm.example.org"}), TokenError::WrongAudience),
        (json!({"aud": null}), TokenError::Malformed),
        (json!({"iss": "https://elsewhere.example.org"}), TokenError::Untrusted),
        (json!({"iss": null}), TokenError::Untrusted),
        (json!({"exp": null}), TokenError::Malformed),
        (json!({"exp": "soon"}), TokenError::Malformed),
        (json!({"iat": null}), TokenError::Malformed),
        (json!({"nbf": NOW + 60}), TokenError::NotYetValid),
        (json!({"iat": NOW + 60}), TokenError::NotYetValid),
        (json!({"exp": NOW - 30}), TokenError::Expired),
        (json!({"scope": "openid"}), TokenError::LacksScope),
        (json!({"sub": null}), TokenError::NoUser),
        (json!({"sub": 7}), TokenError::NoUser),
        (json!({"sub": "agent 7"}), TokenError::NoUser),
        (json!({"sub": ""}), TokenError::NoUser),
        (json!({"cnf": {"jkt": "x"}}), TokenError::Bound),
        (json!({"at_hash": "x"}), TokenError::NotForAccess),
        (json!({"typ": "ID"}), TokenError::NotForAccess),
        (json!({"typ": "Refresh"}), TokenError::NotForAccess),
        (json!({"token_use": "id"}), TokenError::NotForAccess),
    ] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let token = key.sign(&provider.claims(&claims));
        for _ in 0..2 {
            assert_eq!(name(&verifier, &token, 0).await, Err(refused), "{other}");
        }
    }
    let several = json!({"aud": ["https://crm.example.org", AUDIENCE], "scope": null, "scp": ["roamline"]});
    assert_eq!(name(&verifier, &key.sign(&provider.claims(&several)), 1).await, Ok("agent7".into()));
}

#[tokio::test]
async fn a_token_is_good_from_its_time_until_its_end_and_no_longer_than_the_operator_says() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let token = key.sign(&provider.claims(&json!({})));
    let long = verifier(provider.config());
    let short = verifier(IssuerConfig { max_age: std::time::Duration::from_secs(60), ..provider.config() });
    for (second, by_long, by_short) in [
        (-31, Err(TokenError::NotYetValid), Err(TokenError::NotYetValid)),
        (-30, Ok(()), Ok(())),
        (89, Ok(()), Ok(())),
        (90, Ok(()), Err(TokenError::TooOld)),
        (329, Ok(()), Err(TokenError::TooOld)),
        (330, Err(TokenError::Expired), Err(TokenError::Expired)),
    ] {
        assert_eq!(name(&long, &token, second).await.map(drop), by_long, "{second}");
        assert_eq!(name(&short, &token, second).await.map(drop), by_short, "{second}");
    }
}

#[tokio::test]
async fn what_is_not_marked_as_an_access_token_must_say_what_no_id_token_says() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let lax = verifier(provider.config());
    let strict = verifier(IssuerConfig { require_at_jwt: true, ..provider.config() });
    let (at_jwt, plain) = (Some("at+jwt"), Some("JWT"));
    for (typ, other, by_lax, by_strict) in [
        (at_jwt, json!({"client_id": null}), true, true),
        (Some("application/at+jwt"), json!({}), true, true),
        (plain, json!({}), true, false),
        (None, json!({}), true, false),
        (plain, json!({"client_id": null, "typ": "Bearer"}), true, false),
        (plain, json!({"client_id": null, "scp": "openid"}), true, false),
        // As an ID token is, with the audience of a client that has our name.
        (plain, json!({"client_id": null, "azp": "desktop", "nonce": "n", "auth_time": NOW}), false, false),
        (Some("logout+jwt"), json!({}), false, false),
        (Some("dpop+jwt"), json!({}), false, false),
    ] {
        let header = Header { typ: typ.map(str::to_owned), ..key.header() };
        let token = key.sign_with(&header, &provider.claims(&other));
        for (verifier, good) in [(&lax, by_lax), (&strict, by_strict)] {
            let judged = name(verifier, &token, 1).await.map(drop);
            let wanted = if good { Ok(()) } else { Err(TokenError::NotForAccess) };
            assert_eq!(judged, wanted, "{typ:?} {other}");
        }
    }
}

#[tokio::test]
async fn a_token_that_its_issuer_did_not_sign_so_is_refused() {
    let (key, rsa, stranger) = (Key::es256("a"), Key::new("r", Algorithm::RS256), Key::es256("a"));
    let provider = Provider::start(&[&key, &rsa]).await;
    let only = [SignatureAlgorithm::ES256].into();
    let verifier = verifier(IssuerConfig { algorithms: only, ..provider.config() });
    let claims = provider.claims(&json!({}));
    let of = |header: Header, with: &Key| with.sign_with(&header, &claims);
    let kid = |kid: Option<&str>| Header { kid: kid.map(str::to_owned), ..key.header() };
    let public = key.public.to_string();
    let by_secret = |algorithm: Algorithm| {
        let header = Header { kid: Some("a".into()), ..Header::new(algorithm) };
        encode(&header, &claims, &EncodingKey::from_secret(public.as_bytes())).unwrap()
    };
    let good = key.sign(&claims);
    let (head, _) = good.rsplit_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9";
    let critical = Header { crit: Some(vec!["exp".into()]), ..key.header() };
    for (token, refused) in [
        (stranger.sign(&claims), TokenError::BadSignature),
        (rsa.sign(&claims), TokenError::BadSignature),
        (of(kid(Some("r")), &key), TokenError::BadSignature),
        (of(kid(Some("unknown")), &key), TokenError::BadSignature),
        (of(kid(None), &key), TokenError::Malformed),
        (by_secret(Algorithm::HS256), TokenError::BadSignature),
        (of(critical, &key), TokenError::Malformed),
        (format!("{head}."), TokenError::BadSignature),
        (format!("{none}.{}.", good.split('.').nth(1).unwrap()), TokenError::Malformed),
        (format!("{good}{}", "A".repeat(9000)), TokenError::TooLong),
    ] {
        assert_eq!(name(&verifier, &token, 1).await, Err(refused), "{token}");
    }
    assert_eq!(name(&verifier, &good, 1).await, Ok("agent7".into()));
}

#[tokio::test]
async fn keys_that_are_not_for_signatures_verify_none() {
    let key = Key::es256("a");
    let provider = Provider::start(&[]).await;
    let token = key.sign(&provider.claims(&json!({})));
    for (field, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES384")),
        ("crv", json!("P-384")),
        ("kid", Value::Null),
    ] {
        let mut other = key.public.clone();
        other[field] = value;
        let secret = json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"});
        provider.publish_raw(vec![json!("no key"), secret, other]);
        let verifier = verifier(provider.config());
        assert_eq!(name(&verifier, &token, 1).await, Err(TokenError::BadSignature), "{field}");
    }
}

#[tokio::test]
async fn the_user_is_in_the_claim_that_the_operator_names_without_its_suffix() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let judge = async |claim: &str, suffix: &str, other: Value| {
        let (user_claim, strip_suffix) = (claim.to_owned(), suffix.to_owned());
        let verifier = verifier(IssuerConfig { user_claim, strip_suffix, ..provider.config() });
        name(&verifier, &key.sign(&provider.claims(&other)), 1).await
    };
    let mail = |verified: Value| json!({"email": "Ann@Example.org", "email_verified": verified});
    let of = |address: &str| json!({"email": address, "email_verified": true});
    let (none, ann) = (Err(TokenError::NoUser), Ok("ann".to_owned()));
    assert_eq!(judge("preferred_username", "", json!({"preferred_username": "Ann"})).await, ann);
    assert_eq!(judge("preferred_username", "", json!({})).await, none);
    assert_eq!(judge("email", "", mail(json!(true))).await, Ok("ann@example.org".into()));
    assert_eq!(judge("email", "@example.ORG", mail(json!(true))).await, ann);
    assert_eq!(judge("email", "@example.org", mail(json!("true"))).await, ann);
    assert_eq!(judge("email", "@example.org", mail(json!(false))).await, none);
    assert_eq!(judge("email", "@example.org", mail(json!("no"))).await, none);
    assert_eq!(judge("email", "@example.org", mail(Value::Null)).await, none);
    assert_eq!(judge("email", "@example.org", json!({"email": "ann@example.org"})).await, none);
    assert_eq!(judge("email", "@example.org", of("ann@example.org.evil.test")).await, none);
    assert_eq!(judge("email", "@example.org", of("ann")).await, none);
    assert_eq!(judge("email", "@example.org", of("@example.org")).await, none);
}

#[tokio::test]
async fn li_1_roles_come_from_a_claim_and_rights_over_others_from_nothing_else() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let roles: [(&str, MappedRole); 4] = [
        ("lead", MappedRole::Supervisor),
        ("Contact Centre Audit", MappedRole::Auditor),
        ("crm", MappedRole::Application),
        ("root", MappedRole::Administrator),
    ];
    let roles: std::collections::BTreeMap<_, _> = roles.map(|(value, role)| (value.to_owned(), role)).into();
    let config =
        |claim: &str| IssuerConfig { roles_claim: claim.into(), roles: roles.clone(), ..provider.config() };
    let (at_path, by_name) = (verifier(config("realm.roles")), verifier(config("https://x.org/roles")));
    for (values, kind, has, lacks) in [
        (json!(["lead", "other"]), PrincipalKind::User, "session.team", "session.proxy"),
        (json!("lead"), PrincipalKind::User, "session.team", "session.proxy"),
        (json!("x lead"), PrincipalKind::User, "session.team", "audit.read"),
        (json!("Contact Centre Audit"), PrincipalKind::User, "audit.read", "session.own"),
        (json!(["administrator", "service", "ROOT"]), PrincipalKind::User, "session.own", "session.team"),
        (json!([7, {"lead": 1}, null]), PrincipalKind::User, "session.own", "session.team"),
        (json!({"lead": true}), PrincipalKind::User, "session.own", "session.team"),
        (json!(["crm"]), PrincipalKind::Application, "session.proxy", "directory.write"),
        (json!(["root", "lead"]), PrincipalKind::Administrator, "directory.write", "directory.resolve"),
    ] {
        let (path, flat) = (json!({"realm": {"roles": values}}), json!({"https://x.org/roles": values}));
        for (verifier, other) in [(&at_path, path), (&by_name, flat)] {
            let (found, scopes) = role(verifier, &key.sign(&provider.claims(&other))).await;
            let holds = |scope: &str| scopes.iter().any(|held| held == scope);
            assert!(found == kind && holds(has) && !holds(lacks), "{other}: {found:?} {scopes:?}");
        }
    }
    // What the token says of scopes and kinds of ours gives nothing.
    let boasting = json!({"scope": "directory.write service", "kind": "service", "roles": ["administrator"]});
    let (kind, scopes) = role(&at_path, &key.sign(&provider.claims(&boasting))).await;
    assert_eq!((kind, scopes.len()), (PrincipalKind::User, 2), "{scopes:?}");
    let nobody = verifier(IssuerConfig { default_roles: [].into(), ..provider.config() });
    assert!(role(&nobody, &key.sign(&provider.claims(&json!({})))).await.1.is_empty());
}

#[tokio::test]
async fn keys_are_used_while_the_issuer_is_away_and_not_for_ever() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let verifier = verifier(provider.config());
    let long = json!({"exp": NOW + 1_000_000});
    let (token, later) = (
        key.sign(&provider.claims(&long)),
        key.sign(&provider.claims(&json!({"jti": "2", "exp": NOW + 1_000_000}))),
    );
    assert_eq!(name(&verifier, &token, 1).await, Ok("agent7".into()));
    provider.go_away(true);
    let day = 24 * 3600;
    for second in [2, 3600, day] {
        assert_eq!(name(&verifier, &token, second).await, Ok("agent7".into()), "{second}");
        assert_eq!(name(&verifier, &later, second).await, Ok("agent7".into()), "{second}");
    }
    assert_eq!(provider.fetched(), 1, "what is known needs no fetch");
    for token in [&token, &later] {
        assert_eq!(name(&verifier, token, day + 1).await, Err(TokenError::IssuerUnavailable));
    }
    provider.go_away(false);
    assert_eq!(name(&verifier, &token, day + 2).await, Err(TokenError::IssuerUnavailable), "it cools down");
    assert_eq!(name(&verifier, &token, day + 6).await, Ok("agent7".into()));
}

#[tokio::test]
async fn an_issuer_that_is_away_from_the_beginning_is_unavailable_and_nobody_a_liar() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let verifier = verifier(provider.config());
    let token = key.sign(&provider.claims(&json!({})));
    provider.go_away(true);
    assert_eq!(name(&verifier, &token, 1).await, Err(TokenError::IssuerUnavailable));
    provider.go_away(false);
    assert_eq!(name(&verifier, &token, 6).await, Ok("agent7".into()));
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_at_once_and_one_that_has_gone_is_not_believed() {
    let (old, new) = (Key::es256("old"), Key::es256("new"));
    let provider = Provider::start(&[&old]).await;
    let verifier = verifier(provider.config());
    let (by_old, by_new) = (old.sign(&provider.claims(&json!({}))), new.sign(&provider.claims(&json!({}))));
    assert_eq!(name(&verifier, &by_old, 1).await, Ok("agent7".into()));
    provider.publish(&[&new]);
    assert_eq!(name(&verifier, &by_old, 1).await, Ok("agent7".into()), "nobody knows yet");
    assert_eq!(name(&verifier, &by_new, 1).await, Ok("agent7".into()));
    assert_eq!(name(&verifier, &by_old, 1).await, Err(TokenError::BadSignature));
    assert_eq!(name(&verifier, &by_new, 1).await, Ok("agent7".into()));
}

#[tokio::test]
async fn forged_key_ids_cost_one_fetch_in_five_seconds_however_many_come() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let verifier = Arc::new(verifier(provider.config()));
    let good = key.sign(&provider.claims(&json!({})));
    assert!(name(&verifier, &good, 0).await.is_ok());
    let before = provider.fetched();
    for second in [1, 5, 6, 11] {
        let mut forging = tokio::task::JoinSet::new();
        for number in 0..50 {
            let header = Header { kid: Some(format!("forged{number}")), ..key.header() };
            let (token, verifier) =
                (key.sign_with(&header, &provider.claims(&json!({}))), Arc::clone(&verifier));
            forging.spawn(async move { name(&verifier, &token, second).await });
        }
        for judged in forging.join_all().await {
            assert_eq!(judged, Err(TokenError::BadSignature));
        }
        assert!(name(&verifier, &good, second).await.is_ok());
    }
    assert_eq!(provider.fetched() - before, 3);
}

#[tokio::test]
async fn an_issuer_that_says_it_is_another_one_or_publishes_nonsense_is_not_believed() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let token = key.sign(&provider.claims(&json!({})));
    provider.call_itself(&format!("{}/", provider.url));
    let by_discovery = verifier(provider.config());
    assert_eq!(name(&by_discovery, &token, 1).await, Err(TokenError::IssuerUnavailable));
    for wrong in ["/introspect", "/nowhere"] {
        let explicit =
            verifier(IssuerConfig { jwks_uri: format!("{}{wrong}", provider.url), ..provider.config() });
        assert_eq!(name(&explicit, &token, 1).await, Err(TokenError::IssuerUnavailable), "{wrong}");
    }
    let explicit = verifier(IssuerConfig { jwks_uri: format!("{}/keys", provider.url), ..provider.config() });
    assert_eq!(name(&explicit, &token, 1).await, Ok("agent7".into()));
}

#[tokio::test]
async fn each_of_several_issuers_signs_for_itself_alone() {
    let (one, two) = (Key::es256("a"), Key::es256("a"));
    let (first, second) = (Provider::start(&[&one]).await, Provider::start(&[&two]).await);
    let verifier = verifier_with(vec![first.config(), second.config()], Revocations::new());
    let (of_first, of_second) = (first.claims(&json!({})), second.claims(&json!({"sub": "ann"})));
    assert_eq!(name(&verifier, &one.sign(&of_first), 1).await, Ok("agent7".into()));
    assert_eq!(name(&verifier, &two.sign(&of_second), 1).await, Ok("ann".into()));
    assert_eq!(name(&verifier, &one.sign(&of_second), 1).await, Err(TokenError::BadSignature));
    assert_eq!(name(&verifier, &two.sign(&of_first), 1).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn whose_tokens_are_revoked_here_is_refused_with_those_of_his_issuer_until_he_has_a_later_one() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let revocations = Revocations::new();
    let verifier = verifier_with(vec![provider.config()], revocations.clone());
    let issued = |second: i64| key.sign(&provider.claims(&json!({"iat": NOW + second})));
    let before = issued(0);
    assert!(name(&verifier, &before, 2).await.is_ok());
    let instant = |second: i64| Some(prost_types::Timestamp { seconds: NOW + second, nanos: 500_000_000 });
    let revocation = Revocation {
        of: Some(Of::Principal("agent7".into())),
        signed_until: instant(2),
        expire_time: instant(5000),
    };
    revocations.add(&ListRevocationsResponse { revocations: vec![revocation], revision: 1 }, at(3));
    for (token, judged) in [(before, false), (issued(2), false), (issued(3), true)] {
        let wanted = if judged { Ok(()) } else { Err(TokenError::Revoked) };
        assert_eq!(name(&verifier, &token, 4).await.map(drop), wanted);
    }
}

/// Keys are there before anybody needs them.
#[tokio::test]
async fn keys_are_fetched_in_the_background() {
    let key = Key::es256("a");
    let provider = Provider::start(&[&key]).await;
    let verifier = verifier(provider.config());
    let token = key.sign(&provider.claims(&json!({})));
    let arrived = async {
        while provider.fetched() == 0 {
            tokio::task::yield_now().await;
        }
        // The first call has nothing to fetch: the issuer does not even know that it was made.
        let judged = name(&verifier, &token, 1).await;
        (judged, provider.fetched())
    };
    let found = tokio::select! {
        found = tokio::time::timeout(std::time::Duration::from_secs(20), arrived) => found.unwrap(),
        () = verifier.follow_outside(Arc::new(|| at(0))) => unreachable!(),
    };
    assert_eq!(found, (Ok("agent7".into()), 1));
}
