//! `roamctl lint` against the demo site: what it advises, and what it mends.

use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, GetUserDeviceProfileRequest, Resource, UserDeviceProfile, resource,
};

use crate::clients;
use crate::process::{Server, Site, errors, text};

#[test]
fn cc_8_the_demo_site_is_advised_to_enforce_a_maximum_login_time_and_nothing_else() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    let output = site.roamctl(&["-o", "json", "lint"]);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{found}");
    assert_eq!(findings[0]["rule"], "CC-8");
    assert_eq!(findings[0]["field"], "enforce_maximum_login_time");
    let shown = site.roamctl(&["lint"]);
    assert_eq!(shown.status.code(), Some(9));
    assert!(text(&shown).contains("CC-8"), "{}", text(&shown));

    let unfixed = site.roamctl(&["lint", "--fix", "--yes"]);
    assert_eq!(unfixed.status.code(), Some(9), "nothing that concerns everybody is mended unasked");
    site.json(&["parameters", "set", "enforce_maximum_login_time=true"]);
    assert_eq!(site.json(&["lint"])["totalCount"], 0);
}

#[tokio::test]
async fn cc_2_what_a_lax_policy_let_in_is_mended_after_consent() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    site.json(&["parameters", "set", "enforce_maximum_login_time=true", "contact_centre_policy=warn"]);
    let before = break_profile(&site, &server, "1001").await;

    let found = site.roamctl(&["lint"]);
    assert_eq!(found.status.code(), Some(9));
    assert!(text(&found).contains("CC-2") && text(&found).contains("user-device-profile 1001"));
    let asked = site.roamctl(&["lint", "--fix"]);
    assert_eq!(asked.status.code(), Some(2), "there is no terminal to ask: {}", text(&asked));
    assert!(errors(&asked).contains("+ settings.lines[0].max_calls: 2"), "{}", errors(&asked));
    assert!(errors(&asked).contains("nothing was changed"), "{}", errors(&asked));
    assert_eq!(profile(&site, &server, "1001").await, before);

    let mended = site.roamctl(&["lint", "--fix", "--yes"]);
    assert_eq!(mended.status.code(), Some(0), "{}", text(&mended));
    let after = profile(&site, &server, "1001").await;
    let mut expected = before;
    let line = &mut expected.settings.as_mut().unwrap().lines[0];
    (line.max_calls, line.busy_trigger) = (2, 1);
    assert_eq!(
        UserDeviceProfile { etag: String::new(), ..after },
        UserDeviceProfile { etag: String::new(), ..expected }
    );
    assert_eq!(site.json(&["lint"])["totalCount"], 0);
}

async fn profile(site: &Site, server: &Server, name: &str) -> UserDeviceProfile {
    let link = clients::link(server, &clients::administrator(site, server).await);
    let request = GetUserDeviceProfileRequest { name: name.into() };
    let found = UserDeviceProfileServiceClient::new(link).get_user_device_profile(request).await.unwrap();
    found.into_inner().user_device_profile.unwrap()
}

/// Gives the first line of an agent's profile limits that CC-2 forbids; the profile as it is stored then.
async fn break_profile(site: &Site, server: &Server, name: &str) -> UserDeviceProfile {
    let mut broken = profile(site, server, name).await;
    let line = &mut broken.settings.as_mut().unwrap().lines[0];
    (line.max_calls, line.busy_trigger) = (5, 3);
    let resource = Resource { kind: Some(resource::Kind::UserDeviceProfile(broken)) };
    let link = clients::link(server, &clients::administrator(site, server).await);
    let request = ApplyResourcesRequest { resources: vec![resource], validate_only: false };
    DirectoryServiceClient::new(link).apply_resources(request).await.unwrap();
    profile(site, server, name).await
}
