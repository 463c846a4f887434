//! Many resources at once: all of them or none.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    ApplyOutcome, ApplyResourcesRequest, ApplyResourcesResponse, ContactCentrePolicy, DeviceSettings,
    FindingSeverity, GetLineRequest, GetUserDeviceProfileRequest, Line, LineCapacity, LineKind,
    ListLinesRequest, Resource, ServiceParameters, User,
};

use crate::site::{
    IntoResource, Site, agent, default_profile, entry, fact, fields, line, logout_profile, phone, profile,
    refused, user, with_lines,
};

fn outcomes(answer: &ApplyResourcesResponse) -> Vec<ApplyOutcome> {
    answer.outcomes().collect()
}

/// Resources that refer to each other, those that refer first.
fn site_in_any_order() -> Vec<Resource> {
    vec![
        user("agent7", &["agent7"]).into_resource(),
        phone("001b.54ca.fe01", "7960").into_resource(),
        profile("agent7", DeviceSettings { privacy_button: true, ..with_lines(&["2001", "2002"]) })
            .into_resource(),
        logout_profile(1, &["2100"]).into_resource(),
        default_profile("7970").into_resource(),
        ServiceParameters { remember_last_user: Some(true), ..Default::default() }.into_resource(),
        Line { capacity: LineCapacity::Octo.into(), ..line("2001") }.into_resource(),
        line("2002").into_resource(),
        line("2100").into_resource(),
    ]
}

async fn lines(site: &Site) -> usize {
    let answer = site.lines().list_lines(ListLinesRequest { page_size: 1000, ..Default::default() }).await;
    answer.unwrap().into_inner().lines.len()
}

#[tokio::test]
async fn resources_may_refer_to_each_other_in_any_order_and_applying_them_again_changes_nothing() {
    let site = Site::empty().await;
    let answer = site.apply(site_in_any_order()).await.unwrap();
    assert_eq!(outcomes(&answer), [ApplyOutcome::Created; 9]);
    let answer = site.apply(site_in_any_order()).await.unwrap();
    assert_eq!(outcomes(&answer), [ApplyOutcome::Unchanged; 9]);

    let mut changed = site_in_any_order();
    changed[0] = User { display_name: "Agent 7".into(), ..user("agent7", &["agent7"]) }.into_resource();
    changed.push(line("2003").into_resource());
    let answer = site.apply(changed).await.unwrap();
    let mut expected = vec![ApplyOutcome::Updated];
    expected.extend([ApplyOutcome::Unchanged; 8]);
    expected.push(ApplyOutcome::Created);
    assert_eq!(outcomes(&answer), expected);
    let request = GetLineRequest { name: "2001".into() };
    assert_eq!(site.lines().get_line(request).await.unwrap().into_inner().line.unwrap().etag, "v1");
}

#[tokio::test]
async fn one_bad_resource_refuses_all_and_every_violation_of_every_one_is_named() {
    let site = Site::empty().await;
    let mut resources = site_in_any_order();
    resources[0] = user("agent7", &["agent7", "ghost"]).into_resource();
    resources[1] = phone("door", "7960").into_resource();
    resources[2] = profile(
        "agent7",
        DeviceSettings {
            lines: vec![entry(LineKind::MonitorRing, &["2001"]), entry(LineKind::Normal, &["2999"])],
            ..Default::default()
        },
    )
    .into_resource();
    resources[4] = default_profile("toaster").into_resource();
    resources[5] =
        ServiceParameters { maximum_concurrent_requests: Some(101), ..Default::default() }.into_resource();
    resources.push(Resource { kind: None });
    let refusal = refused(site.apply(resources).await, ErrorReason::ResourceInvalid);
    assert_eq!(
        fields(&refusal),
        [
            "resources[0].user.profiles[1]",
            "resources[1].phone.name",
            "resources[2].user_device_profile.settings.lines[0].kind",
            "resources[2].user_device_profile.settings.lines[1].lines[0]",
            "resources[4].default_device_profile.model",
            "resources[5].service_parameters.maximum_concurrent_requests",
            "resources[9]",
        ]
    );
    assert_eq!(lines(&site).await, 0);
}

#[tokio::test]
async fn nobody_is_refused_for_referring_to_one_that_is_refused_itself() {
    let site = Site::empty().await;
    let resources = vec![user("u", &["p"]).into_resource(), profile("p", with_lines(&["x"])).into_resource()];
    let refusal = refused(site.apply(resources).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["resources[1].user_device_profile.settings.lines[0].lines[0]"]);
}

#[tokio::test]
async fn a_resource_that_comes_twice_is_refused_naming_both() {
    let site = Site::empty().await;
    let resources = vec![
        phone("00:1b:54:ca:fe:01", "7960").into_resource(),
        logout_profile(1, &["2100"]).into_resource(),
        phone("SEP001B54CAFE01", "7960").into_resource(),
        line("2100").into_resource(),
    ];
    let refusal = refused(site.apply(resources).await, ErrorReason::ResourceInvalid);
    let [(field, text)] = &refusal.violations[..] else { panic!("{refusal:?}") };
    assert_eq!(field, "resources[2].phone.name");
    assert!(text.contains("resources[0].phone"), "{text}");
}

#[tokio::test]
async fn dp_1_clashes_of_names_in_the_batch_and_with_the_store_are_named() {
    let site = Site::example().await;
    let clashing =
        |ids: [&str; 2]| ids.map(|id| User { self_service_id: "7".into(), ..user(id, &[]) }.into_resource());
    let mut resources = vec![
        phone("001B54CAFE01", "7960").into_resource(),
        profile("sep001b54cafe01", DeviceSettings::default()).into_resource(),
        profile("SEP000DEDAB3566", DeviceSettings::default()).into_resource(),
    ];
    resources.extend(clashing(["a", "b"]));
    let refusal = refused(site.apply(resources).await, ErrorReason::ResourceInvalid);
    assert_eq!(
        fields(&refusal),
        [
            "resources[1].user_device_profile.name",
            "resources[2].user_device_profile.name",
            "resources[4].user.self_service_id",
        ]
    );
    let texts: Vec<_> = refusal.violations.iter().map(|(_, text)| text.as_str()).collect();
    assert!(texts[0].contains("resources[0].phone") && texts[0].ends_with("(DP-1)"), "{texts:?}");
    assert!(texts[1].contains("phone SEP000DEDAB3566"), "{texts:?}");

    let only_in_the_store = vec![profile("SEP000DEDAB3566", DeviceSettings::default()).into_resource()];
    for validate_only in [true, false] {
        let request = ApplyResourcesRequest { resources: only_in_the_store.clone(), validate_only };
        let refusal = refused(site.directory().apply_resources(request).await, ErrorReason::ResourceInvalid);
        assert_eq!(fields(&refusal), ["resources[0].user_device_profile.name"]);
    }
}

#[tokio::test]
async fn validate_only_says_what_would_be_done_and_does_nothing() {
    let site = Site::empty().await;
    let request = ApplyResourcesRequest { resources: site_in_any_order(), validate_only: true };
    let answer = site.directory().apply_resources(request).await.unwrap().into_inner();
    assert_eq!(outcomes(&answer), [ApplyOutcome::Created; 9]);
    assert_eq!(lines(&site).await, 0);
}

#[tokio::test]
async fn cc_5_agents_are_judged_by_the_policy_that_comes_with_them() {
    let site = Site::example().await;
    let broken = agent("a", &[(2, 1), (4, 2)]).into_resource();
    let refusal = refused(site.apply(vec![broken.clone()]).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["resources[0].user_device_profile.settings.lines[1]"]);
    assert!(refusal.violations[0].1.ends_with("(CC-2)"));

    let correct = ServiceParameters {
        contact_centre_policy: ContactCentrePolicy::Correct.into(),
        ..Default::default()
    };
    let batch = vec![broken, correct.into_resource()];
    let answer = site.apply(batch.clone()).await.unwrap();
    assert_eq!(answer.findings[0].field, "resources[0].user_device_profile.settings.lines[1]");
    assert_eq!(answer.findings[0].severity(), FindingSeverity::Corrected);
    let request = GetUserDeviceProfileRequest { name: "a".into() };
    let stored = site.profiles().get_user_device_profile(request).await.unwrap().into_inner();
    let limits = &stored.user_device_profile.unwrap().settings.unwrap().lines[1];
    assert_eq!((limits.max_calls, limits.busy_trigger), (2, 1));
    assert_eq!(outcomes(&site.apply(batch).await.unwrap()), [ApplyOutcome::Unchanged; 2]);
}

#[tokio::test]
async fn ten_thousand_resources_are_taken_and_one_more_is_not() {
    let site = Site::empty().await;
    let many: Vec<Resource> = (0..10_001).map(|index| line(&format!("{index:05}")).into_resource()).collect();
    let refusal = refused(site.apply(many.clone()).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["resources"]);
    let request = ApplyResourcesRequest { resources: many[..10_000].to_vec(), validate_only: false };
    let answer = site.directory().apply_resources(request).await.unwrap();
    assert_eq!(answer.into_inner().outcomes.len(), 10_000);
}

#[tokio::test]
async fn a_refusal_of_thousands_arrives_with_the_first_and_their_number() {
    let site = Site::empty().await;
    let wrong = (0..5_000).map(|_| line("x").into_resource()).collect();
    let refusal = refused(site.apply(wrong).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal)[0], "resources[0].line.name");
    assert_eq!(fact(&refusal, "violations"), "5000");
}

#[tokio::test]
async fn a_batch_may_be_larger_than_other_requests() {
    let site = Site::empty().await;
    let big = |index: usize| Line { description: "x".repeat(128), ..line(&format!("{index:032}")) };
    let resources: Vec<Resource> = (0..9_000).map(|index| big(index).into_resource()).collect();
    let request = ApplyResourcesRequest { resources, validate_only: true };
    assert!(prost::Message::encoded_len(&request) > 1 << 20);
    assert_eq!(site.directory().apply_resources(request).await.unwrap().into_inner().outcomes.len(), 9_000);
}
