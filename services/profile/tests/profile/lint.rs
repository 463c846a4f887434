//! The lint over gRPC: what it finds in a directory, and that a client can mend what it finds.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::lint_service_client::LintServiceClient;
use roamline_proto::profile::{
    ContactCentrePolicy, DevicePool, DeviceSettings, GetUserDeviceProfileRequest, LintFinding, LintRequest,
    LintResponse, LintSeverity, MultipleLoginBehavior, PhoneServiceDefinition, Resource, ServiceParameters,
    ServiceSubscription, UpdateUserDeviceProfileRequest, resource,
};
use roamline_token::Bearer;

use crate::site::{IntoResource, Site, agent, line, logout_profile, mask, profile, refused, user};

async fn lint(site: &Site, limit: u32) -> LintResponse {
    site.lint().lint(LintRequest { limit }).await.unwrap().into_inner()
}

fn named(found: &[LintFinding]) -> Vec<[&str; 4]> {
    found.iter().map(|f| [f.rule.as_str(), f.kind.as_str(), f.name.as_str(), f.field.as_str()]).collect()
}

/// Parameters that the recommended set-up of the example asks for, with that policy.
fn parameters(policy: ContactCentrePolicy) -> ServiceParameters {
    ServiceParameters {
        multiple_login_behavior: MultipleLoginBehavior::AutoLogout.into(),
        contact_centre_policy: policy.into(),
        ..ServiceParameters::default()
    }
}

#[tokio::test]
async fn cc_8_the_example_is_sound_but_for_its_set_up() {
    let site = Site::example().await;
    let found = lint(&site, 0).await;
    let expected = ["CC-8", "service-parameters", "cluster", "multiple_login_behavior"];
    assert_eq!(named(&found.findings), [expected]);
    assert_eq!((found.total_count, found.grave_count), (1, 1));
    assert_eq!(found.findings[0].severity(), LintSeverity::Warning);
    assert!(!found.findings[0].message.is_empty() && !found.findings[0].remedy.is_empty());
    site.apply(vec![parameters(ContactCentrePolicy::Reject).into_resource()]).await.unwrap();
    assert_eq!(lint(&site, 0).await, LintResponse::default());
    site.stop().await;
}

#[tokio::test]
async fn an_empty_directory_has_no_findings() {
    let site = Site::empty().await;
    assert_eq!(lint(&site, 0).await, LintResponse::default());
    site.stop().await;
}

#[tokio::test]
async fn cc_2_what_a_lax_policy_let_in_is_found_and_its_fix_is_taken() {
    let site = Site::example().await;
    site.apply(vec![parameters(ContactCentrePolicy::Warn).into_resource()]).await.unwrap();
    let resources =
        vec![agent("seven", &[(4, 2), (2, 1)]).into_resource(), user("7", &["seven"]).into_resource()];
    site.apply(resources).await.unwrap();
    let found = lint(&site, 0).await.findings;
    assert_eq!(named(&found), [["CC-2", "user-device-profile", "seven", "settings.lines[0]"]]);
    let fix: Vec<_> =
        found[0].fix.iter().map(|c| [c.field.as_str(), c.from.as_str(), c.to.as_str()]).collect();
    assert_eq!(
        fix,
        [["settings.lines[0].max_calls", "4", "2"], ["settings.lines[0].busy_trigger", "2", "1"]]
    );

    let request = GetUserDeviceProfileRequest { name: "seven".into() };
    let stored = site.profiles().get_user_device_profile(request).await.unwrap().into_inner();
    let mut profile = stored.user_device_profile.unwrap();
    let line = &mut profile.settings.as_mut().unwrap().lines[0];
    (line.max_calls, line.busy_trigger) = (2, 1);
    let request = UpdateUserDeviceProfileRequest {
        user_device_profile: Some(profile),
        update_mask: mask(&["settings.lines"]),
        validate_only: false,
    };
    site.profiles().update_user_device_profile(request).await.unwrap();
    assert_eq!(lint(&site, 0).await, LintResponse::default());
    site.stop().await;
}

#[tokio::test]
async fn cc_6_a_phone_that_was_stored_before_the_rule_is_found_first() {
    let site = Site::example().await;
    site.put_phone("SEP000000000001", "7960", true).await;
    let found = lint(&site, 0).await.findings;
    let expected = ["CC-6", "phone", "SEP000000000001", "extension_mobility_enabled"];
    assert_eq!(named(&found)[0], expected);
    assert_eq!(found[0].severity(), LintSeverity::Error);
    site.stop().await;
}

#[tokio::test]
async fn dp_11_and_dp_22_what_profiles_and_phones_share_is_looked_at() {
    let site = Site::example().await;
    site.apply(vec![parameters(ContactCentrePolicy::Reject).into_resource()]).await.unwrap();
    let definition = |url: &str| {
        let definition =
            PhoneServiceDefinition { name: "Weather".into(), url: url.into(), ..Default::default() };
        Resource { kind: Some(resource::Kind::PhoneServiceDefinition(definition)) }
    };
    let pool = DevicePool { name: "lobby".into(), ..Default::default() };
    let pool = Resource { kind: Some(resource::Kind::DevicePool(pool)) };
    let service =
        ServiceSubscription { name: "Weather".into(), definition: "Weather".into(), ..Default::default() };
    let settings = DeviceSettings { services: vec![service], ..Default::default() };
    let subscriber = profile("weather", settings).into_resource();
    let of = user("w", &["weather"]).into_resource();
    site.apply(vec![definition("http://old/"), pool, subscriber, of]).await.unwrap();
    let of_pool =
        [["DP-22", "device-pool", "lobby", ""], ["DP-22", "device-pool", "lobby", "emergency_numbers"]];
    assert_eq!(named(&lint(&site, 0).await.findings), of_pool);
    site.apply(vec![definition("http://new/")]).await.unwrap();
    let found = lint(&site, 0).await.findings;
    assert_eq!(named(&found)[0], ["DP-11", "user-device-profile", "weather", "settings.services[0]"]);
    assert_eq!((found.len(), found[0].severity()), (3, LintSeverity::Warning));
    site.stop().await;
}

#[tokio::test]
async fn the_limit_cuts_what_is_listed_and_not_what_is_counted() {
    let site = Site::example().await;
    let spare: Vec<_> = (5000..5600).map(|number| line(&number.to_string()).into_resource()).collect();
    site.apply(spare).await.unwrap();
    site.apply(vec![logout_profile(7, &["2100"]).into_resource()]).await.unwrap();
    let cut = lint(&site, 2).await;
    assert_eq!((cut.findings.len(), cut.total_count, cut.grave_count), (2, 602, 1));
    assert_eq!(named(&cut.findings)[1], ["DP-8", "logout-profile", "7", ""]);
    let all = lint(&site, u32::MAX).await;
    assert_eq!(all.findings.len(), 602);
    site.stop().await;
}

#[tokio::test]
async fn a_reader_may_lint_and_nobody_else() {
    let site = Site::empty().await;
    let mut anonymous = LintServiceClient::new(site.channel());
    refused(anonymous.lint(LintRequest::default()).await, ErrorReason::TokenMissing);
    let with =
        |scope| LintServiceClient::with_interceptor(site.channel(), Bearer::token(site.token(&[scope])));
    refused(with("directory.write").lint(LintRequest::default()).await, ErrorReason::ScopeMissing);
    assert!(with("directory.read").lint(LintRequest::default()).await.is_ok());
    site.store.break_down();
    refused(site.lint().lint(LintRequest::default()).await, ErrorReason::StoreUnavailable);
    site.stop().await;
}
