//! Deleting records: what refers to them stands in the way.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    DeleteDefaultDeviceProfileRequest, DeleteDevicePoolRequest, DeleteLineRequest,
    DeleteLogoutProfileRequest, DeletePhoneRequest, DeleteUserDeviceProfileRequest, DeleteUserRequest,
    DevicePool, DeviceSettings, GetPhoneRequest, GetUserRequest, Line, User,
};

use crate::site::{IntoResource, Site, default_profile, fact, fields, line, phone, profile, refused, user};
use roamline_domain::directory::{Key, Kind};
use roamline_profile::Ending;
use roamline_proto::profile::Phone;
use roamline_proto::profile::phone::LogoutProfile;
use roamline_store::{Change, DirectoryStore, Expect};

#[tokio::test]
async fn dp_9_what_is_referred_to_is_not_deleted_and_its_users_are_named() {
    let site = Site::example().await;
    let delete = DeleteLineRequest { name: "2001".into(), ..Default::default() };
    let refusal = refused(site.lines().delete_line(delete).await, ErrorReason::ResourceInUse);
    assert_eq!(fact(&refusal, "usedBy"), "user-device-profile me");

    let delete = DeleteLogoutProfileRequest { tag: 1, ..Default::default() };
    let refusal =
        refused(site.logout_profiles().delete_logout_profile(delete).await, ErrorReason::ResourceInUse);
    assert_eq!(
        fact(&refusal, "usedBy"),
        "phone SEP000DEDAB3566, phone SEP0012DA8AC43D, phone SEP0123456789AB"
    );
}

#[tokio::test]
async fn what_nothing_refers_to_is_deleted_once() {
    let site = Site::example().await;
    let own = Phone {
        logout_profile: Some(LogoutProfile::UserDeviceProfile("p".into())),
        ..phone("001B54CAFE01", "7960")
    };
    let more = vec![
        default_profile("7960").into_resource(),
        profile("p", DeviceSettings::default()).into_resource(),
        own.into_resource(),
    ];
    site.apply(more).await.unwrap();
    let phone_request = || DeletePhoneRequest { name: "00:1b:54:ca:fe:01".into(), ..Default::default() };
    site.phones().delete_phone(phone_request()).await.unwrap();
    refused(site.phones().delete_phone(phone_request()).await, ErrorReason::ResourceNotFound);
    let user_request = || DeleteUserRequest { user_id: "me".into(), ..Default::default() };
    site.users().delete_user(user_request()).await.unwrap();
    refused(site.users().delete_user(user_request()).await, ErrorReason::ResourceNotFound);
    for name in ["me", "p"] {
        let delete = DeleteUserDeviceProfileRequest { name: name.into(), ..Default::default() };
        site.profiles().delete_user_device_profile(delete).await.unwrap();
    }
    let line = DeleteLineRequest { name: "2001".into(), ..Default::default() };
    site.lines().delete_line(line).await.unwrap();
    let default = || DeleteDefaultDeviceProfileRequest { model: "CP-7960".into(), ..Default::default() };
    site.defaults().delete_default_device_profile(default()).await.unwrap();
    let again = site.defaults().delete_default_device_profile(default()).await;
    refused(again, ErrorReason::ResourceNotFound);
    let unknown = DeleteLogoutProfileRequest { tag: 2, ..Default::default() };
    let unknown = site.logout_profiles().delete_logout_profile(unknown).await;
    assert_eq!(fact(&refused(unknown, ErrorReason::ResourceNotFound), "name"), "2");
}

#[tokio::test]
async fn dp_20_a_stale_etag_deletes_nothing() {
    let site = Site::example().await;
    let delete = |etag: &str| DeleteUserRequest { user_id: "me".into(), etag: etag.into() };
    let refusal = refused(site.users().delete_user(delete("v0")).await, ErrorReason::EtagMismatch);
    assert_eq!(fact(&refusal, "etag"), "v1");
    site.users().delete_user(delete("v1")).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_none_is_malformed() {
    let site = Site::example().await;
    let delete = DeletePhoneRequest { name: "door".into(), ..Default::default() };
    let refusal = refused(site.phones().delete_phone(delete).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["name"]);
}

fn delete_me(force: bool) -> DeleteUserDeviceProfileRequest {
    DeleteUserDeviceProfileRequest { name: "me".into(), force, ..Default::default() }
}

#[tokio::test]
async fn dp_9_and_dp_5_users_lose_a_deleted_profile_and_lines_stay() {
    let site = Site::example().await;
    let with_two = User {
        default_profile: "me".into(),
        primary_extension: "2001".into(),
        ..user("you", &["other", "me"])
    };
    site.apply(vec![profile("other", DeviceSettings::default()).into_resource(), with_two.into_resource()])
        .await
        .unwrap();
    site.profiles().delete_user_device_profile(delete_me(false)).await.unwrap();
    let get = |user_id: &str| GetUserRequest { user_id: user_id.into() };
    let you = site.users().get_user(get("you")).await.unwrap().into_inner().user.unwrap();
    assert_eq!(
        (you.profiles.as_slice(), you.default_profile.as_str()),
        (["other".to_owned()].as_slice(), "")
    );
    let me = site.users().get_user(get("me")).await.unwrap().into_inner().user.unwrap();
    assert!(me.profiles.is_empty());
    let lines = site
        .lines()
        .list_lines(roamline_proto::profile::ListLinesRequest::default())
        .await
        .unwrap()
        .into_inner()
        .lines;
    assert_eq!(lines.len(), 9);
}

#[tokio::test]
async fn dp_9_a_profile_that_phones_wear_logged_out_is_deleted_by_force_alone() {
    let site = Site::example().await;
    let wearing = Phone {
        logout_profile: Some(LogoutProfile::UserDeviceProfile("me".into())),
        ..phone("SEP001B54CAFE01", "7960")
    };
    site.apply(vec![wearing.into_resource()]).await.unwrap();
    let refusal = site.profiles().delete_user_device_profile(delete_me(false)).await;
    let refusal = refused(refusal, ErrorReason::ResourceInUse);
    assert_eq!(fact(&refusal, "usedBy"), "phone SEP001B54CAFE01");
    site.profiles().delete_user_device_profile(delete_me(true)).await.unwrap();
    let request = GetPhoneRequest { name: "SEP001B54CAFE01".into() };
    let phone = site.phones().get_phone(request).await.unwrap().into_inner().phone.unwrap();
    assert_eq!(phone.logout_profile, None);
    assert!(phone.autogenerated_profile.is_some());
}

#[tokio::test]
async fn dp_9_a_profile_that_a_session_wears_is_deleted_by_force_alone_and_the_session_ends_first() {
    let site = Site::example().await;
    site.sessions.log_in("me", "SEP000DEDAB3566", "me");
    let refusal = site.profiles().delete_user_device_profile(delete_me(false)).await;
    let refusal = refused(refusal, ErrorReason::ResourceWorn);
    assert_eq!(fact(&refusal, "phones"), "SEP000DEDAB3566");
    assert!(site.sessions.ended().is_empty());
    site.profiles().delete_user_device_profile(delete_me(true)).await.unwrap();
    assert_eq!(site.sessions.ended(), [("me at SEP000DEDAB3566".to_owned(), Ending::ProfileRemoved)]);
}

#[tokio::test]
async fn dp_20_nobody_is_logged_out_for_a_deletion_whose_etag_is_stale_by_then() {
    let site = Site::example().await;
    site.sessions.log_in("me", "SEP000DEDAB3566", "me");
    let found = site.store.find(&[Key::new(Kind::UserDeviceProfile, "me")]).await.unwrap().remove(0).unwrap();
    let put = Change::Put { resource: found.resource, expect: Expect::Version(1) };
    site.store.meanwhile(vec![put]);
    let delete = DeleteUserDeviceProfileRequest { etag: "v1".into(), ..delete_me(true) };
    let refusal =
        refused(site.profiles().delete_user_device_profile(delete).await, ErrorReason::EtagMismatch);
    assert_eq!(fact(&refusal, "etag"), "v2");
    assert!(site.sessions.ended().is_empty());
    site.profiles().delete_user_device_profile(delete_me(true)).await.unwrap();
    assert_eq!(site.sessions.ended().len(), 1);
}

#[tokio::test]
async fn lo_1_a_phone_with_a_session_is_deleted_by_force_alone() {
    let site = Site::example().await;
    site.sessions.log_in("me", "SEP000DEDAB3566", "me");
    let delete = |force| DeletePhoneRequest { name: "000D.EDAB.3566".into(), force, ..Default::default() };
    refused(site.phones().delete_phone(delete(false)).await, ErrorReason::ResourceWorn);
    let intercom = Line { intercom_default_phone: "SEP000DEDAB3566".into(), ..line("9001") };
    site.apply(vec![intercom.into_resource()]).await.unwrap();
    refused(site.phones().delete_phone(delete(true)).await, ErrorReason::ResourceInUse);
    assert!(site.sessions.ended().is_empty());
    let delete_line = DeleteLineRequest { name: "9001".into(), ..Default::default() };
    site.lines().delete_line(delete_line).await.unwrap();
    site.phones().delete_phone(delete(true)).await.unwrap();
    assert_eq!(site.sessions.ended(), [("me at SEP000DEDAB3566".to_owned(), Ending::PhoneRemoved)]);
}

#[tokio::test]
async fn dp_9_nothing_is_deleted_while_nobody_knows_who_wears_it() {
    let site = Site::example().await;
    site.sessions.break_down();
    for force in [false, true] {
        let refusal = site.profiles().delete_user_device_profile(delete_me(force)).await;
        refused(refusal, ErrorReason::ServiceUnavailable);
    }
    let me = site.users().get_user(GetUserRequest { user_id: "me".into() }).await.unwrap().into_inner();
    assert_eq!(me.user.unwrap().profiles, ["me"]);
}

#[tokio::test]
async fn dp_22_a_device_pool_in_use_is_not_deleted() {
    let site = Site::example().await;
    let pool = DevicePool { name: "floor 1".into(), ..Default::default() };
    let in_it = Phone { device_pool: "floor 1".into(), ..phone("SEP001B54CAFE01", "7960") };
    site.apply(vec![pool.into_resource(), in_it.into_resource()]).await.unwrap();
    let delete = DeleteDevicePoolRequest { name: "floor 1".into(), ..Default::default() };
    let refusal = refused(site.device_pools().delete_device_pool(delete).await, ErrorReason::ResourceInUse);
    assert_eq!(fact(&refusal, "usedBy"), "phone SEP001B54CAFE01");
}
