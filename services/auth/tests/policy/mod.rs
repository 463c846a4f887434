//! The credential policy as the profile service tells it (SP-14, SP-21): what of it is in force, and when.

use std::time::Duration;

use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::CredentialPolicy;

use crate::site::{Site, password, pin, refusal, user};

fn minutes(minutes: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: minutes * 60, nanos: 0 })
}

async fn fail(site: &Site, times: usize) {
    for _ in 0..times {
        site.sign_in("agent7", pin("9")).await.unwrap_err();
    }
}

async fn is_locked(site: &Site) -> bool {
    site.sign_in("agent7", pin("12345")).await.is_err()
}

#[tokio::test]
async fn sp_14_failures_and_time_of_a_lockout_are_what_the_parameters_say() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let policy = CredentialPolicy {
        failures_before_lockout: Some(2),
        lockout_duration: minutes(5),
        ..Default::default()
    };
    site.tell(Some(policy)).await;
    fail(&site, 1).await;
    assert!(!is_locked(&site).await, "a success counts from the start again");
    fail(&site, 2).await;
    assert!(is_locked(&site).await);
    site.hand.advance(Duration::from_secs(5 * 60));
    assert!(!is_locked(&site).await);

    site.tell(Some(CredentialPolicy { failures_before_lockout: Some(0), ..policy })).await;
    fail(&site, 12).await;
    assert!(!is_locked(&site).await, "0 is without limit");
    site.stop().await;
}

#[tokio::test]
async fn sp_14_failures_further_apart_than_the_reset_interval_do_not_add_up() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let policy = CredentialPolicy {
        failures_before_lockout: Some(2),
        failures_reset_after: minutes(1),
        ..Default::default()
    };
    site.tell(Some(policy)).await;
    for _ in 0..3 {
        fail(&site, 1).await;
        site.hand.advance(Duration::from_secs(60));
    }
    assert!(!is_locked(&site).await);
    fail(&site, 1).await;
    site.hand.advance(Duration::from_secs(59));
    fail(&site, 1).await;
    assert!(is_locked(&site).await);
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_lockout_without_an_end_lasts_until_an_administrator_sets_a_new_credential() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let policy = CredentialPolicy { lockout_duration: minutes(0), ..Default::default() };
    site.tell(Some(policy)).await;
    fail(&site, 3).await;
    site.hand.advance(Duration::from_secs(10 * 365 * 24 * 3600));
    assert!(is_locked(&site).await);
    site.set(vec![user("agent7", "12345")]).await.unwrap();
    assert!(!is_locked(&site).await);
    site.stop().await;
}

#[tokio::test]
async fn sp_14_an_owner_keeps_length_and_trivial_check_and_an_administrator_only_the_form() {
    let site = Site::with(&[user("agent7", "1111")]).await;
    let change = async |from: &str, to: &str| site.change("agent7", pin(from), pin(to)).await;
    for weak in ["2718281", "12345678", "11112222", "12121212"] {
        let told = refusal(change("1111", weak).await, ErrorReason::CredentialTooWeak);
        assert_eq!(told.violations[0].0, "replacement");
    }
    change("1111", "27182818").await.unwrap();
    let lax = CredentialPolicy { minimum_length: Some(0), trivial_check: Some(false), ..Default::default() };
    site.tell(Some(lax)).await;
    refusal(change("27182818", "123").await, ErrorReason::CredentialTooWeak);
    change("27182818", "1234").await.unwrap();
    let long = CredentialPolicy { minimum_length: Some(12), ..lax };
    site.tell(Some(long)).await;
    refusal(change("1234", "27182818284").await, ErrorReason::CredentialTooWeak);
    change("1234", "271828182845").await.unwrap();
    site.set(vec![user("agent7", "1234")]).await.unwrap();
    refusal(site.set(vec![user("agent7", "123")]).await, ErrorReason::CredentialTooWeak);
    site.stop().await;
}

#[tokio::test]
async fn sp_14_what_is_set_for_people_must_be_changed_first_where_the_policy_says_so() {
    let site = Site::with(&[]).await;
    site.tell(Some(CredentialPolicy { must_change_initial: Some(true), ..Default::default() })).await;
    let mut application = user("desktop", "");
    application.principal_kind = PrincipalKind::Application.into();
    application.credential = password("correct horse");
    site.set(vec![user("agent7", "12345"), application]).await.unwrap();
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialMustChange);
    site.sign_in("desktop", password("correct horse")).await.unwrap();
    site.change("agent7", pin("12345"), pin("27182818")).await.unwrap();
    site.sign_in("agent7", pin("27182818")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_21_without_the_profile_service_the_last_policy_known_holds_and_before_it_the_default() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    site.tell(Some(CredentialPolicy { failures_before_lockout: Some(1), ..Default::default() })).await;
    site.tell(None).await;
    fail(&site, 1).await;
    assert!(is_locked(&site).await, "the last one known");
    let site = site.restart_alone().await;
    site.set(vec![user("agent7", "12345")]).await.unwrap();
    fail(&site, 2).await;
    assert!(!is_locked(&site).await);
    fail(&site, 3).await;
    assert!(is_locked(&site).await, "the default");
    site.stop().await;
}
