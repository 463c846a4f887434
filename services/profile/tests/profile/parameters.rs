//! The service parameters: defaults, masks, and that a change holds at once.

use prost_types::Duration;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    ClearCallLogs, ContactCentrePolicy, DeviceSettings, GetServiceParametersRequest, MultipleLoginBehavior,
    OccupiedPhoneBehavior, PrepareLoginRequest, ServiceParameters, UpdateServiceParametersRequest, User,
};
use tonic::Status;

use crate::site::{IntoResource, Site, fact, fields, mask, profile, refused, user};

async fn get(site: &Site) -> ServiceParameters {
    let answer = site.parameters().get_service_parameters(GetServiceParametersRequest {}).await;
    answer.unwrap().into_inner().service_parameters.unwrap()
}

async fn update(
    site: &Site,
    parameters: ServiceParameters,
    paths: &[&str],
) -> Result<ServiceParameters, Status> {
    let request = UpdateServiceParametersRequest {
        service_parameters: Some(parameters),
        update_mask: mask(paths),
        validate_only: false,
    };
    let answer = site.parameters().update_service_parameters(request).await?;
    Ok(answer.into_inner().service_parameters.unwrap())
}

fn hours(hours: i64) -> Option<Duration> {
    Some(Duration { seconds: hours * 3600, nanos: 0 })
}

#[tokio::test]
async fn sp_what_nobody_has_set_is_at_its_default() {
    let site = Site::empty().await;
    let defaults = ServiceParameters {
        enforce_maximum_login_time: Some(false),
        maximum_login_time: hours(8),
        inter_cluster_maximum_login_time: hours(10),
        maximum_concurrent_requests: Some(0),
        multiple_login_behavior: MultipleLoginBehavior::NotAllowed.into(),
        alphanumeric_user_id: Some(true),
        remember_last_user: Some(false),
        clear_call_logs: ClearCallLogs::EveryLogout.into(),
        daily_logout_times: Vec::new(),
        occupied_phone_behavior: OccupiedPhoneBehavior::OnRequest.into(),
        contact_centre_policy: ContactCentrePolicy::Reject.into(),
        time_zone: "UTC".into(),
        default_user_locale: "en-US".into(),
        etag: "v0".into(),
    };
    assert_eq!(get(&site).await, defaults);
}

#[tokio::test]
async fn a_masked_update_changes_what_it_names_and_a_full_one_resets_what_is_absent() {
    let site = Site::empty().await;
    let wanted = ServiceParameters {
        maximum_login_time: hours(1),
        alphanumeric_user_id: Some(false),
        daily_logout_times: vec!["18:30".into(), "24:00".into()],
        ..Default::default()
    };
    let updated = update(&site, wanted.clone(), &["maximum_login_time", "daily_logout_times"]).await.unwrap();
    assert_eq!((updated.maximum_login_time, updated.alphanumeric_user_id), (hours(1), Some(true)));
    assert_eq!((updated.daily_logout_times.len(), updated.etag.as_str()), (2, "v1"));

    let updated = update(&site, ServiceParameters::default(), &["maximum_login_time"]).await.unwrap();
    assert_eq!((updated.maximum_login_time, updated.daily_logout_times.len()), (hours(8), 2));

    let alphanumeric = ServiceParameters { alphanumeric_user_id: Some(false), ..Default::default() };
    let updated = update(&site, alphanumeric, &[]).await.unwrap();
    assert_eq!((updated.alphanumeric_user_id, updated.daily_logout_times.len()), (Some(false), 0));
    assert_eq!(get(&site).await, updated);
}

#[tokio::test]
async fn sp_parameters_out_of_range_are_refused_all_at_once() {
    let site = Site::empty().await;
    let wrong = ServiceParameters {
        maximum_login_time: hours(169),
        maximum_concurrent_requests: Some(101),
        time_zone: "Mars/Olympus".into(),
        ..Default::default()
    };
    let refusal = refused(update(&site, wrong, &[]).await, ErrorReason::ResourceInvalid);
    assert_eq!(
        fields(&refusal),
        [
            "service_parameters.maximum_login_time",
            "service_parameters.maximum_concurrent_requests",
            "service_parameters.time_zone",
        ]
    );
    let malformed = ServiceParameters {
        maximum_login_time: Some(Duration { seconds: -1, nanos: 0 }),
        clear_call_logs: 77,
        daily_logout_times: vec!["25:00".into()],
        ..Default::default()
    };
    assert_eq!(
        refused(update(&site, malformed, &[]).await, ErrorReason::ResourceInvalid).violations.len(),
        3
    );
    refused(update(&site, ServiceParameters::default(), &["colour"]).await, ErrorReason::FieldMaskInvalid);
    refused(update(&site, ServiceParameters::default(), &["etag"]).await, ErrorReason::FieldMaskInvalid);
    assert_eq!(get(&site).await.etag, "v0");
}

#[tokio::test]
async fn dp_20_parameters_have_an_etag_from_the_start() {
    let site = Site::empty().await;
    let read = get(&site).await;
    let wanted = ServiceParameters { remember_last_user: Some(true), ..read.clone() };
    assert_eq!(update(&site, wanted.clone(), &[]).await.unwrap().etag, "v1");
    let stale = refused(update(&site, wanted, &[]).await, ErrorReason::EtagMismatch);
    assert_eq!(fact(&stale, "etag"), "v1");
}

#[tokio::test]
async fn sp_21_a_change_holds_from_the_next_request_on() {
    let site = Site::example().await;
    let question = || PrepareLoginRequest {
        phone: "SEP000DEDAB3566".into(),
        user_id: "me".into(),
        ..Default::default()
    };
    site.rendering().prepare_login(question()).await.unwrap();
    let digits = ServiceParameters { alphanumeric_user_id: Some(false), ..Default::default() };
    update(&site, digits, &["alphanumeric_user_id"]).await.unwrap();
    refused(site.rendering().prepare_login(question()).await, ErrorReason::UserIdMalformed);
}

#[tokio::test]
async fn lengths_of_time_at_the_edges_of_the_wire_are_refused() {
    let site = Site::empty().await;
    for (seconds, nanos) in [
        (i64::MIN, i32::MIN),
        (i64::MAX, i32::MAX),
        (i64::MAX, 999_999_999),
        (i64::MIN, 0),
        (60, -1),
        (60, 1_000_000_000),
        (60, 1),
    ] {
        let length = Some(Duration { seconds, nanos });
        let wrong = ServiceParameters { maximum_login_time: length, ..Default::default() };
        let refusal = refused(update(&site, wrong, &[]).await, ErrorReason::ResourceInvalid);
        assert_eq!(fields(&refusal), ["service_parameters.maximum_login_time"]);
        let settings = DeviceSettings { idle_limit: length, ..Default::default() };
        let wrong = User { maximum_login_time: length, ..user("u", &[]) };
        let batch = vec![profile("p", settings).into_resource(), wrong.into_resource()];
        let refusal = refused(site.apply(batch).await, ErrorReason::ResourceInvalid);
        assert_eq!(fields(&refusal)[0], "resources[0].user_device_profile.settings.idle_limit");
    }
}
