//! What phones wear: previews, and what the session service is told before a login and a logout.

mod around;
mod logouts;

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::button::Carries;
use roamline_proto::profile::phone::LogoutProfile;
use roamline_proto::profile::{
    AddressingMode, Button, ContactCentrePolicy, DefaultDeviceProfile, DevicePool, DeviceSettings,
    EffectiveConfiguration, FindingSeverity, Origin, Phone, PhoneProtocol, PrepareLoginRequest,
    PrepareLoginResponse, PrepareLogoutRequest, PreviewRequest, Resource, ServiceParameters,
    UpdateServiceParametersRequest, User, UserDeviceProfile, WornKind, resource,
};
use roamline_proto::rendering;
use tonic::Status;

use crate::site::{
    IntoResource, Site, agent, default_profile, fact, fields, line, mask, phone, profile, refused, user,
    with_lines,
};

const P7960: &str = "SEP000DEDAB3566";
const P7970: &str = "SEP0012DA8AC43D";
const SIP: &str = "SEP0123456789AB";

async fn preview(
    site: &Site,
    phone: &str,
    user_id: &str,
    profile: &str,
) -> Result<EffectiveConfiguration, Status> {
    let request = PreviewRequest { phone: phone.into(), user_id: user_id.into(), profile: profile.into() };
    Ok(site.rendering().preview(request).await?.into_inner().configuration.unwrap())
}

async fn prepare(
    site: &Site,
    phone: &str,
    user_id: &str,
    profile: &str,
) -> Result<PrepareLoginResponse, Status> {
    let request = PrepareLoginRequest {
        phone: phone.into(),
        user_id: user_id.into(),
        profile: profile.into(),
        ..Default::default()
    };
    Ok(site.rendering().prepare_login(request).await?.into_inner())
}

async fn prepare_as_bytes(site: &Site, phone: &str, known: &str) -> PrepareLoginResponse {
    let request = PrepareLoginRequest {
        phone: phone.into(),
        user_id: "me".into(),
        renderings_as_bytes: true,
        known_parameters: known.into(),
        ..Default::default()
    };
    site.rendering().prepare_login(request).await.unwrap().into_inner()
}

fn carried(button: &Button) -> String {
    match button.carries.as_ref().unwrap() {
        Carries::Line(line) => line.lines.join("+"),
        Carries::SpeedDial(dial) => format!("*{}", dial.number),
    }
}

fn worn(configuration: &EffectiveConfiguration) -> Vec<String> {
    configuration.buttons.iter().map(carried).collect()
}

fn origin(configuration: &EffectiveConfiguration, field: &str) -> (String, Origin) {
    let setting = configuration.settings.iter().find(|setting| setting.field == field).unwrap();
    (setting.value.clone(), setting.origin())
}

/// A device pool that says what held callers hear, a region and an emergency number.
fn pool(name: &str) -> Resource {
    let pool = DevicePool {
        name: name.into(),
        user_hold_audio_source: "Blues".into(),
        region: "west".into(),
        emergency_numbers: vec!["112".into()],
        ..DevicePool::default()
    };
    Resource { kind: Some(resource::Kind::DevicePool(pool)) }
}

async fn set(site: &Site, parameters: ServiceParameters) {
    let request =
        UpdateServiceParametersRequest { service_parameters: Some(parameters), ..Default::default() };
    site.parameters().update_service_parameters(request).await.unwrap();
}

#[tokio::test]
async fn ll_2_and_ll_5_each_phone_of_the_example_wears_what_fits_it() {
    let site = Site::example().await;
    let six = ["2001", "2002", "2003", "2004", "2005+2006", "2007+2008"];
    let on_7960 = preview(&site, P7960, "me", "").await.unwrap();
    assert_eq!(worn(&on_7960), six);
    let left_off: Vec<_> =
        on_7960.left_off.iter().map(|left| (left.what.as_str(), left.rule.as_str())).collect();
    assert_eq!(left_off.len(), 2);
    assert!(left_off[0].0.contains("3001") && left_off[0].1 == "LL-2", "{left_off:?}");
    assert_eq!((on_7960.worn_kind(), on_7960.worn_name.as_str()), (WornKind::UserDeviceProfile, "me"));

    let on_7970 = preview(&site, P7970, "me", "").await.unwrap();
    assert_eq!(worn(&on_7970), [&six[..], &["*3001", "*3002"]].concat());
    assert!(on_7970.left_off.is_empty());

    let on_sip = preview(&site, SIP, "me", "").await.unwrap();
    assert_eq!(
        (worn(&on_sip), on_sip.protocol()),
        (vec!["*3001".into(), "*3002".into()], PhoneProtocol::Sip)
    );
}

#[tokio::test]
async fn lo_2_with_nobody_logged_in_a_phone_wears_its_logout_choice() {
    let site = Site::example().await;
    let shared = preview(&site, "00:0d:ed:ab:35:66", "", "").await.unwrap();
    assert_eq!((shared.worn_kind(), shared.worn_name.as_str()), (WornKind::LogoutProfile, "1"));
    assert_eq!((worn(&shared), shared.user_id.as_str()), (vec!["2100".to_owned()], ""));

    let own = Phone {
        logout_profile: None,
        settings: Some(with_lines(&["2001"])),
        ..phone("001B54CAFE01", "7960")
    };
    let by_profile = Phone {
        logout_profile: Some(LogoutProfile::UserDeviceProfile("me".into())),
        ..phone("001B54CAFE02", "7970")
    };
    site.apply(vec![own.into_resource(), by_profile.into_resource()]).await.unwrap();
    let own = preview(&site, "001B54CAFE01", "", "").await.unwrap();
    assert_eq!((own.worn_kind(), worn(&own)), (WornKind::AutogeneratedProfile, vec!["2001".to_owned()]));
    let by_profile = preview(&site, "001B54CAFE02", "", "").await.unwrap();
    assert_eq!((by_profile.worn_kind(), by_profile.worn_name.as_str()), (WornKind::UserDeviceProfile, "me"));

    let request = PrepareLogoutRequest { phone: P7960.into(), ..Default::default() };
    let prepared = site.rendering().prepare_logout(request).await.unwrap().into_inner();
    assert_eq!((prepared.phone.as_str(), prepared.configuration), (P7960, Some(shared)));
    assert_eq!(prepared.service_parameters.unwrap().time_zone, "UTC");
}

#[tokio::test]
async fn li_6_and_li_14_the_origin_of_every_value_comes_over_the_wire() {
    let site = Site::example().await;
    let settings = DeviceSettings { user_locale: "de-DE".into(), ..with_lines(&["2001"]) };
    let made_for = UserDeviceProfile { model: "7970".into(), ..profile("p", settings) };
    let default = DeviceSettings { softkey_template: "Agents".into(), ..Default::default() };
    let default = DefaultDeviceProfile { settings: Some(default), ..default_profile("7960") };
    let at = Phone { device_pool: "lobby".into(), ..phone("001B54CAFE01", "7960") };
    let more = vec![
        pool("lobby"),
        made_for.into_resource(),
        user("u", &["p"]).into_resource(),
        default.into_resource(),
        at.into_resource(),
    ];
    site.apply(more).await.unwrap();
    let configuration = preview(&site, "001B54CAFE01", "u", "").await.unwrap();
    assert_eq!(origin(&configuration, "user_locale"), ("de-DE".into(), Origin::Profile));
    assert_eq!(origin(&configuration, "softkey_template"), ("Agents".into(), Origin::DefaultDeviceProfile));
    assert_eq!(origin(&configuration, "user_hold_audio_source"), ("Blues".into(), Origin::DevicePool));
    assert_eq!(origin(&configuration, "region"), ("west".into(), Origin::DevicePool));
    assert_eq!(configuration.emergency_numbers, ["112"]);
    assert_eq!(configuration.feature_buttons_origin(), Origin::DefaultDeviceProfile);
    assert_eq!(configuration.buttons[0].origin(), Origin::Profile);
    assert!(configuration.settings.iter().all(|setting| setting.origin() != Origin::Unspecified));
    assert!(configuration.settings.iter().all(|setting| !setting.field.contains("call_blocking_pin")));

    let nobody = preview(&site, P7960, "", "").await.unwrap();
    assert_eq!(origin(&nobody, "user_locale"), ("en-US".into(), Origin::Cluster));
    assert_eq!(nobody.buttons[0].origin(), Origin::LogoutProfile);
}

#[tokio::test]
async fn li_2_refusals_come_in_order_each_before_all_that_follow() {
    let site = Site::empty().await;
    // Everything is wrong; one thing after the other is set right.
    refused(prepare(&site, "door", "ME!", "").await, ErrorReason::InvalidRequest);
    refused(prepare(&site, P7960, "ME!", "").await, ErrorReason::PhoneNotFound);
    let off = Phone {
        extension_mobility_enabled: false,
        logout_profile: None,
        addressing_mode: AddressingMode::Ipv6Only.into(),
        ..phone(P7960, "ata-186")
    };
    site.apply(vec![off.clone().into_resource()]).await.unwrap();
    refused(prepare(&site, P7960, "ME!", "").await, ErrorReason::PhoneNotEnabled);
    let on = Phone { logout_profile: None, ..phone(P7960, "7960") };
    site.apply(vec![on.into_resource()]).await.unwrap();
    let refusal = refused(prepare(&site, P7960, "ME!", "").await, ErrorReason::UserIdMalformed);
    assert_eq!(fields(&refusal), ["user_id"]);
    refused(prepare(&site, P7960, "", "").await, ErrorReason::UserIdMalformed);

    let deferred = |answer: PrepareLoginResponse| {
        assert_eq!((answer.phone.as_str(), answer.user_id.as_str()), (P7960, "me"));
        assert!(answer.configuration.is_none() && answer.service_parameters.is_some());
        answer.refusal.unwrap()
    };
    let refusal = deferred(prepare(&site, P7960, "me", "other").await.unwrap());
    assert_eq!(refusal.reason(), ErrorReason::UserNotFound);
    site.apply(vec![user("me", &[]).into_resource()]).await.unwrap();
    let refusal = deferred(prepare(&site, P7960, "me", "other").await.unwrap());
    assert_eq!(refusal.reason(), ErrorReason::ProfileMissing);
    let made_for =
        |name: &str| UserDeviceProfile { model: "7970".into(), ..profile(name, DeviceSettings::default()) };
    let two = vec![
        user("me", &["a", "b"]).into_resource(),
        made_for("a").into_resource(),
        made_for("b").into_resource(),
    ];
    site.apply(two).await.unwrap();
    let refusal = deferred(prepare(&site, P7960, "me", "other").await.unwrap());
    assert_eq!(
        (refusal.reason(), refusal.metadata["profile"].as_str()),
        (ErrorReason::ProfileNotOwned, "other")
    );
    let refusal = deferred(prepare(&site, P7960, "me", "").await.unwrap());
    assert_eq!(
        (refusal.reason(), refusal.metadata["profiles"].as_str()),
        (ErrorReason::ProfileChoiceNeeded, "a,b")
    );
    let refusal = deferred(prepare(&site, P7960, "me", "a").await.unwrap());
    assert_eq!(
        (refusal.reason(), refusal.metadata["model"].as_str()),
        (ErrorReason::DefaultDeviceProfileMissing, "7960")
    );
    site.apply(vec![default_profile("7960").into_resource()]).await.unwrap();
    let answer = prepare(&site, P7960, "me", "a").await.unwrap();
    assert!(answer.refusal.is_none() && answer.configuration.is_some());
}

#[tokio::test]
async fn li_2_a_preview_gives_the_same_refusals_as_errors() {
    let site = Site::example().await;
    refused(preview(&site, "door", "me", "").await, ErrorReason::InvalidRequest);
    refused(preview(&site, P7960, "", "you").await, ErrorReason::ResourceNotFound);
    let refusal = refused(preview(&site, "door", "me", "wrong!").await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["phone", "profile"]);
    refused(preview(&site, "000000000001", "me", "").await, ErrorReason::PhoneNotFound);
    refused(preview(&site, "000000000001", "", "").await, ErrorReason::PhoneNotFound);
    refused(preview(&site, "000000000001", "", "me").await, ErrorReason::PhoneNotFound);
    refused(preview(&site, P7960, "Me", "").await, ErrorReason::UserIdMalformed);
    refused(preview(&site, P7960, "you", "").await, ErrorReason::UserNotFound);
    refused(preview(&site, P7960, "me", "you").await, ErrorReason::ProfileNotOwned);

    let off = Phone { extension_mobility_enabled: false, ..phone("001B54CAFE01", "7960") };
    let made_for =
        |name: &str| UserDeviceProfile { model: "7970".into(), ..profile(name, DeviceSettings::default()) };
    let more = vec![
        off.into_resource(),
        user("none", &[]).into_resource(),
        user("two", &["a", "b"]).into_resource(),
        made_for("a").into_resource(),
        made_for("b").into_resource(),
    ];
    site.apply(more).await.unwrap();
    refused(preview(&site, "001B54CAFE01", "me", "").await, ErrorReason::PhoneNotEnabled);
    refused(preview(&site, "001B54CAFE01", "", "me").await, ErrorReason::PhoneNotEnabled);
    refused(preview(&site, P7960, "", "a").await, ErrorReason::DefaultDeviceProfileMissing);
    refused(preview(&site, P7960, "none", "").await, ErrorReason::ProfileMissing);
    let refusal = refused(preview(&site, P7960, "two", "").await, ErrorReason::ProfileChoiceNeeded);
    assert_eq!(fact(&refusal, "profiles"), "a,b");
    refused(preview(&site, P7960, "two", "b").await, ErrorReason::DefaultDeviceProfileMissing);
    let missing = PrepareLogoutRequest { phone: "000000000001".into(), ..Default::default() };
    refused(site.rendering().prepare_logout(missing).await, ErrorReason::PhoneNotFound);
    let malformed = PrepareLogoutRequest { phone: "door".into(), ..Default::default() };
    refused(site.rendering().prepare_logout(malformed).await, ErrorReason::InvalidRequest);
}

#[tokio::test]
async fn dp_17_and_cc_6_phones_that_were_stored_before_the_rule_are_refused_at_login() {
    // The service refuses to store such phones, so they are put into the store behind its back.
    let site = Site::example().await;
    site.put_phone("001B54CAFE01", "7902", false).await;
    site.put_phone("001B54CAFE02", "7960", true).await;
    for refused_by in [
        preview(&site, "001B54CAFE01", "me", "").await.map(|_| ()),
        prepare(&site, "001B54CAFE01", "me", "").await.map(|_| ()),
    ] {
        refused(refused_by, ErrorReason::PhoneModelNotAllowed);
    }
    for refused_by in [
        preview(&site, "001B54CAFE02", "me", "").await.map(|_| ()),
        prepare(&site, "001B54CAFE02", "me", "").await.map(|_| ()),
    ] {
        refused(refused_by, ErrorReason::PhoneIpv6Only);
    }
}

#[tokio::test]
async fn sp_6_an_id_with_letters_is_malformed_where_only_digits_are_taken() {
    let site = Site::example().await;
    set(&site, ServiceParameters { alphanumeric_user_id: Some(false), ..Default::default() }).await;
    refused(prepare(&site, P7960, "me", "").await, ErrorReason::UserIdMalformed);
    refused(preview(&site, P7960, "me", "").await, ErrorReason::UserIdMalformed);
    let answer = prepare(&site, P7960, "1042", "").await.unwrap();
    assert_eq!(answer.refusal.unwrap().reason(), ErrorReason::UserNotFound);
}

#[tokio::test]
async fn a_login_is_told_all_that_the_session_service_needs() {
    let site = Site::example().await;
    let mut agent = agent("agent", &[(2, 1), (2, 1)]);
    agent.settings.as_mut().unwrap().idle_limit = Some(prost_types::Duration { seconds: 1800, nanos: 0 });
    let unlimited =
        User { maximum_login_time: Some(prost_types::Duration::default()), ..user("agent", &["agent"]) };
    let own = User { primary_extension: "2008".into(), ..user("own", &["agent"]) };
    site.apply(vec![agent.into_resource(), unlimited.into_resource(), own.into_resource()]).await.unwrap();

    site.store.finds();
    let answer = prepare(&site, "000d.edab.3566", "agent", "").await.unwrap();
    assert!(site.store.finds() <= 3);
    assert_eq!(
        (answer.phone.as_str(), answer.user_id.as_str(), answer.profile.as_str()),
        (P7960, "agent", "agent")
    );
    assert_eq!((answer.acd_line.as_str(), answer.primary_extension.as_str()), ("2001", "2001"));
    assert_eq!(answer.user_maximum_login_time, Some(prost_types::Duration::default()));
    assert_eq!(answer.idle_limit, Some(prost_types::Duration { seconds: 1800, nanos: 0 }));
    assert_eq!(worn(&answer.configuration.unwrap()), ["2001", "2002"]);
    assert_eq!(worn(&answer.logout_configuration.unwrap()), ["2100"]);
    assert_eq!(answer.service_parameters.unwrap().etag, "v0");

    let answer = prepare(&site, P7960, "own", "").await.unwrap();
    assert_eq!((answer.primary_extension.as_str(), answer.user_maximum_login_time), ("2008", None));
}

#[tokio::test]
async fn cc_5_a_profile_stored_before_the_policy_changed_is_judged_at_login() {
    let site = Site::example().await;
    let policy = |policy: ContactCentrePolicy| ServiceParameters {
        contact_centre_policy: policy.into(),
        ..Default::default()
    };
    set(&site, policy(ContactCentrePolicy::Warn)).await;
    let stored = vec![agent("a", &[(2, 1), (4, 2)]).into_resource(), user("a", &["a"]).into_resource()];
    site.apply(stored).await.unwrap();

    let warned = prepare(&site, P7960, "a", "").await.unwrap();
    assert_eq!(warned.findings[0].severity(), FindingSeverity::Warning);
    set(&site, policy(ContactCentrePolicy::Correct)).await;
    let corrected = prepare(&site, P7960, "a", "").await.unwrap();
    assert_eq!(corrected.findings[0].severity(), FindingSeverity::Corrected);
    assert_eq!(limits(&corrected.configuration.unwrap()), [(2, 1), (2, 1)]);
    set(&site, policy(ContactCentrePolicy::Reject)).await;
    let rejected = prepare(&site, P7960, "a", "").await.unwrap();
    assert!(rejected.refusal.is_none() && rejected.configuration.is_some() && rejected.findings.is_empty());
    let refusal = rejected.contact_centre_refusal.unwrap();
    assert_eq!(refusal.reason(), ErrorReason::ContactCentrePolicy);
    assert_eq!((refusal.findings.len(), refusal.findings[0].rule.as_str()), (1, "CC-2"));
    let refusal = refused(preview(&site, P7960, "a", "").await, ErrorReason::ContactCentrePolicy);
    assert_eq!(fields(&refusal), ["settings.lines[1]"]);
}

fn limits(configuration: &EffectiveConfiguration) -> Vec<(u32, u32)> {
    let lines = configuration.buttons.iter().filter_map(|button| match button.carries.as_ref()? {
        Carries::Line(line) => Some((line.max_calls, line.busy_trigger)),
        Carries::SpeedDial(_) => None,
    });
    lines.collect()
}

#[tokio::test]
async fn dp_10_a_change_to_a_profile_is_rendered_from_the_next_request_on() {
    let site = Site::example().await;
    site.apply(vec![line("2009").into_resource()]).await.unwrap();
    let request = roamline_proto::profile::UpdateUserDeviceProfileRequest {
        user_device_profile: Some(profile("me", with_lines(&["2009"]))),
        update_mask: mask(&["settings.lines"]),
        ..Default::default()
    };
    site.profiles().update_user_device_profile(request).await.unwrap();
    assert_eq!(worn(&preview(&site, P7960, "me", "").await.unwrap()), ["2009", "*3001", "*3002"]);
}

#[tokio::test]
async fn li_6_a_rendering_as_bytes_is_the_same_as_the_message() {
    let site = Site::example().await;
    let told = prepare(&site, P7960, "me", "").await.unwrap();
    let bytes = prepare_as_bytes(&site, P7960, "").await;
    assert_eq!((&bytes.configuration, &bytes.logout_configuration), (&None, &None));
    let configuration = told.configuration.unwrap();
    assert_eq!(bytes.change, configuration.change);
    let lines = configuration.buttons.iter().filter_map(|button| match button.carries.as_ref() {
        Some(Carries::Line(line)) => Some(&line.lines),
        _ => None,
    });
    assert_eq!(bytes.lines, lines.flatten().cloned().collect::<Vec<_>>());
    assert_eq!(rendering::read(&bytes.rendering).unwrap(), configuration);
    assert_eq!(rendering::read(&bytes.logout_rendering).unwrap(), told.logout_configuration.unwrap());

    let as_bytes =
        PrepareLogoutRequest { phone: P7960.into(), renderings_as_bytes: true, ..Default::default() };
    let logout = site.rendering().prepare_logout(as_bytes).await.unwrap().into_inner();
    assert_eq!((logout.configuration, logout.rendering), (None, bytes.logout_rendering));
}

#[tokio::test]
async fn sp_21_parameters_are_left_out_only_for_whoever_has_those_in_force() {
    let site = Site::example().await;
    let etag = prepare_as_bytes(&site, P7960, "").await.service_parameters.unwrap().etag;
    assert_eq!(prepare_as_bytes(&site, P7960, &etag).await.service_parameters, None);
    let known = PrepareLogoutRequest { phone: P7960.into(), known_parameters: etag, ..Default::default() };
    let logout = site.rendering().prepare_logout(known.clone()).await.unwrap().into_inner();
    assert_eq!(logout.service_parameters, None);
    assert!(logout.configuration.is_some());
    for other in ["v99", "v"] {
        assert!(prepare_as_bytes(&site, P7960, other).await.service_parameters.is_some(), "{other}");
    }
}
