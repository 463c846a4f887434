//! Phone services and their subscriptions (DP-11).

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    GetPhoneRequest, GetUserDeviceProfileRequest, PhoneServiceDefinition, PhoneServiceParameter,
    ServiceSubscription, SubscribeRequest, UnsubscribeRequest, UpdatePhoneServiceDefinitionRequest,
    UpdateSubscriptionsRequest, subscribe_request, unsubscribe_request,
};

use crate::site::{IntoResource, Site, refused};

const PHONE: &str = "SEP000DEDAB3566";

fn weather(url: &str, parameters: &[(&str, &str, bool)]) -> PhoneServiceDefinition {
    let parameters = parameters.iter().map(|(name, default, required)| PhoneServiceParameter {
        name: (*name).into(),
        default_value: (*default).into(),
        required: *required,
        ..Default::default()
    });
    PhoneServiceDefinition {
        name: "Weather".into(),
        url: url.into(),
        parameters: parameters.collect(),
        ..Default::default()
    }
}

async fn site() -> Site {
    let site = Site::example().await;
    let definition = weather("http://w/?d=#DEVICENAME#", &[("city", "Oslo", true), ("unit", "c", false)]);
    site.apply(vec![definition.into_resource()]).await.unwrap();
    site
}

fn subscribe(parameters: &[(&str, &str)]) -> SubscribeRequest {
    SubscribeRequest {
        name: "Weather".into(),
        subscriber: Some(subscribe_request::Subscriber::UserDeviceProfile("me".into())),
        parameters: parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    }
}

fn subscribe_phone() -> SubscribeRequest {
    SubscribeRequest {
        subscriber: Some(subscribe_request::Subscriber::Phone("00:0d:ed:ab:35:66".into())),
        ..subscribe(&[])
    }
}

async fn services(site: &Site) -> Vec<ServiceSubscription> {
    let request = GetUserDeviceProfileRequest { name: "me".into() };
    let found = site.profiles().get_user_device_profile(request).await.unwrap().into_inner();
    found.user_device_profile.unwrap().settings.unwrap().services
}

#[tokio::test]
async fn dp_11_a_subscription_copies_the_definition_and_subscribing_anew_replaces_it() {
    let site = site().await;
    let made = site.phone_services().subscribe(subscribe(&[("city", "Bergen")])).await.unwrap().into_inner();
    let made = made.subscription.unwrap();
    assert_eq!((made.url.as_str(), made.definition.as_str()), ("http://w/?d=#DEVICENAME#", "Weather"));
    assert_eq!((made.parameters["city"].as_str(), made.parameters["unit"].as_str()), ("Bergen", "c"));
    assert_eq!(services(&site).await, [made]);
    site.phone_services().subscribe(subscribe(&[])).await.unwrap();
    let now = services(&site).await;
    assert_eq!((now.len(), now[0].parameters["city"].as_str()), (1, "Oslo"));
    let refusal = site.phone_services().subscribe(subscribe(&[("colour", "red")])).await;
    refused(refusal, ErrorReason::ResourceInvalid);
    let nobody = SubscribeRequest { subscriber: None, ..subscribe(&[]) };
    refused(site.phone_services().subscribe(nobody).await, ErrorReason::InvalidRequest);
    let unknown = SubscribeRequest { name: "Tides".into(), ..subscribe(&[]) };
    refused(site.phone_services().subscribe(unknown).await, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn dp_11_unsubscribing_ends_it_and_twice_is_no_error() {
    let site = site().await;
    site.phone_services().subscribe(subscribe(&[])).await.unwrap();
    let request = UnsubscribeRequest {
        name: "Weather".into(),
        subscriber: Some(unsubscribe_request::Subscriber::UserDeviceProfile("me".into())),
    };
    for _ in 0..2 {
        site.phone_services().unsubscribe(request.clone()).await.unwrap();
        assert!(services(&site).await.is_empty());
    }
    let gone = unsubscribe_request::Subscriber::Phone("SEP001B54CAFE09".into());
    let request = UnsubscribeRequest { subscriber: Some(gone), ..request };
    refused(site.phone_services().unsubscribe(request).await, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn dp_11_updating_subscriptions_pushes_the_url_to_all_and_keeps_their_values() {
    let site = site().await;
    site.phone_services().subscribe(subscribe(&[("city", "Bergen")])).await.unwrap();
    site.phone_services().subscribe(subscribe_phone()).await.unwrap();
    let changed = weather("http://new/", &[("city", "Oslo", true), ("days", "3", false)]);
    let request =
        UpdatePhoneServiceDefinitionRequest { phone_service_definition: Some(changed), ..Default::default() };
    site.phone_services().update_phone_service_definition(request).await.unwrap();
    assert_eq!(services(&site).await[0].url, "http://w/?d=#DEVICENAME#");

    let update = || UpdateSubscriptionsRequest { name: "Weather".into() };
    let answer = site.phone_services().update_subscriptions(update()).await.unwrap().into_inner();
    assert_eq!(answer.updated_count, 2);
    let now = services(&site).await;
    let expected = [("city", "Bergen"), ("days", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!((now[0].url.as_str(), &now[0].parameters), ("http://new/", &expected.into()));
    let request = GetPhoneRequest { name: PHONE.into() };
    let phone = site.phones().get_phone(request).await.unwrap().into_inner().phone.unwrap();
    assert_eq!(phone.settings.unwrap().services[0].url, "http://new/");
    let answer = site.phone_services().update_subscriptions(update()).await.unwrap().into_inner();
    assert_eq!(answer.updated_count, 0);
    let unknown = UpdateSubscriptionsRequest { name: "Tides".into() };
    refused(site.phone_services().update_subscriptions(unknown).await, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn dp_11_a_push_that_would_leave_a_required_value_open_is_refused_with_names() {
    let site = site().await;
    site.phone_services().subscribe(subscribe(&[])).await.unwrap();
    let request = UpdatePhoneServiceDefinitionRequest {
        phone_service_definition: Some(weather("http://new/", &[("key", "", true)])),
        ..Default::default()
    };
    site.phone_services().update_phone_service_definition(request).await.unwrap();
    let update = UpdateSubscriptionsRequest { name: "Weather".into() };
    let refusal =
        refused(site.phone_services().update_subscriptions(update).await, ErrorReason::ResourceInvalid);
    assert!(refusal.violations[0].1.contains("user-device-profile me"), "{refusal:?}");
    assert_eq!(services(&site).await[0].url, "http://w/?d=#DEVICENAME#");
}
