//! What a record was judged by, and what a change of that would break.

use roamline_domain::directory::{Key, Kind, LineCapacity as Capacity, Resource};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    CreateUserDeviceProfileRequest, DeviceSettings, Line, LineCapacity, LineTemplate, ProfileLine,
    ServiceParameters, UpdateLineRequest, UpdateLineTemplateRequest, UpdateServiceParametersRequest,
    UserDeviceProfile,
};
use roamline_store::{Change, DirectoryStore, Expect};

use crate::site::{
    IntoResource, Site, agent, fact, fields, line, logout_profile, mask, profile, refused, with_lines,
};

fn private(name: &str, line: &str) -> UserDeviceProfile {
    profile(name, DeviceSettings { privacy_button: true, ..with_lines(&[line]) })
}

async fn with_octo_line() -> Site {
    let site = Site::example().await;
    let octo = Line { capacity: LineCapacity::Octo.into(), ..line("2999") };
    site.apply(vec![octo.into_resource()]).await.unwrap();
    site
}

#[tokio::test]
async fn dp_15_a_line_that_is_an_octo_line_no_more_is_seen_before_the_commit() {
    let site = with_octo_line().await;
    let found = site.store.find(&[Key::new(Kind::Line, "2999")]).await.unwrap().remove(0).unwrap();
    let Resource::Line(octo) = found.resource else { panic!("a line is a line") };
    let dual = Resource::Line(roamline_domain::directory::Line { capacity: Capacity::Dual, ..octo });
    site.store.meanwhile(vec![Change::Put { resource: dual, expect: Expect::Version(1) }]);
    let request = CreateUserDeviceProfileRequest {
        user_device_profile: Some(private("p", "2999")),
        validate_only: false,
    };
    let refusal = site.profiles().create_user_device_profile(request).await;
    let refusal = refused(refusal, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["user_device_profile.settings.privacy_button"]);
}

#[tokio::test]
async fn dp_15_a_change_of_a_line_that_would_break_profiles_names_them() {
    let site = with_octo_line().await;
    site.apply(vec![private("p", "2999").into_resource(), private("q", "2999").into_resource()])
        .await
        .unwrap();
    for validate_only in [true, false] {
        let request =
            UpdateLineRequest { line: Some(line("2999")), update_mask: mask(&["capacity"]), validate_only };
        let refusal = refused(site.lines().update_line(request).await, ErrorReason::ResourceInvalid);
        assert_eq!(fact(&refusal, "usedBy"), "user-device-profile p, user-device-profile q");
    }
    let refusal = refused(site.apply(vec![line("2999").into_resource()]).await, ErrorReason::ResourceInvalid);
    assert_eq!(refusal.violations.len(), 2);
    // With the profiles in the same step, it is made.
    let calm = |name| profile(name, with_lines(&["2999"])).into_resource();
    site.apply(vec![line("2999").into_resource(), calm("p"), calm("q")]).await.unwrap();
}

#[tokio::test]
async fn cc_2_and_dp_21_a_change_of_a_line_template_that_would_break_agents_names_them() {
    let site = Site::example().await;
    let template =
        |max_calls| LineTemplate { name: "agents".into(), max_calls, busy_trigger: 1, ..Default::default() };
    let mut templated = agent("a", &[(0, 0)]);
    let entry: &mut ProfileLine = &mut templated.settings.as_mut().unwrap().lines[0];
    entry.template = "agents".into();
    site.apply(vec![template(2).into_resource(), templated.into_resource()]).await.unwrap();
    let update = |max_calls| UpdateLineTemplateRequest {
        line_template: Some(template(max_calls)),
        ..Default::default()
    };
    let refusal = site.line_templates().update_line_template(update(3)).await;
    assert_eq!(fact(&refused(refusal, ErrorReason::ResourceInvalid), "usedBy"), "user-device-profile a");
    site.line_templates().update_line_template(update(2)).await.unwrap();
}

#[tokio::test]
async fn dp_8_fewer_phones_than_a_tag_says_are_refused() {
    let site = Site::example().await;
    site.apply(vec![logout_profile(7, &["2100"]).into_resource()]).await.unwrap();
    let fewer = |maximum_phones| UpdateServiceParametersRequest {
        service_parameters: Some(ServiceParameters {
            maximum_phones: Some(maximum_phones),
            ..Default::default()
        }),
        update_mask: mask(&["maximum_phones"]),
        validate_only: false,
    };
    let refusal = site.parameters().update_service_parameters(fewer(6)).await;
    assert_eq!(fact(&refused(refusal, ErrorReason::ResourceInvalid), "usedBy"), "logout-profile 7");
    site.parameters().update_service_parameters(fewer(7)).await.unwrap();
}
