//! Changing records: masks, etags, and what an update may not touch.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    CreateUserDeviceProfileRequest, DefaultDeviceProfile, DeviceSettings, GetPhoneRequest,
    GetUserDeviceProfileRequest, GetUserRequest, Line, LineCapacity, LogoutProfile, Phone,
    UpdateDefaultDeviceProfileRequest, UpdateLineRequest, UpdateLogoutProfileRequest, UpdatePhoneRequest,
    UpdateUserDeviceProfileRequest, UpdateUserRequest, User, UserDeviceProfile,
};
use roamline_proto::refusal::Refusal;
use roamline_serve::Tasks;
use tokio::sync::mpsc;
use tonic::Status;

use crate::site::{
    IntoResource, Site, agent, default_profile, fact, fields, line, logout_profile, mask, phone, profile,
    refused, user,
};

async fn update_user(site: &Site, user: User, paths: &[&str]) -> Result<User, Status> {
    let request = UpdateUserRequest { user: Some(user), update_mask: mask(paths), validate_only: false };
    Ok(site.users().update_user(request).await?.into_inner().user.unwrap())
}

async fn update_profile(
    site: &Site,
    profile: UserDeviceProfile,
    paths: &[&str],
) -> Result<UserDeviceProfile, Status> {
    let request = UpdateUserDeviceProfileRequest {
        user_device_profile: Some(profile),
        update_mask: mask(paths),
        validate_only: false,
    };
    let answer = site.profiles().update_user_device_profile(request).await?;
    Ok(answer.into_inner().user_device_profile.unwrap())
}

async fn get_user(site: &Site, user_id: &str) -> User {
    let request = GetUserRequest { user_id: user_id.into() };
    site.users().get_user(request).await.unwrap().into_inner().user.unwrap()
}

async fn get_profile(site: &Site, name: &str) -> UserDeviceProfile {
    let request = GetUserDeviceProfileRequest { name: name.into() };
    site.profiles().get_user_device_profile(request).await.unwrap().into_inner().user_device_profile.unwrap()
}

#[tokio::test]
async fn only_the_fields_of_the_mask_change() {
    let site = Site::example().await;
    let wanted = User { display_name: "Me".into(), user_locale: "de-DE".into(), ..user("me", &[]) };
    let updated = update_user(&site, wanted, &["display_name"]).await.unwrap();
    assert_eq!((updated.display_name.as_str(), updated.user_locale.as_str()), ("Me", ""));
    assert_eq!((updated.profiles.as_slice(), updated.etag.as_str()), (&["me".to_owned()][..], "v2"));
    assert_eq!(get_user(&site, "me").await, updated);

    let wanted = profile("me", DeviceSettings { user_locale: "fr-FR".into(), ..Default::default() });
    let updated = update_profile(&site, wanted, &["settings.user_locale"]).await.unwrap();
    let settings = updated.settings.unwrap();
    assert_eq!((settings.user_locale.as_str(), settings.lines.len()), ("fr-FR", 6));
}

#[tokio::test]
async fn without_a_mask_everything_is_replaced() {
    let site = Site::example().await;
    for paths in [&[][..], &["*"]] {
        update_user(&site, user("me", &["me"]), &[]).await.unwrap();
        let updated = update_user(&site, user("me", &[]), paths).await.unwrap();
        assert!(updated.profiles.is_empty());
    }
}

#[tokio::test]
async fn a_mask_of_fields_that_do_not_exist_or_cannot_change_is_refused() {
    let site = Site::example().await;
    for path in ["colour", "settings.colour", "settings.lines.kind", "user_id.x", ""] {
        let answer = update_user(&site, user("me", &[]), &[path, "*"]).await;
        assert_eq!(fact(&refused(answer, ErrorReason::FieldMaskInvalid), "path"), path);
    }
    for path in ["user_id", "etag"] {
        let answer = update_user(&site, user("me", &[]), &["display_name", path]).await;
        assert_eq!(fact(&refused(answer, ErrorReason::FieldMaskInvalid), "path"), path);
    }
    let answer =
        update_profile(&site, profile("me", DeviceSettings::default()), &["settings.call_blocking_pin_set"]);
    refused(answer.await, ErrorReason::FieldMaskInvalid);
    assert_eq!(get_user(&site, "me").await.etag, "v1");
}

#[tokio::test]
async fn dp_20_a_stale_etag_is_refused_and_told_the_current_one() {
    let site = Site::example().await;
    let read = get_user(&site, "me").await;
    let first = User { display_name: "first".into(), ..read.clone() };
    let first = update_user(&site, first, &[]).await.unwrap();
    assert_eq!(first.etag, "v2");
    let second = User { display_name: "second".into(), ..read };
    let refusal = refused(update_user(&site, second.clone(), &[]).await, ErrorReason::EtagMismatch);
    assert_eq!(fact(&refusal, "etag"), "v2");
    assert_eq!(get_user(&site, "me").await, first);

    let unconditional = User { etag: String::new(), ..second };
    assert_eq!(update_user(&site, unconditional, &[]).await.unwrap().etag, "v3");
}

#[tokio::test]
async fn an_update_that_changes_nothing_keeps_the_etag() {
    let site = Site::example().await;
    let updated = update_user(&site, get_user(&site, "me").await, &[]).await.unwrap();
    assert_eq!(updated.etag, "v1");
}

#[tokio::test]
async fn dp_14_an_update_without_a_pin_keeps_the_one_that_is_stored() {
    let site = Site::example().await;
    let settings = DeviceSettings { call_blocking_pin: "4711".into(), ..Default::default() };
    let request = CreateUserDeviceProfileRequest {
        user_device_profile: Some(profile("p", settings)),
        ..Default::default()
    };
    site.profiles().create_user_device_profile(request).await.unwrap();

    let read = UserDeviceProfile { etag: String::new(), ..get_profile(&site, "p").await };
    for (index, paths) in [&[][..], &["description"], &["settings"]].into_iter().enumerate() {
        let wanted = UserDeviceProfile { description: index.to_string(), ..read.clone() };
        let updated = update_profile(&site, wanted, paths).await.unwrap();
        assert!(updated.settings.unwrap().call_blocking_pin_set, "{paths:?}");
    }
    assert!(get_profile(&site, "p").await.settings.unwrap().call_blocking_pin_set);
}

#[tokio::test]
async fn a_phone_is_updated_under_any_spelling_of_its_mac() {
    let site = Site::example().await;
    let wanted = Phone { description: "hall".into(), ..phone("00:0d:ed:ab:35:66", "7960") };
    let request =
        UpdatePhoneRequest { phone: Some(wanted), update_mask: mask(&["description"]), ..Default::default() };
    let updated = site.phones().update_phone(request).await.unwrap().into_inner().phone.unwrap();
    assert_eq!((updated.name.as_str(), updated.description.as_str()), ("SEP000DEDAB3566", "hall"));

    let own = Phone { logout_profile: None, ..phone("SEP000DEDAB3566", "7960") };
    let request = UpdatePhoneRequest {
        phone: Some(own),
        update_mask: mask(&["shared_logout_profile"]),
        ..Default::default()
    };
    assert_eq!(
        site.phones().update_phone(request).await.unwrap().into_inner().phone.unwrap().logout_profile,
        None
    );

    for (name, model, reason) in [
        ("SEP000DEDAB3566", "toaster", ErrorReason::ModelUnknown),
        ("SEP000DEDAB3566", "ata-186", ErrorReason::ResourceInvalid),
        ("SEP0000000000FF", "7960", ErrorReason::ResourceNotFound),
        ("door", "7960", ErrorReason::ResourceInvalid),
    ] {
        let request = UpdatePhoneRequest {
            phone: Some(phone(name, model)),
            update_mask: mask(&["model"]),
            ..Default::default()
        };
        refused(site.phones().update_phone(request).await, reason);
    }
    let request = GetPhoneRequest { name: "SEP000DEDAB3566".into() };
    assert_eq!(site.phones().get_phone(request).await.unwrap().into_inner().phone.unwrap().model, "7960");
}

#[tokio::test]
async fn every_kind_of_record_can_be_updated_and_refuses_what_is_wrong() {
    let site = Site::example().await;
    site.apply(vec![default_profile("7960").into_resource()]).await.unwrap();

    let octo = Line { capacity: LineCapacity::Octo.into(), ..line("2001") };
    let request = UpdateLineRequest { line: Some(octo), ..Default::default() };
    assert_eq!(site.lines().update_line(request).await.unwrap().into_inner().line.unwrap().etag, "v2");
    let long = Line { description: "x".repeat(129), ..line("2001") };
    let request = UpdateLineRequest { line: Some(long), ..Default::default() };
    refused(site.lines().update_line(request).await, ErrorReason::ResourceInvalid);

    let named = LogoutProfile { description: "hall".into(), ..logout_profile(1, &["2001"]) };
    let request = UpdateLogoutProfileRequest { logout_profile: Some(named), ..Default::default() };
    assert!(site.logout_profiles().update_logout_profile(request).await.is_ok());
    let request = UpdateLogoutProfileRequest {
        logout_profile: Some(logout_profile(1, &["2999"])),
        ..Default::default()
    };
    refused(site.logout_profiles().update_logout_profile(request).await, ErrorReason::ResourceInvalid);

    let named = DefaultDeviceProfile { description: "all".into(), ..default_profile("CP-7960G") };
    let request =
        UpdateDefaultDeviceProfileRequest { default_device_profile: Some(named), ..Default::default() };
    assert!(site.defaults().update_default_device_profile(request).await.is_ok());
    let request = UpdateDefaultDeviceProfileRequest {
        default_device_profile: Some(default_profile("7970")),
        ..Default::default()
    };
    refused(site.defaults().update_default_device_profile(request).await, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn cc_5_an_update_cannot_break_an_agents_lines() {
    let site = Site::example().await;
    site.apply(vec![agent("a", &[(2, 1)]).into_resource()]).await.unwrap();
    let refusal =
        refused(update_profile(&site, agent("a", &[(4, 2)]), &[]).await, ErrorReason::ContactCentrePolicy);
    assert_eq!(fields(&refusal), ["user_device_profile.settings.lines[0]"]);
    let made_for = UserDeviceProfile { model: "toaster".into(), ..profile("me", DeviceSettings::default()) };
    refused(update_profile(&site, made_for, &["model"]).await, ErrorReason::ModelUnknown);
}

#[tokio::test]
async fn a_self_service_id_that_is_taken_is_a_violation() {
    let site = Site::example().await;
    let with_id = |user_id: &str| User { self_service_id: "55".into(), ..user(user_id, &[]) };
    site.apply(vec![with_id("other").into_resource()]).await.unwrap();
    for validate_only in [true, false] {
        let request = UpdateUserRequest {
            user: Some(with_id("me")),
            update_mask: mask(&["self_service_id"]),
            validate_only,
        };
        let refusal = refused(site.users().update_user(request).await, ErrorReason::ResourceInvalid);
        assert_eq!(fields(&refusal), ["user.self_service_id"]);
    }
}

#[tokio::test]
async fn validate_only_changes_nothing() {
    let site = Site::example().await;
    let wanted = User { display_name: "Me".into(), ..user("me", &["me"]) };
    let request = UpdateUserRequest { user: Some(wanted), update_mask: None, validate_only: true };
    let answer = site.users().update_user(request).await.unwrap().into_inner().user.unwrap();
    assert_eq!((answer.display_name.as_str(), answer.etag.as_str()), ("Me", "v1"));
    assert_eq!(get_user(&site, "me").await.display_name, "");
}

#[tokio::test]
async fn updates_of_different_fields_at_once_are_all_kept() {
    let site = std::sync::Arc::new(Site::example().await);
    let (tasks, (done, mut answers)) = (Tasks::new(), mpsc::channel(64));
    for index in 0..64_u32 {
        let (site, done) = (site.clone(), done.clone());
        tasks.spawn("writer", async move {
            let (path, wanted) = match index % 4 {
                0 => ("display_name", User { display_name: "d".into(), ..user("me", &[]) }),
                1 => ("user_locale", User { user_locale: "de-DE".into(), ..user("me", &[]) }),
                2 => ("self_service_id", User { self_service_id: "7".into(), ..user("me", &[]) }),
                _ => ("cross_cluster_enabled", User { cross_cluster_enabled: true, ..user("me", &[]) }),
            };
            done.send(update_user(&site, wanted, &[path]).await).await.unwrap();
        });
    }
    drop(done);
    while let Some(answer) = answers.recv().await {
        answer.unwrap();
    }
    let stored = get_user(&site, "me").await;
    assert_eq!((stored.display_name.as_str(), stored.user_locale.as_str()), ("d", "de-DE"));
    assert!(stored.self_service_id == "7" && stored.cross_cluster_enabled);
    assert_eq!((stored.profiles.len(), stored.etag.as_str()), (1, "v5"));
}

#[tokio::test]
async fn teams_are_kept_in_order_and_refused_with_their_places() {
    let site = Site::example().await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = User {
        teams: names(&["Sales", "Evening shift"]),
        supervised_teams: names(&["Support"]),
        ..user("me", &[])
    };
    let stored = update_user(&site, wanted.clone(), &["teams", "supervised_teams"]).await.unwrap();
    assert_eq!((&stored.teams, &stored.supervised_teams), (&wanted.teams, &wanted.supervised_teams));
    for (wrong, place) in [(["Sales", " x"], "user.teams[1]"), (["Sales", "Sales"], "user.teams[1]")] {
        let answer = update_user(&site, User { teams: names(&wrong), ..user("me", &[]) }, &["teams"]).await;
        let refusal = Refusal::from_status(&answer.unwrap_err()).expect("a refusal of ours");
        assert_eq!(fields(&refusal), [place]);
    }
}
