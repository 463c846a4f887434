//! Getting single records, and the catalogue of models.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    GetDefaultDeviceProfileRequest, GetLineRequest, GetLogoutProfileRequest, GetPhoneModelRequest,
    GetPhoneRequest, GetUserDeviceProfileRequest, GetUserRequest, ListPhoneModelsRequest, PhoneProtocol,
};

use crate::site::{IntoResource, Site, default_profile, fact, fields, refused};

#[tokio::test]
async fn what_is_there_is_returned_and_what_is_not_is_named() {
    let site = Site::example().await;
    site.apply(vec![default_profile("7960").into_resource()]).await.unwrap();
    let request = GetLineRequest { name: "2001".into() };
    assert_eq!(site.lines().get_line(request).await.unwrap().into_inner().line.unwrap().etag, "v1");
    let request = GetLogoutProfileRequest { tag: 1 };
    assert!(site.logout_profiles().get_logout_profile(request).await.is_ok());
    let request = GetDefaultDeviceProfileRequest { model: "cp-7960g".into() };
    assert!(site.defaults().get_default_device_profile(request).await.is_ok());

    let missing = site.users().get_user(GetUserRequest { user_id: "nobody".into() }).await;
    let missing = refused(missing, ErrorReason::ResourceNotFound);
    assert_eq!((fact(&missing, "kind"), fact(&missing, "name")), ("user", "nobody"));
    let missing = site.phones().get_phone(GetPhoneRequest { name: "0000.0000.0001".into() }).await;
    refused(missing, ErrorReason::ResourceNotFound);
    let missing =
        site.profiles().get_user_device_profile(GetUserDeviceProfileRequest { name: "x".into() }).await;
    refused(missing, ErrorReason::ResourceNotFound);
    let missing = site.lines().get_line(GetLineRequest { name: "0100".into() }).await;
    assert_eq!(fact(&refused(missing, ErrorReason::ResourceNotFound), "name"), "0100");
    let missing = site.logout_profiles().get_logout_profile(GetLogoutProfileRequest { tag: 20 }).await;
    assert_eq!(fact(&refused(missing, ErrorReason::ResourceNotFound), "name"), "20");
    let missing = site
        .defaults()
        .get_default_device_profile(GetDefaultDeviceProfileRequest { model: "toaster".into() })
        .await;
    refused(missing, ErrorReason::ResourceNotFound);

    let malformed = site.users().get_user(GetUserRequest { user_id: "NOBODY".into() }).await;
    assert_eq!(fields(&refused(malformed, ErrorReason::InvalidRequest)), ["user_id"]);
    let malformed = site.logout_profiles().get_logout_profile(GetLogoutProfileRequest { tag: 0 }).await;
    assert_eq!(fields(&refused(malformed, ErrorReason::InvalidRequest)), ["tag"]);
}

#[tokio::test]
async fn dp_17_the_catalogue_is_listed_and_its_models_are_found_however_they_are_spelt() {
    let site = Site::empty().await;
    let request = GetPhoneModelRequest { name: "Cisco 7960".into() };
    let found = site.models().get_phone_model(request).await.unwrap().into_inner().phone_model.unwrap();
    assert_eq!((found.name.as_str(), found.buttons), ("7960", 6));
    assert_eq!(found.protocols().next(), Some(PhoneProtocol::Sccp));
    assert!(found.modules.iter().any(|module| module.name == "7914" && module.buttons == 14));

    let all = site.models().list_phone_models(ListPhoneModelsRequest {}).await.unwrap().into_inner();
    assert!(all.phone_models.len() >= 30 && all.phone_models.contains(&found));

    let unknown = site.models().get_phone_model(GetPhoneModelRequest { name: "x".repeat(100_000) }).await;
    refused(unknown, ErrorReason::ModelUnknown);
}
