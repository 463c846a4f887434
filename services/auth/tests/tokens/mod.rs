//! Refresh tokens, revocations, keys and tokens of services, over gRPC, on one replica and on two.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use roamline_auth::{Auth, AuthConfig, BuildError};
use roamline_proto::auth::{
    GetJsonWebKeySetRequest, IssueServiceTokenRequest, JsonWebKey, RefreshTokenRequest, RefreshTokenResponse,
    RevokeTokensRequest, RotateSigningKeysRequest, SignInResponse, SignOutRequest,
};
use roamline_proto::error::ErrorReason;
use roamline_serve::Ids;
use roamline_store::TokenStore;
use roamline_token::{Bearer, RemoteKeys, RemoteRevocations, ServiceToken, TokenError, Verifier};
use tonic::Status;

use crate::site::{Site, cheap, pin, refusal, user};

const CLUSTER: &str = "roamline:test";

async fn refresh(site: &Site, token: &str) -> Result<RefreshTokenResponse, Status> {
    let request = RefreshTokenRequest { refresh_token: token.into() };
    site.client().refresh_token(request).await.map(tonic::Response::into_inner)
}

async fn refused(site: &Site, token: &str) {
    refusal(refresh(site, token).await, ErrorReason::RefreshTokenRefused);
}

async fn signed_in(site: &Site) -> SignInResponse {
    site.sign_in("agent7", pin("12345")).await.unwrap()
}

async fn judged(verifier: &Verifier, site: &Site, token: &str) -> Result<(), TokenError> {
    verifier.verify(token, site.clock.now()).await.map(|_| ())
}

pub(crate) async fn published(site: &Site) -> Vec<JsonWebKey> {
    let answer = site.client().get_json_web_key_set(GetJsonWebKeySetRequest {}).await.unwrap();
    answer.into_inner().keys
}

/// Looks again and again until it is so.
pub(crate) async fn before_long<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    let looking = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if so().await {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect(what);
}

#[tokio::test]
async fn a_refresh_token_is_traded_for_the_next_pair_and_for_the_same_where_the_answer_was_lost() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let first = signed_in(&site).await;
    assert!(!format!("{first:?}").contains(&first.refresh_token));
    site.hand.advance(Duration::from_secs(3000));
    let second = refresh(&site, &first.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_eq!(second.scopes, first.scopes);
    assert_eq!(second.expire_time.unwrap().seconds, site.clock.now().as_second() + 3600);
    site.hand.advance(Duration::from_secs(10));
    let again = refresh(&site, &first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    let verifier = site.auth.verifier();
    for token in [&first.access_token, &second.access_token, &again.access_token] {
        let claims = verifier.verify(token, site.clock.now()).await.unwrap();
        assert!(claims.sid.is_some() && claims.roles == ["agent"]);
    }
    refresh(&site, &second.refresh_token).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_every_token_of_its_sign_in_and_of_no_other() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let (stolen, other) = (signed_in(&site).await, signed_in(&site).await);
    let next = refresh(&site, &stolen.refresh_token).await.unwrap();
    site.hand.advance(Duration::from_secs(11));
    refused(&site, &stolen.refresh_token).await;
    refused(&site, &next.refresh_token).await;
    let verifier = site.auth.verifier();
    for token in [&stolen.access_token, &next.access_token] {
        assert_eq!(judged(&verifier, &site, token).await, Err(TokenError::Revoked));
    }
    assert_eq!(judged(&verifier, &site, &other.access_token).await, Ok(()));
    refresh(&site, &other.refresh_token).await.unwrap();
    for none in ["", "x", "roamline-refresh.x.0.y.z", &other.access_token] {
        refused(&site, none).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_used_on_two_replicas_at_once_has_one_successor() {
    let one = Site::with(&[user("agent7", "12345")]).await;
    let two = one.replica().await;
    let mut token = signed_in(&one).await.refresh_token;
    for _ in 0..8 {
        let used = (0..8).map(|number| refresh(if number % 2 == 0 { &one } else { &two }, &token));
        let answers: Vec<_> = join_all(used).await.into_iter().map(|answer| answer.unwrap()).collect();
        assert!(answers.iter().all(|answer| answer.refresh_token == answers[0].refresh_token));
        token = answers[0].refresh_token.clone();
    }
    two.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn a_sign_in_ends_when_it_is_not_refreshed_and_after_its_longest_time() {
    let mut config = cheap();
    config.tokens.refresh_token_lives_for = Duration::from_secs(3600);
    config.tokens.sign_in_lives_for = Duration::from_secs(9000);
    config.tokens.max_sign_ins = 2;
    let site = Site::start(config).await;
    site.set(vec![user("agent7", "12345")]).await.unwrap();
    let idle = signed_in(&site).await;
    site.hand.advance(Duration::from_secs(3600));
    refused(&site, &idle.refresh_token).await;

    let mut last = signed_in(&site).await.refresh_token;
    for _ in 0..2 {
        site.hand.advance(Duration::from_secs(3500));
        let next = refresh(&site, &last).await.unwrap();
        assert!(next.refresh_expire_time.unwrap().seconds <= site.clock.now().as_second() + 3600);
        last = next.refresh_token;
    }
    site.hand.advance(Duration::from_secs(2000));
    refused(&site, &last).await;

    let oldest = signed_in(&site).await;
    site.hand.advance(Duration::from_secs(1));
    let newer = [signed_in(&site).await, signed_in(&site).await];
    refused(&site, &oldest.refresh_token).await;
    assert_eq!(judged(&site.auth.verifier(), &site, &oldest.access_token).await, Ok(()));
    for newer in newer {
        refresh(&site, &newer.refresh_token).await.unwrap();
    }
    site.stop().await;
}

#[tokio::test]
async fn another_secret_ends_every_sign_in_and_whoever_signs_in_with_it_at_once_is_believed() {
    let site = Site::with(&[user("agent7", "12345"), user("agent8", "12345")]).await;
    let verifier = site.auth.verifier();
    site.hand.advance(Duration::from_secs(2 * 24 * 3600));
    let (before, untouched) = (signed_in(&site).await, site.sign_in("agent8", pin("12345")).await.unwrap());
    site.change("agent7", pin("12345"), pin("27182818")).await.unwrap();
    let after = site.sign_in("agent7", pin("27182818")).await.unwrap();
    assert_eq!(judged(&verifier, &site, &before.access_token).await, Err(TokenError::Revoked));
    refused(&site, &before.refresh_token).await;
    assert_eq!(judged(&verifier, &site, &after.access_token).await, Ok(()));
    let next = refresh(&site, &after.refresh_token).await.unwrap();
    assert_eq!(judged(&verifier, &site, &next.access_token).await, Ok(()));

    site.hand.advance(Duration::from_secs(1));
    site.set(vec![user("agent7", "54321")]).await.unwrap();
    assert_eq!(judged(&verifier, &site, &next.access_token).await, Err(TokenError::Revoked));
    refused(&site, &next.refresh_token).await;
    assert_eq!(judged(&verifier, &site, &untouched.access_token).await, Ok(()));
    site.stop().await;
}

#[tokio::test]
async fn sp_14_guesses_that_lock_a_credential_do_not_stop_a_refresh() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let first = signed_in(&site).await;
    for _ in 0..3 {
        site.sign_in("agent7", pin("1")).await.unwrap_err();
    }
    site.sign_in("agent7", pin("12345")).await.unwrap_err();
    refresh(&site, &first.refresh_token).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn whoever_signs_out_ends_his_own_sign_in_and_nothing_else() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let (gone, stays) = (signed_in(&site).await, signed_in(&site).await);
    let out = async |token: &str| {
        let request = SignOutRequest { refresh_token: token.into() };
        site.client().sign_out(request).await.unwrap();
    };
    // One digit of the mark is another: it was never given out.
    let mut forged = stays.refresh_token.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    for token in ["", "x", &forged, &gone.refresh_token, &gone.refresh_token] {
        out(token).await;
    }
    let verifier = site.auth.verifier();
    assert_eq!(judged(&verifier, &site, &gone.access_token).await, Err(TokenError::Revoked));
    refused(&site, &gone.refresh_token).await;
    assert_eq!(judged(&verifier, &site, &stays.access_token).await, Ok(()));
    refresh(&site, &stays.refresh_token).await.unwrap();
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_tokens_are_refused_at_every_replica_and_service_before_long() {
    let one = Site::with(&[user("agent7", "12345"), user("agent8", "12345")]).await;
    let two = one.replica().await;
    let elsewhere = Arc::new(Verifier::new(CLUSTER, CLUSTER, Arc::new(RemoteKeys::new(one.channel()))));
    let own = Bearer::service(ServiceToken::new(one.auth.signer(), "session", one.clock.reader()));
    let source = Arc::new(RemoteRevocations::new(one.channel(), own));
    let following = elsewhere.follow(source, one.clock.reader());
    let verifiers = [Arc::new(one.auth.verifier()), Arc::new(two.auth.verifier()), elsewhere];

    let (first, other) = (signed_in(&one).await, two.sign_in("agent8", pin("12345")).await.unwrap());
    let looking = async {
        for verifier in &verifiers {
            assert_eq!(judged(verifier, &one, &first.access_token).await, Ok(()));
        }
        let request = RevokeTokensRequest { names: vec!["agent7".into(), "nobody".into()] };
        one.administrator().revoke_tokens(request).await.unwrap();
        for verifier in &verifiers {
            before_long("revoked", || async {
                judged(verifier, &one, &first.access_token).await == Err(TokenError::Revoked)
            })
            .await;
            assert_eq!(judged(verifier, &one, &other.access_token).await, Ok(()));
        }
        let again = signed_in(&two).await;
        for verifier in &verifiers {
            assert_eq!(judged(verifier, &one, &again.access_token).await, Ok(()));
        }
    };
    tokio::select! {
        () = looking => {}
        () = following => {}
    }
    refused(&two, &first.refresh_token).await;
    let told = one.administrator().revoke_tokens(RevokeTokensRequest { names: vec![String::new()] }).await;
    assert_eq!(refusal(told, ErrorReason::InvalidRequest).violations[0].0, "names[0]");
    let request = RevokeTokensRequest { names: vec!["x".into(); 1001] };
    refusal(one.administrator().revoke_tokens(request).await, ErrorReason::InvalidRequest);
    let none = one.client().revoke_tokens(RevokeTokensRequest::default()).await;
    refusal(none, ErrorReason::TokenMissing);
    two.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_one_rotates_the_keys_when_it_is_time_and_both_sign_with_the_next() {
    let one = Site::with(&[user("agent7", "12345")]).await;
    let two = one.replica().await;
    let before = published(&one).await;
    assert_eq!(before.len(), 2);
    let old = signed_in(&one).await;
    one.hand.advance(Duration::from_secs(30 * 24 * 3600));
    let current = async |site: &Site| published(site).await[0].kid.clone();
    for site in [&one, &two] {
        before_long("rotated", || async { current(site).await == before[1].kid }).await;
        assert_eq!(site.auth.signer().public_key().kid, before[1].kid);
    }
    let after = published(&two).await;
    assert_eq!(published(&one).await, after);
    assert_eq!(after.len(), 3, "{after:?}");
    assert_eq!(after[2], before[0], "its tokens may be out");
    let claims = one.auth.verifier().verify(&old.access_token, one.clock.now()).await;
    assert_eq!(claims, Err(TokenError::Expired), "and not untrusted");
    let new = signed_in(&two).await;
    assert_eq!(judged(&one.auth.verifier(), &one, &new.access_token).await, Ok(()));
    two.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn a_compromised_key_is_gone_at_once_with_every_token_that_it_signed() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let (verifier, before) = (site.auth.verifier(), published(&site).await);
    let first = signed_in(&site).await;
    let rotate = async |compromised| {
        let request = RotateSigningKeysRequest { compromised };
        site.administrator().rotate_signing_keys(request).await.unwrap().into_inner()
    };
    let rotated = rotate(false).await;
    assert_eq!(rotated.current_kid, before[1].kid);
    assert_eq!(judged(&verifier, &site, &first.access_token).await, Ok(()));
    let second = signed_in(&site).await;
    assert_eq!(judged(&verifier, &site, &second.access_token).await, Ok(()));

    let compromised = rotated.current_kid;
    let rotated = rotate(true).await;
    let kids: Vec<_> = published(&site).await.into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, [rotated.current_kid, rotated.next_kid, before[0].kid.clone()]);
    assert!(!kids.contains(&compromised));
    let page = site.auth.key_set();
    assert!(kids.iter().all(|kid| page.contains(kid)) && !page.contains(&compromised), "{page}");
    let judgement = judged(&verifier, &site, &second.access_token).await;
    assert_eq!(judgement, Err(TokenError::Untrusted), "its key has left this process's own verifier");
    assert_eq!(judged(&verifier, &site, &first.access_token).await, Ok(()), "of another key");
    let next = refresh(&site, &second.refresh_token).await.unwrap();
    assert_eq!(judged(&site.auth.verifier(), &site, &next.access_token).await, Ok(()));
    refusal(
        site.client().rotate_signing_keys(RotateSigningKeysRequest::default()).await,
        ErrorReason::TokenMissing,
    );
    site.stop().await;
}

#[tokio::test]
async fn a_compromised_key_is_refused_though_the_rotation_fails_and_is_rotated_as_soon_as_it_can_be() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let (verifier, before) = (site.auth.verifier(), published(&site).await);
    let first = signed_in(&site).await;
    assert_eq!(judged(&verifier, &site, &first.access_token).await, Ok(()));
    site.store.keep_keys(true);
    let rotation = RotateSigningKeysRequest { compromised: true };
    let told = site.administrator().rotate_signing_keys(rotation).await;
    refusal(told, ErrorReason::StoreUnavailable);
    assert_eq!(judged(&verifier, &site, &first.access_token).await, Err(TokenError::Revoked));
    site.store.keep_keys(false);
    before_long("rotated", || async { published(&site).await[0].kid == before[1].kid }).await;
    let after = published(&site).await;
    assert!(after.len() == 2 && !after.contains(&before[0]), "{after:?}");
    let next = refresh(&site, &first.refresh_token).await.unwrap();
    assert_eq!(judged(&verifier, &site, &next.access_token).await, Ok(()));
    site.stop().await;
}

#[tokio::test]
async fn signing_keys_are_encrypted_in_the_store_where_the_operator_names_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    let site = Site::with(&[user("agent7", "12345")]).await;
    let token = signed_in(&site).await.access_token;
    let plain = site.store.keys().await.unwrap();
    assert!(plain.iter().all(|key| key.pkcs8[0] == 0x30));

    let mut config = cheap();
    config.tokens.key_encryption_file.clone_from(&file);
    let build = async |config: &AuthConfig| {
        let cluster = "test".parse().unwrap();
        Auth::build(config, site.store.clone(), &cluster, site.clock.clone(), Ids::new()).await
    };
    std::fs::write(&file, "too short\n").unwrap();
    assert!(matches!(build(&config).await, Err(BuildError::KeyEncryption(..))));
    let (first, second) = ("11".repeat(32), "22".repeat(32));
    for lines in [first.clone(), format!("{second}\n{first}\n"), second] {
        std::fs::write(&file, lines).unwrap();
        let auth = build(&config).await.unwrap();
        assert_eq!(judged(&auth.verifier(), &site, &token).await, Ok(()), "the same keys");
        let sealed = site.store.keys().await.unwrap();
        for (sealed, plain) in sealed.iter().zip(&plain) {
            assert_eq!((sealed.kid.as_str(), sealed.pkcs8[0]), (plain.kid.as_str(), 1));
            assert!(!sealed.pkcs8.windows(16).any(|part| plain.pkcs8.windows(16).any(|other| other == part)));
        }
    }
    std::fs::write(&file, first).unwrap();
    assert!(matches!(build(&config).await, Err(BuildError::Key(_))), "another key");
    assert!(matches!(build(&cheap()).await, Err(BuildError::Key(_))), "no key");
    site.stop().await;
}

#[tokio::test]
async fn a_service_proves_itself_with_the_secret_and_its_token_is_good_where_it_calls_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secrets");
    let (old, new) = ("o".repeat(32), "n".repeat(40));
    std::fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    let mut config = cheap();
    config.services.secret_file.clone_from(&file);
    let site = Site::start(config).await;
    let issue = async |service: &str, secret: &str| {
        let request = IssueServiceTokenRequest { service: service.into(), secret: secret.into() };
        site.client().issue_service_token(request).await.map(tonic::Response::into_inner)
    };
    let source = || Arc::new(RemoteKeys::new(site.channel()));
    for secret in [&old, &new] {
        let token = issue("session", secret).await.unwrap().access_token;
        for (service, good) in [("profile", true), ("auth", true), ("session", false), ("emcc", false)] {
            let verifier = Verifier::new(CLUSTER, CLUSTER, source()).of_service(service);
            let judged = judged(&verifier, &site, &token).await;
            assert_eq!(judged.is_ok(), good, "{service}: {judged:?}");
        }
        let caller = site.auth.verifier().caller(&token, site.clock.now(), None).await.unwrap();
        assert!(caller.has("credential.verify") && !caller.has("directory.write"));
    }
    let (short, long) = (&old[1..], format!("{old}o"));
    for (service, secret) in [
        ("session", ""),
        ("session", short),
        ("session", long.as_str()),
        ("nobody", old.as_str()),
        ("", old.as_str()),
    ] {
        refusal(issue(service, secret).await, ErrorReason::CredentialRefused);
    }
    std::fs::write(&file, &new).unwrap();
    refusal(issue("session", &old).await, ErrorReason::CredentialRefused);
    issue("profile", &new).await.unwrap();
    std::fs::write(&file, "short").unwrap();
    refusal(issue("session", "short").await, ErrorReason::Internal);
    site.stop().await;

    let site = Site::start(cheap()).await;
    let request = IssueServiceTokenRequest { service: "session".into(), secret: String::new() };
    refusal(site.client().issue_service_token(request).await, ErrorReason::CredentialRefused);
    site.stop().await;
}
