//! The auth service over gRPC on loopback, on the memory store: each reason, and what nobody may learn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

mod age;
mod key_files;
mod own_policy;
mod policy;
mod refused;
mod removal;
mod site;
mod throttle;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use roamline_auth::AuthConfig;
use roamline_auth::HashingConfig;
use roamline_domain::credential::Tally;
use roamline_proto::auth::credential::Kind;
use roamline_proto::auth::{
    ChangeCredentialRequest, Credential, GetJsonWebKeySetRequest, NewCredential, PrincipalKind, Role,
    SetCredentialsRequest, SignInRequest, VerifyCredentialRequest,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::CredentialStore;
use roamline_token::{RemoteKeys, Verifier};
use secrecy::ExposeSecret;
use site::{Site, cheap, password, pin, refusal, user};
use tonic::{Code, Status};

#[tokio::test]
async fn a_right_pin_is_traded_for_a_token_that_the_published_keys_verify() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let answer = site.sign_in("agent7", pin("12345")).await.unwrap();
    assert_eq!(answer.scopes, roamline_token::scopes_of_roles([Role::Agent]));
    assert_eq!(answer.principal_kind(), PrincipalKind::User);
    let expires = answer.expire_time.unwrap().seconds;
    assert_eq!(expires, site.clock.now().as_second() + 3600);

    let keys =
        site.client().get_json_web_key_set(GetJsonWebKeySetRequest {}).await.unwrap().into_inner().keys;
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].kid, site.auth.signer().public_key().kid);
    let elsewhere =
        Verifier::new("roamline:test", "roamline:test", Arc::new(RemoteKeys::new(site.channel())));
    for verifier in [site.auth.verifier(), elsewhere] {
        let caller = verifier.caller(&answer.access_token, site.clock.now(), None).await.unwrap();
        assert_eq!(caller.name, "agent7");
    }
    site.stop().await;
}

#[tokio::test]
async fn li_2_unknown_locked_and_wrong_get_one_answer_after_the_same_work() {
    let site =
        Site::with(&[user("agent7", "12345"), user("locked", "12345"), user("pinless", "12345")]).await;
    for _ in 0..3 {
        site.sign_in("locked", pin("99999")).await.unwrap_err();
    }
    let cases = [
        ("nobody", pin("12345")),
        ("agent7", pin("12346")),
        ("locked", pin("12345")),
        ("locked", pin("12346")),
        ("pinless", password("12345")),
    ];
    let mut answers = Vec::new();
    for (name, credential) in cases {
        for verify in [false, true] {
            let before = site.auth.verifications();
            let status = match verify {
                true => site.verify(name, credential.clone()).await.unwrap_err(),
                false => site.sign_in(name, credential.clone()).await.unwrap_err(),
            };
            assert_eq!(site.auth.verifications() - before, 1, "{name}");
            answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
        }
        if name == "agent7" {
            site.sign_in(name, pin("12345")).await.unwrap();
        }
    }
    assert_eq!(answers[0].0, Code::Unauthenticated);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    site.stop().await;
}

#[tokio::test]
async fn sp_14_three_failures_lock_for_half_an_hour_and_an_administrator_can_lift_it() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    for _ in 0..3 {
        site.sign_in("agent7", pin("1")).await.unwrap_err();
    }
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.hand.advance(Duration::from_secs(30 * 60 - 1));
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.hand.advance(Duration::from_secs(1));
    site.sign_in("agent7", pin("12345")).await.unwrap();

    for _ in 0..3 {
        site.sign_in("agent7", pin("1")).await.unwrap_err();
    }
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.set(vec![user("agent7", "54321")]).await.unwrap();
    site.sign_in("agent7", pin("54321")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_failures_are_kept_before_the_answer_and_survive_a_restart() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    site.sign_in("agent7", pin("1")).await.unwrap_err();
    assert_eq!(site.attempts("agent7").await.tally.failures, 1);
    site.sign_in("agent7", pin("2")).await.unwrap_err();
    let site = site.restart(cheap()).await;
    site.sign_in("agent7", pin("3")).await.unwrap_err();
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.stop().await;
}

#[tokio::test]
async fn sp_14_guesses_at_once_count_each() {
    let site = Arc::new(Site::with(&[user("agent7", "12345")]).await);
    let guesses = (0..15).map(|guess| {
        let site = Arc::clone(&site);
        async move { site.sign_in("agent7", pin(&format!("9{guess}"))).await.unwrap_err().code() }
    });
    let codes = futures::future::join_all(guesses).await;
    assert!(codes.iter().all(|code| *code == Code::Unauthenticated));
    assert_eq!(site.attempts("agent7").await.tally.failures, 3);
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
}

#[tokio::test]
async fn li_2_must_change_is_told_to_its_owner_alone() {
    let mut agent = user("agent7", "12345");
    agent.must_change = true;
    let site = Site::with(&[agent]).await;
    refusal(site.sign_in("agent7", pin("12346")).await, ErrorReason::CredentialRefused);
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialMustChange);
    refusal(site.verify("agent7", pin("12345")).await, ErrorReason::CredentialMustChange);
    site.change("agent7", pin("12345"), pin("27182818")).await.unwrap();
    site.sign_in("agent7", pin("27182818")).await.unwrap();
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.stop().await;
}

#[tokio::test]
async fn a_change_needs_the_current_one_and_a_replacement_that_will_do() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    refusal(site.change("agent7", pin("12346"), pin("27182818")).await, ErrorReason::CredentialRefused);
    refusal(site.change("nobody", pin("12346"), pin("27182818")).await, ErrorReason::CredentialRefused);
    let weak = refusal(site.change("agent7", pin("12345"), pin("1")).await, ErrorReason::CredentialTooWeak);
    assert_eq!(weak.violations[0].0, "replacement");
    refusal(site.change("agent7", pin("12345"), pin("12345")).await, ErrorReason::CredentialTooWeak);
    refusal(site.change("agent7", pin("12345"), password("secret")).await, ErrorReason::InvalidRequest);
    site.sign_in("agent7", pin("12345")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn a_malformed_request_names_every_field() {
    let site = Site::with(&[]).await;
    let wrong = refusal(site.sign_in("no spaces", None).await, ErrorReason::InvalidRequest);
    let fields: Vec<_> = wrong.violations.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["name", "credential"]);
    refusal(site.sign_in("agent7", pin(&"1".repeat(65))).await, ErrorReason::InvalidRequest);
    refusal(site.sign_in("agent7", pin("")).await, ErrorReason::InvalidRequest);
    refusal(site.verify(&"x".repeat(129), pin("1")).await, ErrorReason::InvalidRequest);
    let many = vec![NewCredential::default(); 10_001];
    refusal(site.set(many).await, ErrorReason::InvalidRequest);
    site.stop().await;
}

#[tokio::test]
async fn credentials_are_set_all_or_none() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let weak = vec![user("agent8", "12345"), user("agent9", "12a"), user("agent7", "99999")];
    let told = refusal(site.set(weak).await, ErrorReason::CredentialTooWeak);
    assert_eq!(told.violations[0].0, "credentials[1].credential");

    let mut wrong = vec![user("agent8", "12345"), user("AGENT9", "12345"), user("agent8", "54321")];
    wrong.push(NewCredential::default());
    let told = refusal(site.set(wrong).await, ErrorReason::ResourceInvalid);
    let fields: Vec<_> = told.violations.iter().map(|(field, _)| field.as_str()).collect();
    let expected = [
        "credentials[1].name",
        "credentials[2].credential",
        "credentials[3].principal_kind",
        "credentials[3].name",
        "credentials[3].credential",
    ];
    assert_eq!(fields, expected);

    for name in ["agent8", "agent9"] {
        refusal(site.sign_in(name, pin("12345")).await, ErrorReason::CredentialRefused);
    }
    site.sign_in("agent7", pin("12345")).await.unwrap();

    let request = SetCredentialsRequest { credentials: vec![user("agent8", "12345")], validate_only: true };
    site.administrator().set_credentials(request).await.unwrap();
    refusal(site.sign_in("agent8", pin("12345")).await, ErrorReason::CredentialRefused);

    let mut both = vec![user("agent8", "12345"), user("agent8", "")];
    both[1].credential = password("correct horse");
    site.set(both).await.unwrap();
    site.sign_in("agent8", pin("12345")).await.unwrap();
    site.sign_in("agent8", password("correct horse")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn dp_16_a_name_belongs_to_one_kind() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let mut application = user("agent7", "54321");
    application.principal_kind = PrincipalKind::Application.into();
    let told =
        refusal(site.set(vec![user("agent8", "12345"), application]).await, ErrorReason::ResourceExists);
    assert_eq!(told.metadata.get("kind").map(String::as_str), Some("USER"));
    assert_eq!(told.violations[0].0, "credentials[1].name");
    refusal(site.sign_in("agent8", pin("12345")).await, ErrorReason::CredentialRefused);
    site.stop().await;
}

#[tokio::test]
async fn setting_and_verifying_are_not_for_users() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let token = site.sign_in("agent7", pin("12345")).await.unwrap().access_token;
    let mut client = site.client_with(roamline_token::Bearer::token(token));
    let set = client.set_credentials(SetCredentialsRequest::default()).await;
    assert_eq!(refusal(set, ErrorReason::ScopeMissing).metadata["scope"], "credential.write");
    let verify = client.verify_credential(VerifyCredentialRequest::default()).await;
    assert_eq!(refusal(verify, ErrorReason::ScopeMissing).metadata["scope"], "credential.verify");
    let verify = site.client().verify_credential(VerifyCredentialRequest::default()).await;
    refusal(verify, ErrorReason::TokenMissing);
    site.stop().await;
}

#[tokio::test]
async fn more_than_can_wait_are_told_to_come_back() {
    let hashing = HashingConfig { memory_kib: 65_536, passes: 3, lanes: 1, concurrency: 1, waiting: 0 };
    let site = Arc::new(Site::start(AuthConfig { hashing, ..cheap() }).await);
    let tries = (0..8).map(|_| {
        let site = Arc::clone(&site);
        async move { site.sign_in("nobody", pin("12345")).await.unwrap_err() }
    });
    let answers: Vec<Refusal> = futures::future::join_all(tries)
        .await
        .iter()
        .map(|status: &Status| Refusal::from_status(status).unwrap())
        .collect();
    assert!(answers.iter().any(|answer| answer.reason == ErrorReason::CredentialRefused));
    let busy = answers.iter().find(|answer| answer.reason == ErrorReason::TooManyRequests).unwrap();
    let (soonest, latest) = (Duration::from_millis(250), Duration::from_secs(60));
    assert!(busy.retry_after.is_some_and(|wait| wait >= soonest && wait <= latest), "{busy:?}");
}

#[tokio::test]
async fn a_corrupt_hash_is_a_refusal_outside() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let mut principal = site.store.principal(&"agent7".parse().unwrap()).await.unwrap().unwrap();
    principal.pin.as_mut().unwrap().hash = "$argon2id$v=19$m=4294967295,t=1,p=1$broken".into();
    assert!(site.store.set_principals(vec![principal]).await.unwrap());
    let before = site.auth.verifications();
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    assert_eq!(site.auth.verifications() - before, 1);
    site.stop().await;
}

#[tokio::test]
async fn a_hash_of_old_parameters_is_renewed_at_the_next_sign_in() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let renewed = AuthConfig { hashing: HashingConfig { passes: 2, ..cheap().hashing }, ..cheap() };
    let site = site.restart(renewed).await;
    site.sign_in("agent7", pin("99999")).await.unwrap_err();
    assert!(site.hash("agent7").await.contains("t=1"));
    site.sign_in("agent7", pin("12345")).await.unwrap();
    assert!(site.hash("agent7").await.contains("t=2"));
    assert_eq!(site.attempts("agent7").await.tally, Tally::default());
    site.sign_in("agent7", pin("12345")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn right_secrets_at_once_all_pass_though_one_of_them_renews_the_hash() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let renewed = AuthConfig { hashing: HashingConfig { passes: 2, ..cheap().hashing }, ..cheap() };
    let site = site.restart(renewed).await;
    let answers = futures::future::join_all((0..8).map(|_| site.sign_in("agent7", pin("12345")))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(site.hash("agent7").await.contains("t=2"));
    site.stop().await;
}

#[tokio::test]
async fn keys_survive_a_restart_and_so_do_tokens() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let token = site.sign_in("agent7", pin("12345")).await.unwrap().access_token;
    let site = site.restart(cheap()).await;
    assert!(site.auth.verifier().caller(&token, site.clock.now(), None).await.is_ok());
    site.stop().await;
}

#[tokio::test]
async fn the_administrator_is_made_once() {
    let site = Site::with(&[]).await;
    let name = "admin".parse().unwrap();
    let secret = roamline_auth::random_password().unwrap();
    assert_eq!(secret.expose_secret().len(), 28);
    assert!(site.auth.ensure_administrator(&name, &secret).await.unwrap());
    let other = roamline_auth::random_password().unwrap();
    assert!(!site.auth.ensure_administrator(&name, &other).await.unwrap(), "who is there stays as he is");
    let answer = site.sign_in("admin", password(secret.expose_secret())).await.unwrap();
    assert!(answer.scopes.iter().any(|scope| scope == "directory.write"));
    site.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_is_told_as_such_and_changes_nothing() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    site.store.fail(true);
    let told = refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::StoreUnavailable);
    assert!(told.retry_after.is_some());
    refusal(site.set(vec![user("agent7", "54321")]).await, ErrorReason::StoreUnavailable);
    site.store.fail(false);
    site.sign_in("agent7", pin("12345")).await.unwrap();
    site.store.corrupt(true);
    let told = refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::Internal);
    assert!(told.metadata.contains_key("traceId"));
    site.stop().await;
}

#[tokio::test]
async fn no_secret_is_logged_or_printed() {
    let secret = "2718281828";
    let log = site::capture_logs();
    let site = Site::with(&[user("agent7", secret)]).await;
    site.sign_in("agent7", pin(secret)).await.unwrap();
    site.sign_in("nobody", pin(secret)).await.unwrap_err();
    site.sign_in(secret, password(secret)).await.unwrap_err();
    site.change("agent7", pin("99999"), pin(secret)).await.unwrap_err();
    site.store.fail(true);
    site.sign_in("agent7", pin(secret)).await.unwrap_err();
    let requests = [
        format!("{:?}", SignInRequest { name: "agent7".into(), credential: pin(secret) }),
        format!("{:?}", ChangeCredentialRequest { replacement: pin(secret), ..Default::default() }),
        format!("{:?}", user("agent7", secret)),
        format!("{:?}", Credential { kind: Some(Kind::Password(secret.into())) }),
    ];
    assert!(requests.iter().all(|printed| !printed.contains(secret)));
    let log = log.text();
    assert!(log.contains("credentials cannot be read"), "{log}");
    assert!(!log.contains(secret), "{log}");
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_changed_pin_is_refused_at_once_by_every_replica() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let other = site.replica().await;
    other.sign_in("agent7", pin("12345")).await.unwrap();
    site.change("agent7", pin("12345"), pin("27182818")).await.unwrap();
    refusal(other.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    other.sign_in("agent7", pin("27182818")).await.unwrap();
    other.set(vec![user("agent7", "31415926")]).await.unwrap();
    refusal(site.sign_in("agent7", pin("27182818")).await, ErrorReason::CredentialRefused);
    site.sign_in("agent7", pin("31415926")).await.unwrap();
    other.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn roles_are_kept_told_and_refused_to_whom_they_do_not_fit() {
    let with = |roles: &[Role]| NewCredential {
        roles: roles.iter().map(|role| (*role).into()).collect(),
        ..user("agent7", "12345")
    };
    let site = Site::with(&[user("agent7", "12345")]).await;
    let roles = async || site.sign_in("agent7", pin("12345")).await.unwrap().roles;
    assert_eq!(roles().await, [i32::from(Role::Agent)], "that of his kind");
    site.set(vec![with(&[Role::Supervisor, Role::Agent])]).await.unwrap();
    site.set(vec![with(&[])]).await.unwrap();
    assert_eq!(
        roles().await,
        [i32::from(Role::Agent), Role::Supervisor.into()],
        "none leaves them as they are"
    );
    for wrong in [Role::Application, Role::Administrator, Role::Service, Role::Peer, Role::Unspecified] {
        let told = refusal(site.set(vec![with(&[Role::Agent, wrong])]).await, ErrorReason::ResourceInvalid);
        assert_eq!(told.violations[0].0, "credentials[0].roles", "{wrong:?}");
    }
    let both = vec![with(&[Role::Agent]), NewCredential { credential: password("x y z"), ..with(&[]) }];
    refusal(site.set(both).await, ErrorReason::ResourceInvalid);
    assert_eq!(roles().await.len(), 2);
    site.stop().await;
}
