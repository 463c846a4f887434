//! How long a credential is good, what may follow it, and how long it may lie idle (SP-14).

use std::time::Duration;

use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::CredentialPolicy;
use roamline_proto::refusal::Refusal;

use crate::site::{Site, password, pin, refusal, user};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn must_change(site: &Site, secret: &str) -> String {
    let told = refusal(site.sign_in("agent7", pin(secret)).await, ErrorReason::CredentialMustChange);
    told.metadata["cause"].clone()
}

fn weak(answer: Result<(), tonic::Status>) -> Refusal {
    let told = refusal(answer, ErrorReason::CredentialTooWeak);
    assert_eq!(told.violations[0].0, "replacement");
    told
}

#[tokio::test]
async fn sp_14_an_expired_credential_must_be_changed_and_its_owner_is_warned_before() {
    let mut machine = user("desktop", "");
    machine.principal_kind = PrincipalKind::Application.into();
    machine.credential = password("correct horse");
    let site = Site::with(&[user("agent7", "12345"), machine]).await;
    let policy =
        CredentialPolicy { expires_after_days: Some(30), expiry_warning_days: Some(5), ..Default::default() };
    site.tell(Some(policy)).await;
    let warning = async || site.sign_in("agent7", pin("12345")).await.unwrap().credential_expire_time;
    let expires = site.clock.now().as_second() + 30 * 24 * 3600;
    site.hand.advance(DAY * 25 - Duration::from_secs(1));
    assert_eq!(warning().await, None);
    site.hand.advance(Duration::from_secs(1));
    assert_eq!(warning().await.map(|at| at.seconds), Some(expires));
    site.hand.advance(DAY * 5);
    assert_eq!(must_change(&site, "12345").await, "expired");
    let told = refusal(site.verify("agent7", pin("12345")).await, ErrorReason::CredentialMustChange);
    assert_eq!(told.metadata["cause"], "expired");
    refusal(site.sign_in("agent7", pin("99999")).await, ErrorReason::CredentialRefused);
    site.sign_in("desktop", password("correct horse")).await.expect("a machine cannot change it");
    site.change("agent7", pin("12345"), pin("27182818")).await.unwrap();
    assert_eq!(site.sign_in("agent7", pin("27182818")).await.unwrap().credential_expire_time, None);
    site.stop().await;
}

#[tokio::test]
async fn sp_14_the_cause_tells_a_first_credential_from_one_that_was_set_anew() {
    let site = Site::with(&[]).await;
    let mut given = user("agent7", "12345");
    given.must_change = true;
    site.set(vec![given.clone()]).await.unwrap();
    assert_eq!(must_change(&site, "12345").await, "initial");
    site.tell(Some(CredentialPolicy { history: Some(0), ..Default::default() })).await;
    site.change("agent7", pin("12345"), pin("27182818")).await.unwrap();
    site.set(vec![given]).await.unwrap();
    assert_eq!(must_change(&site, "12345").await, "administrator");
    site.stop().await;
}

#[tokio::test]
async fn sp_14_the_last_ones_cannot_be_used_again() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    site.tell(Some(CredentialPolicy { history: Some(2), ..Default::default() })).await;
    let change = async |from: &str, to: &str| site.change("agent7", pin(from), pin(to)).await;
    change("12345", "27182818").await.unwrap();
    change("27182818", "31415926").await.unwrap();
    change("31415926", "16180339").await.unwrap();
    for former in ["31415926", "27182818"] {
        weak(change("16180339", former).await);
    }
    site.sign_in("agent7", pin("16180339")).await.expect("nothing has changed");
    site.set(vec![user("agent7", "14142135")]).await.unwrap();
    weak(change("14142135", "16180339").await);
    change("14142135", "27182818").await.expect("the third one back");
    assert_eq!(site.principal("agent7").await.pin.unwrap().history.len(), 2);
    site.tell(Some(CredentialPolicy { history: Some(0), ..Default::default() })).await;
    change("27182818", "14142135").await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_new_one_differs_in_so_many_characters() {
    let site = Site::with(&[user("agent7", "27182818")]).await;
    site.tell(Some(CredentialPolicy { minimum_changed_characters: Some(3), ..Default::default() })).await;
    let change = async |to: &str| site.change("agent7", pin("27182818"), pin(to)).await;
    weak(change("27182835").await);
    change("27182359").await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_between_two_changes_time_passes_unless_it_must_be_changed() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let hour = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    site.tell(Some(CredentialPolicy { minimum_change_interval: hour, ..Default::default() })).await;
    let change = async |from: &str, to: &str| site.change("agent7", pin(from), pin(to)).await;
    weak(change("12345", "27182818").await);
    refusal(change("12346", "27182818").await, ErrorReason::CredentialRefused);
    site.hand.advance(Duration::from_secs(3600));
    change("12345", "27182818").await.unwrap();
    weak(change("27182818", "31415926").await);
    let mut given = user("agent7", "16180339");
    given.must_change = true;
    site.set(vec![given]).await.unwrap();
    change("16180339", "31415926").await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_credential_that_lies_idle_is_locked_until_an_administrator_sets_a_new_one() {
    let site = Site::with(&[user("agent7", "12345"), user("agent8", "12345")]).await;
    site.tell(Some(CredentialPolicy {
        inactive_days: Some(10),
        expires_after_days: Some(0),
        ..Default::default()
    }))
    .await;
    site.hand.advance(DAY * 9);
    site.sign_in("agent7", pin("12345")).await.unwrap();
    site.hand.advance(DAY * 9);
    site.sign_in("agent7", pin("12345")).await.expect("he was here nine days ago");
    let idle = site.sign_in("agent8", pin("12345")).await.unwrap_err();
    let unknown = site.sign_in("nobody", pin("12345")).await.unwrap_err();
    assert_eq!((idle.message(), idle.details()), (unknown.message(), unknown.details()));
    refusal(site.change("agent8", pin("12345"), pin("27182818")).await, ErrorReason::CredentialRefused);
    site.set(vec![user("agent8", "12345")]).await.unwrap();
    site.sign_in("agent8", pin("12345")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_that_a_credential_is_in_use_is_written_once_a_day() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let set = site.principal("agent7").await.version;
    for _ in 0..3 {
        site.sign_in("agent7", pin("12345")).await.unwrap();
    }
    let first = site.principal("agent7").await;
    assert_eq!((first.version, first.pin.unwrap().used_at), (set + 1, Some(site.clock.now())));
    site.hand.advance(DAY);
    site.sign_in("agent7", pin("12345")).await.unwrap();
    assert_eq!(site.principal("agent7").await.version, set + 2);
    site.stop().await;
}
