//! Credential policies of single principals (SP-14).

use std::time::Duration;

use roamline_proto::auth::{
    GetCredentialPolicyRequest, GetCredentialPolicyResponse, SetCredentialPolicyRequest,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::CredentialPolicy;
use tonic::Status;

use crate::site::{Site, pin, refusal, user};

async fn give(site: &Site, names: &[&str], policy: Option<CredentialPolicy>) -> Result<(), Status> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let request = SetCredentialPolicyRequest { names, credential_policy: policy };
    site.administrator().set_credential_policy(request).await.map(|_| ())
}

async fn told(site: &Site, name: &str) -> GetCredentialPolicyResponse {
    let request = GetCredentialPolicyRequest { name: name.into() };
    site.administrator().get_credential_policy(request).await.unwrap().into_inner()
}

fn strict() -> CredentialPolicy {
    CredentialPolicy {
        failures_before_lockout: Some(1),
        lockout_duration: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        minimum_length: Some(12),
        ..Default::default()
    }
}

#[tokio::test]
async fn sp_14_two_users_have_lockouts_and_lengths_of_their_own() {
    let site = Site::with(&[user("agent7", "12345"), user("agent8", "12345")]).await;
    give(&site, &["agent7"], Some(strict())).await.unwrap();
    for name in ["agent7", "agent8"] {
        refusal(site.sign_in(name, pin("9")).await, ErrorReason::CredentialRefused);
    }
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.sign_in("agent8", pin("12345")).await.unwrap();
    site.hand.advance(Duration::from_secs(3599));
    refusal(site.sign_in("agent7", pin("12345")).await, ErrorReason::CredentialRefused);
    site.hand.advance(Duration::from_secs(1));
    site.sign_in("agent7", pin("12345")).await.unwrap();

    refusal(site.change("agent7", pin("12345"), pin("27182818")).await, ErrorReason::CredentialTooWeak);
    site.change("agent8", pin("12345"), pin("27182818")).await.unwrap();
    site.change("agent7", pin("12345"), pin("271828182845")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_what_is_not_ones_own_follows_the_cluster_and_so_does_all_of_it_again() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    give(&site, &["agent7"], Some(strict())).await.unwrap();
    site.tell(Some(CredentialPolicy { history: Some(3), minimum_length: Some(5), ..Default::default() }))
        .await;
    let answer = told(&site, "agent7").await;
    assert_eq!(answer.credential_policy, Some(strict()));
    let in_force = answer.in_force.unwrap();
    assert_eq!((in_force.history, in_force.minimum_length), (Some(3), Some(12)));

    give(&site, &["agent7"], None).await.unwrap();
    let answer = told(&site, "agent7").await;
    assert_eq!(answer.credential_policy, Some(CredentialPolicy::default()));
    assert_eq!(answer.in_force.unwrap().minimum_length, Some(5));
    site.change("agent7", pin("12345"), pin("27182")).await.unwrap();
    site.stop().await;
}

#[tokio::test]
async fn sp_14_a_policy_that_cannot_be_or_for_nobody_changes_nothing() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    let wide = CredentialPolicy { history: Some(26), ..Default::default() };
    let refused = refusal(give(&site, &["agent7"], Some(wide)).await, ErrorReason::ResourceInvalid);
    assert_eq!(refused.violations[0].0, "credential_policy.history");
    let refused =
        refusal(give(&site, &["agent7", "nobody"], Some(strict())).await, ErrorReason::ResourceNotFound);
    assert_eq!(refused.metadata["name"], "nobody");
    assert_eq!(told(&site, "agent7").await.credential_policy, Some(CredentialPolicy::default()));
    let request = GetCredentialPolicyRequest { name: "nobody".into() };
    refusal(site.administrator().get_credential_policy(request).await, ErrorReason::ResourceNotFound);
    site.stop().await;
}

#[tokio::test]
async fn sp_14_what_a_policy_of_ones_own_asks_is_told_to_its_owner_alone() {
    let site = Site::with(&[user("agent7", "12345")]).await;
    give(&site, &["agent7"], Some(strict())).await.unwrap();
    for name in ["agent7", "nobody"] {
        refusal(site.change(name, pin("9"), pin("27182818")).await, ErrorReason::CredentialRefused);
        refusal(site.change(name, pin("9"), pin("1")).await, ErrorReason::CredentialTooWeak);
    }
    site.stop().await;
}
