//! Deleting records: what refers to them stands in the way.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    DeleteDefaultDeviceProfileRequest, DeleteLineRequest, DeleteLogoutProfileRequest, DeletePhoneRequest,
    DeleteUserDeviceProfileRequest, DeleteUserRequest, DeviceSettings,
};

use crate::site::{IntoResource, Site, default_profile, fact, fields, phone, profile, refused};
use roamline_proto::profile::Phone;
use roamline_proto::profile::phone::LogoutProfile;

#[tokio::test]
async fn dp_9_what_is_referred_to_is_not_deleted_and_its_users_are_named() {
    let site = Site::example().await;
    let delete = DeleteUserDeviceProfileRequest { name: "me".into(), ..Default::default() };
    let refusal =
        refused(site.profiles().delete_user_device_profile(delete).await, ErrorReason::ResourceInUse);
    assert_eq!(fact(&refusal, "usedBy"), "user me");

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
    let phone = || DeletePhoneRequest { name: "00:1b:54:ca:fe:01".into(), ..Default::default() };
    site.phones().delete_phone(phone()).await.unwrap();
    refused(site.phones().delete_phone(phone()).await, ErrorReason::ResourceNotFound);
    let user = || DeleteUserRequest { user_id: "me".into(), ..Default::default() };
    site.users().delete_user(user()).await.unwrap();
    refused(site.users().delete_user(user()).await, ErrorReason::ResourceNotFound);
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
