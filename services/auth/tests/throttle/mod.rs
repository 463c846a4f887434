//! Who fails too often is kept out, and nobody else (SP-14, LI-2, ADR 0013).

use std::time::Duration;

use roamline_auth::{AuthConfig, Limit, ThrottleConfig};
use roamline_proto::auth::VerifyCredentialRequest;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;

use crate::site::{Site, cheap, pin, refusal, user};

const OFFICE: &str = "192.0.2.1";
const STRANGER: &str = "203.0.113.9";

async fn fail(site: &Site, source: &str, name: &str, times: usize) {
    for _ in 0..times {
        refusal(site.verify_from(source, name, "9").await, ErrorReason::CredentialRefused);
    }
}

async fn strict() -> Site {
    let throttle = ThrottleConfig {
        by_user: Limit { failures: 5, a_minute: 1 },
        by_phone: Limit { failures: 6, a_minute: 1 },
        by_source: Limit { failures: 8, a_minute: 1 },
        ..ThrottleConfig::default()
    };
    let site = Site::start(AuthConfig { throttle, ..cheap() }).await;
    site.set(vec![user("agent7", "12345"), user("agent8", "12345")]).await.unwrap();
    site
}

#[tokio::test]
async fn sp_14_a_stranger_locks_himself_out_and_not_the_owner_where_he_works() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    site.verify_from(OFFICE, "agent7", "12345").await.unwrap();
    fail(&site, STRANGER, "agent7", 5).await;
    refusal(site.verify_from(STRANGER, "agent7", "12345").await, ErrorReason::CredentialRefused);
    refusal(site.verify_from("198.51.100.7", "agent7", "12345").await, ErrorReason::CredentialRefused);
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    let other = site.replica().await;
    other.verify_from(OFFICE, "agent7", "12345").await.expect("every replica knows where he works");
    refusal(other.verify_from(STRANGER, "agent7", "12345").await, ErrorReason::CredentialRefused);
    fail(&site, OFFICE, "agent7", 3).await;
    refusal(site.verify_from(OFFICE, "agent7", "12345").await, ErrorReason::CredentialRefused);
    site.hand.advance(Duration::from_secs(30 * 60));
    site.verify_from(OFFICE, "agent7", "12345").await.unwrap();
    other.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_lockout_spares_nobody_where_that_is_not_wanted() {
    let throttle = ThrottleConfig { lockout_spares_known_sources: false, ..ThrottleConfig::default() };
    let site = Site::start(AuthConfig { throttle, ..cheap() }).await;
    site.set(vec![user("agent7", "12345")]).await.unwrap();
    site.verify_from(OFFICE, "agent7", "12345").await.unwrap();
    fail(&site, STRANGER, "agent7", 3).await;
    refusal(site.verify_from(OFFICE, "agent7", "12345").await, ErrorReason::CredentialRefused);
    site.stop().await;
}

#[tokio::test]
async fn li_2_whoever_is_kept_out_is_told_the_same_of_every_name_and_costs_no_work() {
    let site = strict().await;
    let mut told = Vec::new();
    for (source, name) in [(OFFICE, "agent7"), (STRANGER, "nobody")] {
        fail(&site, source, name, 5).await;
        let before = site.auth.verifications();
        let status = site.verify_from(source, name, "12345").await.unwrap_err();
        assert_eq!(site.auth.verifications(), before, "{name}");
        assert_eq!(Refusal::from_status(&status).unwrap().reason, ErrorReason::TooManyRequests);
        told.push((status.code(), status.message().to_owned(), status.details().to_vec()));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    site.stop().await;
}

#[tokio::test]
async fn sp_14_who_tries_every_name_is_kept_out_for_as_long_as_he_is_told() {
    let site = strict().await;
    for n in 0..8 {
        fail(&site, STRANGER, &format!("agent{}", 100 + n), 1).await;
    }
    let told = refusal(site.verify_from(STRANGER, "agent7", "12345").await, ErrorReason::TooManyRequests);
    let wait = told.retry_after.unwrap();
    assert!(wait <= Duration::from_secs(61), "{wait:?}");
    site.verify_from(OFFICE, "agent7", "12345").await.expect("nobody else is");
    site.hand.advance(wait);
    site.verify_from(STRANGER, "agent7", "12345").await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_phone_is_kept_out_for_those_who_come_from_where_the_failures_came_from() {
    let site = strict().await;
    let at = async |source: &str, phone: &str, name: &str, secret: &str| {
        let (source, phone) = (source.into(), phone.into());
        site.verify_as(VerifyCredentialRequest { name: name.into(), credential: pin(secret), source, phone })
            .await
    };
    for n in 0..6 {
        let name = format!("agent{}", 100 + n);
        refusal(at(STRANGER, "SEP001122334455", &name, "9").await, ErrorReason::CredentialRefused);
    }
    refusal(at(STRANGER, "SEP001122334455", "agent7", "12345").await, ErrorReason::TooManyRequests);
    at(OFFICE, "SEP001122334455", "agent7", "12345").await.unwrap();
    at(STRANGER, "SEP001122334456", "agent7", "12345").await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_successes_of_thousands_from_one_address_are_not_counted() {
    let site = strict().await;
    for _ in 0..50 {
        site.verify_from(OFFICE, "agent7", "12345").await.unwrap();
    }
    fail(&site, OFFICE, "agent7", 1).await;
    site.verify_from(OFFICE, "agent8", "12345").await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn where_a_user_is_must_be_an_address_and_a_phone() {
    let site = Site::with(&[]).await;
    let request = VerifyCredentialRequest {
        name: "agent7".into(),
        credential: pin("12345"),
        source: "somewhere".into(),
        phone: "no phone".into(),
    };
    let told = refusal(site.verify_as(request).await, ErrorReason::InvalidRequest);
    let fields: Vec<_> = told.violations.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["source", "phone"]);
    site.stop().await;
}
