//! Applications that are associated with profiles (EV-4).

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::rendering_service_client::RenderingServiceClient;
use roamline_proto::profile::{
    DeviceSettings, FindAssociatedRequest, GetUserDeviceProfileRequest, ListUserDeviceProfilesRequest,
    UpdateUserDeviceProfileRequest, UserDeviceProfile,
};
use roamline_token::Bearer;
use tonic::Status;

use crate::site::{IntoResource, Site, fields, mask, profile, refused};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn associated(name: &str, applications: &[&str]) -> UserDeviceProfile {
    UserDeviceProfile { applications: names(applications), ..profile(name, DeviceSettings::default()) }
}

async fn find(site: &Site, application: &str, profiles: &[&str]) -> Result<Vec<String>, Status> {
    let request = FindAssociatedRequest { application: application.into(), profiles: names(profiles) };
    Ok(site.rendering().find_associated(request).await?.into_inner().profiles)
}

async fn update(site: &Site, applications: &[&str]) -> Result<UserDeviceProfile, Status> {
    let request = UpdateUserDeviceProfileRequest {
        user_device_profile: Some(associated("me", applications)),
        update_mask: mask(&["applications"]),
        validate_only: false,
    };
    let answer = site.profiles().update_user_device_profile(request).await?;
    Ok(answer.into_inner().user_device_profile.unwrap())
}

#[tokio::test]
async fn ev_4_applications_of_a_profile_are_kept_in_order_and_refused_with_their_places() {
    let site = Site::example().await;
    let stored = update(&site, &["recorder", "dialler@site"]).await.unwrap();
    assert_eq!(stored.applications, ["recorder", "dialler@site"]);
    assert!(!stored.settings.unwrap().lines.is_empty(), "the rest is as it was");
    let request = GetUserDeviceProfileRequest { name: "me".into() };
    let read = site.profiles().get_user_device_profile(request).await.unwrap().into_inner();
    assert_eq!(read.user_device_profile.unwrap().applications, ["recorder", "dialler@site"]);
    for (wrong, place) in [(["a", "a b"], "applications[1]"), (["a", "a"], "applications[1]")] {
        let refusal =
            roamline_proto::refusal::Refusal::from_status(&update(&site, &wrong).await.unwrap_err());
        assert_eq!(fields(&refusal.expect("a refusal of ours")), [format!("user_device_profile.{place}")]);
    }
    let too_many: Vec<String> = (0..51).map(|number| format!("app{number}")).collect();
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    let refusal = refused(update(&site, &too_many).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["user_device_profile.applications"]);
    assert!(update(&site, &[]).await.unwrap().applications.is_empty());
}

#[tokio::test]
async fn ev_4_the_profiles_of_an_application_are_listed_and_found_among_others() {
    let site = Site::example().await;
    let more = [
        associated("p", &["recorder"]).into_resource(),
        associated("q", &["dialler"]).into_resource(),
        associated("r", &["dialler", "recorder"]).into_resource(),
    ];
    site.apply(more.to_vec()).await.unwrap();
    let request =
        ListUserDeviceProfilesRequest { filter: "applications = recorder".into(), ..Default::default() };
    let page = site.profiles().list_user_device_profiles(request).await.unwrap().into_inner();
    assert_eq!(page.user_device_profiles.into_iter().map(|found| found.name).collect::<Vec<_>>(), ["p", "r"]);

    let asked = ["r", "nobodys", "q", "p", "me", "r"];
    assert_eq!(find(&site, "recorder", &asked).await.unwrap(), ["r", "p", "r"]);
    assert!(find(&site, "Recorder", &asked).await.unwrap().is_empty(), "names are as they are spelt");
    assert!(find(&site, "recorder", &[]).await.unwrap().is_empty());
    assert_eq!(find(&site, "recorder", &["p"; 1000]).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn ev_4_who_asks_for_associations_is_a_service_and_says_what_is_meant() {
    let site = Site::example().await;
    let refusal = refused(find(&site, "", &["p", "a/b"]).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["application", "profiles[1]"]);
    let refusal = refused(find(&site, "recorder", &["p"; 1001]).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["profiles"]);
    let bearer = Bearer::token(site.token(&["directory.read", "session.associated"]));
    let mut application = RenderingServiceClient::with_interceptor(site.channel(), bearer);
    refused(application.find_associated(FindAssociatedRequest::default()).await, ErrorReason::ScopeMissing);
}
