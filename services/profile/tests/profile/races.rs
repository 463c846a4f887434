//! What happens when somebody else changes the directory between a check and its commit.

use roamline_domain::directory::{Key, Kind, Line, Resource, User};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    ApplyOutcome, CreateUserDeviceProfileRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest,
    UpdateUserRequest,
};
use roamline_store::{Change, DirectoryStore, Expect};

use crate::site::{IntoResource, Site, fact, fields, line, mask, profile, refused, user, with_lines};

/// The stored user, changed by somebody else.
async fn renamed(site: &Site) -> Change {
    let found = site.store.find(&[Key::new(Kind::User, "me")]).await.unwrap().remove(0).unwrap();
    let Resource::User(stored) = found.resource else { panic!("a user is a user") };
    let resource = Resource::User(User { display_name: "theirs".into(), ..stored });
    Change::Put { resource, expect: Expect::Version(found.version) }
}

fn new_line(name: &str) -> Change {
    let line = Line { description: "theirs".into(), ..Line::new(name.parse().unwrap()) };
    Change::Put { resource: Resource::Line(line), expect: Expect::Absent }
}

fn delete(kind: Kind, name: &str) -> Change {
    Change::Delete { key: Key::new(kind, name), version: 1 }
}

fn localised(etag: &str) -> UpdateUserRequest {
    let wanted =
        roamline_proto::profile::User { user_locale: "de-DE".into(), etag: etag.into(), ..user("me", &[]) };
    UpdateUserRequest { user: Some(wanted), update_mask: mask(&["user_locale"]), validate_only: false }
}

#[tokio::test]
async fn an_update_without_an_etag_keeps_what_others_changed_meanwhile() {
    let site = Site::example().await;
    site.store.meanwhile(vec![renamed(&site).await]);
    let updated = site.users().update_user(localised("")).await.unwrap().into_inner().user.unwrap();
    assert_eq!((updated.display_name.as_str(), updated.user_locale.as_str()), ("theirs", "de-DE"));
    let stored = site.users().get_user(GetUserRequest { user_id: "me".into() }).await.unwrap().into_inner();
    assert_eq!(stored.user.unwrap(), updated);
}

#[tokio::test]
async fn dp_20_an_update_with_an_etag_that_goes_stale_meanwhile_is_refused() {
    let site = Site::example().await;
    site.store.meanwhile(vec![renamed(&site).await]);
    let refusal = refused(site.users().update_user(localised("v1")).await, ErrorReason::EtagMismatch);
    assert_eq!(fact(&refusal, "etag"), "v2");
}

#[tokio::test]
async fn a_record_that_is_deleted_meanwhile_is_not_found() {
    let site = Site::example().await;
    site.store.meanwhile(vec![delete(Kind::User, "me")]);
    refused(site.users().update_user(localised("")).await, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn a_deletion_is_made_although_the_record_changes_meanwhile_unless_an_etag_forbids() {
    let site = Site::example().await;
    let request = |etag: &str| DeleteUserRequest { user_id: "me".into(), etag: etag.into() };
    site.store.meanwhile(vec![renamed(&site).await]);
    refused(site.users().delete_user(request("v1")).await, ErrorReason::EtagMismatch);
    site.store.meanwhile(vec![renamed(&site).await]);
    site.users().delete_user(request("")).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_taken_meanwhile_exists() {
    let site = Site::example().await;
    site.store.meanwhile(vec![renamed_copy(&site).await]);
    let request = CreateUserRequest { user: Some(user("you", &[])), validate_only: false };
    refused(site.users().create_user(request).await, ErrorReason::ResourceExists);
}

async fn renamed_copy(site: &Site) -> Change {
    let Change::Put { resource: Resource::User(stored), .. } = renamed(site).await else {
        panic!("a user is a user")
    };
    let resource = Resource::User(User { user_id: "you".parse().unwrap(), ..stored });
    Change::Put { resource, expect: Expect::Absent }
}

#[tokio::test]
async fn ll_8_a_line_that_is_deleted_meanwhile_is_named() {
    let site = Site::example().await;
    site.apply(vec![line("2999").into_resource()]).await.unwrap();
    site.store.meanwhile(vec![delete(Kind::Line, "2999")]);
    let wanted = profile("p", with_lines(&["2001", "2999"]));
    let request = CreateUserDeviceProfileRequest { user_device_profile: Some(wanted), validate_only: false };
    let refusal = site.profiles().create_user_device_profile(request).await;
    let refusal = refused(refusal, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["user_device_profile.settings.lines[1].lines[0]"]);
}

#[tokio::test]
async fn a_batch_is_weighed_again_when_one_of_its_resources_appears_meanwhile() {
    let site = Site::example().await;
    site.store.meanwhile(vec![new_line("2998")]);
    let answer = site.apply(vec![line("2997").into_resource(), line("2998").into_resource()]).await.unwrap();
    assert_eq!(answer.outcomes().collect::<Vec<_>>(), [ApplyOutcome::Created, ApplyOutcome::Updated]);
}
