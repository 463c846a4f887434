//! What users may do with their own profiles (DP-13), and what their phones do for them (LI-12).

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::personal_service_client::PersonalServiceClient;
use roamline_proto::profile::{
    DeviceSettings, ListOwnProfilesRequest, Phone, SetDoNotDisturbRequest, SpeedDial,
    UpdateOwnSpeedDialsRequest,
};
use roamline_token::Bearer;

use crate::site::{Authed, IntoResource, Site, fields, phone, profile, refused, user};

fn of(site: &Site, user_id: &str) -> PersonalServiceClient<Authed> {
    PersonalServiceClient::with_interceptor(site.channel(), Bearer::token(site.user_token(user_id)))
}

fn dial(tag: u32, number: &str) -> SpeedDial {
    SpeedDial { tag, number: number.into(), ..Default::default() }
}

fn edit(speed_dials: Vec<SpeedDial>) -> UpdateOwnSpeedDialsRequest {
    UpdateOwnSpeedDialsRequest { speed_dials, ..Default::default() }
}

#[tokio::test]
async fn dp_13_a_user_edits_the_speed_dials_of_his_own_profile_and_nothing_else_changes() {
    let site = Site::example().await;
    let mut me = of(&site, "me");
    let before = me.list_own_profiles(ListOwnProfilesRequest::default()).await.unwrap().into_inner();
    let before = before.user_device_profiles.into_iter().next().unwrap();
    assert_eq!((before.name.as_str(), before.owner_user_id.as_str()), ("me", "me"));
    let wanted = vec![dial(1, "4001"), dial(7, "*44#")];
    let answer = me.update_own_speed_dials(edit(wanted.clone())).await.unwrap().into_inner();
    let after = answer.user_device_profile.unwrap();
    let mut expected = before.clone();
    expected.settings.as_mut().unwrap().speed_dials = wanted.clone();
    expected.etag = "v2".into();
    assert_eq!(after, expected);
    let again = me.update_own_speed_dials(edit(wanted)).await.unwrap().into_inner();
    assert_eq!(again.user_device_profile.unwrap().etag, "v2");
}

#[tokio::test]
async fn dp_13_nobody_edits_what_is_not_his() {
    let site = Site::example().await;
    let more = vec![
        profile("theirs", DeviceSettings::default()).into_resource(),
        user("you", &["theirs"]).into_resource(),
        user("none", &[]).into_resource(),
        user("two", &["me", "theirs"]).into_resource(),
    ];
    site.apply(more).await.unwrap();
    let theirs = UpdateOwnSpeedDialsRequest { profile: "theirs".into(), ..Default::default() };
    let refusal = of(&site, "me").update_own_speed_dials(theirs.clone()).await;
    refused(refusal, ErrorReason::ProfileNotOwned);
    refused(of(&site, "none").update_own_speed_dials(edit(vec![])).await, ErrorReason::ProfileNotOwned);
    let refusal =
        refused(of(&site, "two").update_own_speed_dials(edit(vec![])).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["profile"]);
    let named = UpdateOwnSpeedDialsRequest { user_id: "you".into(), ..theirs };
    refused(of(&site, "me").update_own_speed_dials(named.clone()).await, ErrorReason::ScopeMissing);
    let others = ListOwnProfilesRequest { user_id: "you".into() };
    refused(of(&site, "me").list_own_profiles(others.clone()).await, ErrorReason::ScopeMissing);
    refused(
        of(&site, "gone").list_own_profiles(ListOwnProfilesRequest::default()).await,
        ErrorReason::UserNotFound,
    );
    // An administrator names whom he means.
    site.personal().update_own_speed_dials(named).await.unwrap();
    site.personal().list_own_profiles(others).await.unwrap();
    refused(
        site.personal().list_own_profiles(ListOwnProfilesRequest::default()).await,
        ErrorReason::InvalidRequest,
    );
}

#[tokio::test]
async fn dp_13_editing_takes_a_phone_with_a_display_that_allows_it() {
    let site = Site::example().await;
    let closed = Phone { speed_dial_editing_disabled: true, ..phone("SEP001B54CAFE01", "7960") };
    site.apply(vec![closed.into_resource()]).await.unwrap();
    site.put_phone("SEP001B54CAFE02", "ata-186", false).await;
    let at = |phone: &str| UpdateOwnSpeedDialsRequest { phone: phone.into(), ..edit(vec![dial(1, "1")]) };
    let mut me = of(&site, "me");
    for phone in ["00:1b:54:ca:fe:01", "SEP001B54CAFE02"] {
        refused(me.update_own_speed_dials(at(phone)).await, ErrorReason::SpeedDialEditingDisabled);
    }
    refused(me.update_own_speed_dials(at("SEP001B54CAFE09")).await, ErrorReason::PhoneNotFound);
    let refusal = refused(me.update_own_speed_dials(at("door")).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["phone"]);
    me.update_own_speed_dials(at("SEP000DEDAB3566")).await.unwrap();
}

#[tokio::test]
async fn dp_12_and_dp_20_wrong_speed_dials_and_stale_etags_change_nothing() {
    let site = Site::example().await;
    let mut me = of(&site, "me");
    let stale = UpdateOwnSpeedDialsRequest { etag: "v0".into(), ..edit(vec![]) };
    refused(me.update_own_speed_dials(stale).await, ErrorReason::EtagMismatch);
    let wrong = edit(vec![dial(1, "4001"), dial(37, "4002"), dial(1, "x")]);
    let refusal = refused(me.update_own_speed_dials(wrong).await, ErrorReason::ResourceInvalid);
    assert!(fields(&refusal).contains(&"speed_dials[1].tag"), "{refusal:?}");
    let profiles = me
        .list_own_profiles(ListOwnProfilesRequest::default())
        .await
        .unwrap()
        .into_inner()
        .user_device_profiles;
    assert_eq!(profiles[0].etag, "v1");
}

#[tokio::test]
async fn li_12_do_not_disturb_goes_to_the_profile_and_nothing_else_changes() {
    let site = Site::example().await;
    let mut me = of(&site, "me");
    let own = async || {
        let answer = of(&site, "me").list_own_profiles(ListOwnProfilesRequest::default()).await.unwrap();
        answer.into_inner().user_device_profiles.into_iter().next().unwrap()
    };
    let before = own().await;
    let set = |profile: &str, on| SetDoNotDisturbRequest { profile: profile.into(), on };
    refused(me.set_do_not_disturb(set("me", true)).await, ErrorReason::ScopeMissing);
    let mut service = site.personal();
    for _ in 0..2 {
        service.set_do_not_disturb(set("me", true)).await.unwrap();
        let mut expected = before.clone();
        expected.settings.as_mut().unwrap().do_not_disturb.as_mut().unwrap().on = true;
        expected.etag = "v2".into();
        assert_eq!(own().await, expected, "once");
    }
    service.set_do_not_disturb(set("me", false)).await.unwrap();
    assert_eq!(own().await.settings, before.settings);
    refused(service.set_do_not_disturb(set("nobodys", true)).await, ErrorReason::ResourceNotFound);
    refused(service.set_do_not_disturb(set("", true)).await, ErrorReason::InvalidRequest);
}
