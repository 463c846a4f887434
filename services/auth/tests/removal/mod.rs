//! Credentials that are deleted, refresh tokens that come again, and what is written of names that nobody has.

use std::time::Duration;

use roamline_domain::audit::{AuditKind, Hash};
use roamline_proto::auth::{DeleteCredentialsRequest, PrincipalKind, RefreshTokenRequest};
use roamline_proto::error::ErrorReason;
use roamline_store::{AuditQuery, AuditStore, CredentialStore};
use roamline_token::{Bearer, ServiceToken, TokenError};
use tonic::Status;

use crate::site::{Client, Site, password, pin, refusal, user};

async fn delete(client: &mut Client, name: &str, kind: PrincipalKind) -> Result<(), Status> {
    let request = DeleteCredentialsRequest { names: vec![name.into()], principal_kind: kind.into() };
    client.delete_credentials(request).await.map(|_| ())
}

/// The profile service, as it calls when a user is deleted.
fn directory(site: &Site) -> Client {
    let token = ServiceToken::new(site.auth.signer(), "profile", site.clock.reader());
    site.client_with(Bearer::service(token))
}

#[tokio::test]
async fn sp_14_whoever_is_given_the_id_of_a_deleted_user_has_nothing_of_his() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let before = site.sign_in("agent7", pin("12345")).await.unwrap();
    for _ in 0..3 {
        site.sign_in("agent7", pin("9")).await.unwrap_err();
    }
    for _ in 0..2 {
        delete(&mut directory(&site), "agent7", PrincipalKind::User).await.unwrap();
    }
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    let refresh = RefreshTokenRequest { refresh_token: before.refresh_token };
    refusal(site.client().refresh_token(refresh).await, ErrorReason::RefreshTokenRefused);
    let verifier = site.auth.verifier();
    let judged = verifier.verify(&before.access_token, site.clock.now()).await;
    assert_eq!(judged.map(|_| ()), Err(TokenError::Revoked));

    site.set(vec![user("agent7", "27182818")]).await.unwrap();
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    let after = site.sign_in("agent7", pin("27182818")).await.unwrap();
    verifier.verify(&after.access_token, site.clock.now()).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn dp_16_a_service_deletes_users_alone_and_a_name_that_is_free_may_be_anybodys() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let mut boss = user("boss", "");
    boss.principal_kind = PrincipalKind::Administrator.into();
    boss.credential = password("a password of his own");
    site.set(vec![boss]).await.unwrap();
    delete(&mut directory(&site), "boss", PrincipalKind::User).await.unwrap();
    site.sign_in("boss", password("a password of his own")).await.unwrap();
    for kind in [PrincipalKind::Unspecified, PrincipalKind::Administrator] {
        refusal(delete(&mut directory(&site), "boss", kind).await, ErrorReason::ScopeMissing);
    }
    refusal(
        delete(&mut site.administrator(), "no such name!", PrincipalKind::User).await,
        ErrorReason::InvalidRequest,
    );
    delete(&mut site.administrator(), "agent7", PrincipalKind::Unspecified).await.unwrap();
    let mut link = user("agent7", "");
    link.principal_kind = PrincipalKind::PhoneLink.into();
    link.credential = password("a password of the link");
    site.set(vec![link]).await.unwrap();
    site.sign_in("agent7", password("a password of the link")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn ev_1_a_refresh_token_that_comes_again_is_in_the_audit_trail_once() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let first = site.sign_in("agent7", pin("12345")).await.unwrap();
    let refresh = || RefreshTokenRequest { refresh_token: first.refresh_token.clone() };
    site.client().refresh_token(refresh()).await.unwrap();
    site.hand.advance(Duration::from_secs(11));
    for _ in 0..3 {
        refusal(site.client().refresh_token(refresh()).await, ErrorReason::RefreshTokenRefused);
    }
    let records = site.store.records(&AuditQuery::default(), 0, 10).await.unwrap();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.number, record.kind), (1, AuditKind::RefreshTokenReused));
    assert_eq!((record.user.as_str(), record.at), ("agent7", site.clock.now()));
    assert_eq!(record.hash, Hash::default().then(&record.body));
    let body: serde_json::Value = serde_json::from_str(&record.body).unwrap();
    assert_eq!(body["actor"]["source"], "127.0.0.1");
    assert_eq!((&body["kind"], &body["user"]), (&"refresh-token-reused".into(), &"agent7".into()));
    assert!(!record.body.contains(&first.refresh_token));
    site.stop().await;
}

#[tokio::test]
async fn li_2_a_refusal_is_one_write_whoever_is_named_and_whether_he_is_locked() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    // Who does not exist is written down as the decoy that stands in for him.
    let written = async || {
        let mut versions = site.principal("agent7").await.version;
        for number in 0..64 {
            let decoy = format!("roamline.decoy.{number}").parse().unwrap();
            versions += site.store.principal(&decoy).await.unwrap().map_or(0, |decoy| decoy.version);
        }
        versions
    };
    let mut before = written().await;
    let tries = [
        ("agent7", pin("1")),
        ("agent7", pin("2")),
        ("agent7", pin("3")),
        ("agent7", pin("4")),
        ("agent7", pin("12345")),
        ("agent7", password("he has none")),
        ("nobody", pin("1")),
        ("nobody", password("x")),
        ("roamline.decoy.7", pin("1")),
    ];
    for (name, credential) in tries {
        refusal(site.sign_in(name, credential).await, ErrorReason::CredentialRefused);
        let after = written().await;
        assert_eq!(after, before + 1, "{name}");
        before = after;
    }
    site.stop().await;
}
