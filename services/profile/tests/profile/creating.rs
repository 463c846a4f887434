//! Creating records: what is stored, what is refused, and who wins.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    ContactCentrePolicy, CreateDefaultDeviceProfileRequest, CreateLogoutProfileRequest, FindingSeverity,
    GetUserRequest,
};
use roamline_proto::profile::{
    CreateLineRequest, CreatePhoneRequest, CreateUserDeviceProfileRequest, CreateUserRequest, DeviceSettings,
    GetPhoneRequest, GetUserDeviceProfileRequest, Phone, PhoneProtocol, ServiceParameters,
    UpdateServiceParametersRequest, User, UserDeviceProfile,
};
use roamline_serve::Tasks;
use tokio::sync::mpsc;
use tonic::Status;

use crate::site::{
    Site, agent, default_profile, fact, fields, line, logout_profile, phone, profile, refused, user,
    with_lines,
};

async fn create_profile(site: &Site, profile: UserDeviceProfile) -> Result<UserDeviceProfile, Status> {
    let request = CreateUserDeviceProfileRequest { user_device_profile: Some(profile), validate_only: false };
    let answer = site.profiles().create_user_device_profile(request).await?;
    Ok(answer.into_inner().user_device_profile.unwrap())
}

async fn create_user(site: &Site, user: User, validate_only: bool) -> Result<User, Status> {
    let answer = site.users().create_user(CreateUserRequest { user: Some(user), validate_only }).await?;
    Ok(answer.into_inner().user.unwrap())
}

async fn create_phone(site: &Site, phone: Phone) -> Result<Phone, Status> {
    let request = CreatePhoneRequest { phone: Some(phone), validate_only: false };
    Ok(site.phones().create_phone(request).await?.into_inner().phone.unwrap())
}

async fn policy(site: &Site, policy: ContactCentrePolicy) {
    let parameters = ServiceParameters { contact_centre_policy: policy.into(), ..Default::default() };
    let request =
        UpdateServiceParametersRequest { service_parameters: Some(parameters), ..Default::default() };
    site.parameters().update_service_parameters(request).await.unwrap();
}

#[tokio::test]
async fn dp_18_a_phone_is_stored_and_found_under_one_name_however_its_mac_is_spelt() {
    let site = Site::example().await;
    let created = create_phone(&site, phone("00:1b:54:ca:fe:01", "CP-7960G")).await.unwrap();
    assert_eq!((created.name.as_str(), created.model.as_str()), ("SEP001B54CAFE01", "7960"));
    assert_eq!((created.protocol(), created.etag.as_str()), (PhoneProtocol::Sccp, "v1"));
    for spelling in ["001b.54ca.fe01", "SEP001B54CAFE01", "00-1B-54-CA-FE-01"] {
        let found = site.phones().get_phone(GetPhoneRequest { name: spelling.into() }).await.unwrap();
        assert_eq!(found.into_inner().phone.unwrap(), created);
    }
    let again =
        refused(create_phone(&site, phone("001B54CAFE01", "7960")).await, ErrorReason::ResourceExists);
    assert_eq!((fact(&again, "kind"), fact(&again, "name")), ("phone", "SEP001B54CAFE01"));
}

#[tokio::test]
async fn dp_1_a_profile_and_a_phone_cannot_share_a_name() {
    let site = Site::example().await;
    let taken = create_profile(&site, profile("sep000dedab3566", DeviceSettings::default())).await;
    let taken = refused(taken, ErrorReason::ResourceExists);
    assert_eq!((fact(&taken, "kind"), fact(&taken, "name")), ("phone", "SEP000DEDAB3566"));

    create_profile(&site, profile("SEP001B54CAFE02", DeviceSettings::default())).await.unwrap();
    let taken = create_phone(&site, phone("001B54CAFE02", "7960")).await;
    assert_eq!(fact(&refused(taken, ErrorReason::ResourceExists), "kind"), "user-device-profile");
}

#[tokio::test]
async fn validate_only_checks_everything_and_creates_nothing() {
    let site = Site::example().await;
    let valid = create_user(&site, user("new", &["me"]), true).await.unwrap();
    assert_eq!(valid.etag, "");
    let request = GetUserRequest { user_id: "new".into() };
    refused(site.users().get_user(request).await, ErrorReason::ResourceNotFound);

    refused(create_user(&site, user("new", &["nobodys"]), true).await, ErrorReason::ResourceInvalid);
    refused(create_user(&site, user("me", &[]), true).await, ErrorReason::ResourceExists);
    let with_id = |user_id: &str| User { self_service_id: "55".into(), ..user(user_id, &[]) };
    create_user(&site, with_id("a"), false).await.unwrap();
    refused(create_user(&site, with_id("b"), true).await, ErrorReason::ResourceExists);
    refused(create_user(&site, with_id("b"), false).await, ErrorReason::ResourceExists);
    let named_like_a_phone = CreateUserDeviceProfileRequest {
        user_device_profile: Some(profile("SEP000DEDAB3566", DeviceSettings::default())),
        validate_only: true,
    };
    let answer = site.profiles().create_user_device_profile(named_like_a_phone).await;
    refused(answer, ErrorReason::ResourceExists);
}

#[tokio::test]
async fn every_violation_of_a_record_is_named_at_once() {
    let site = Site::example().await;
    let mut settings = with_lines(&["2001", "2002", "2003"]);
    settings.lines[1].kind = 99;
    settings.lines[2].lines = vec!["not a line".into()];
    settings.idle_limit = Some(prost_types::Duration { seconds: 61, nanos: 0 });
    let wrong = UserDeviceProfile { name: "wrong!".into(), protocol: 1, ..profile("", settings) };
    let refusal = refused(create_profile(&site, wrong).await, ErrorReason::ResourceInvalid);
    assert_eq!(
        fields(&refusal),
        [
            "user_device_profile.name",
            "user_device_profile.protocol",
            "user_device_profile.settings.lines[1].kind",
            "user_device_profile.settings.lines[2].lines[0]",
            "user_device_profile.settings.idle_limit",
        ]
    );
}

#[tokio::test]
async fn ll_8_every_line_and_profile_that_is_not_there_is_named() {
    let site = Site::example().await;
    let refusal = create_profile(&site, profile("p", with_lines(&["2001", "2999", "2998"]))).await;
    let refusal = refused(refusal, ErrorReason::ResourceInvalid);
    assert_eq!(refusal.violations.len(), 2);
    for (number, (_, text)) in ["2999", "2998"].iter().zip(&refusal.violations) {
        assert!(text.contains(number) && text.ends_with("(LL-8)"), "{text}");
    }
    let refusal = create_user(&site, user("new", &["me", "ghost", "spectre"]), false).await;
    assert_eq!(
        fields(&refused(refusal, ErrorReason::ResourceInvalid)),
        ["user.profiles[1]", "user.profiles[2]"]
    );
    let lost = Phone {
        logout_profile: Some(roamline_proto::profile::phone::LogoutProfile::SharedLogoutProfile(9)),
        ..phone("001B54CAFE03", "7960")
    };
    let refusal = refused(create_phone(&site, lost).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["phone.shared_logout_profile"]);
}

#[tokio::test]
async fn dp_17_an_unknown_model_is_refused_by_name_with_the_nearest() {
    let site = Site::example().await;
    let refusal =
        refused(create_phone(&site, phone("001B54CAFE04", "jabber-desktp")).await, ErrorReason::ModelUnknown);
    assert_eq!(fact(&refusal, "model"), "jabber-desktp");
    assert_eq!(fact(&refusal, "nearest"), "jabber-desktop");
    let made_for = UserDeviceProfile { model: "toaster".into(), ..profile("p", DeviceSettings::default()) };
    refused(create_profile(&site, made_for).await, ErrorReason::ModelUnknown);
}

#[tokio::test]
async fn dp_7_only_models_that_take_part_have_a_default_device_profile_and_one_each() {
    let site = Site::example().await;
    let create = |model: &str| CreateDefaultDeviceProfileRequest {
        default_device_profile: Some(default_profile(model)),
        validate_only: false,
    };
    let created = site.defaults().create_default_device_profile(create("Cisco 7960")).await.unwrap();
    assert_eq!(created.into_inner().default_device_profile.unwrap().model, "7960");
    let again = site.defaults().create_default_device_profile(create("7960")).await;
    refused(again, ErrorReason::ResourceExists);
    let analog = site.defaults().create_default_device_profile(create("ata-186")).await;
    let analog = refused(analog, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&analog), ["default_device_profile.model"]);
    let unknown = site.defaults().create_default_device_profile(create("toaster")).await;
    refused(unknown, ErrorReason::ModelUnknown);
}

#[tokio::test]
async fn lines_and_logout_profiles_are_created_once() {
    let site = Site::example().await;
    let create = |name: &str| CreateLineRequest { line: Some(line(name)), validate_only: false };
    assert!(site.lines().create_line(create("2001@floor")).await.is_ok());
    refused(site.lines().create_line(create("2001")).await, ErrorReason::ResourceExists);
    refused(site.lines().create_line(create("x")).await, ErrorReason::ResourceInvalid);
    let create = |tag: u32| CreateLogoutProfileRequest {
        logout_profile: Some(logout_profile(tag, &["2100"])),
        validate_only: false,
    };
    let taken = site.logout_profiles().create_logout_profile(create(1)).await;
    assert_eq!(fact(&refused(taken, ErrorReason::ResourceExists), "name"), "1");
    let zero = site.logout_profiles().create_logout_profile(create(0)).await;
    assert_eq!(fields(&refused(zero, ErrorReason::ResourceInvalid)), ["logout_profile.tag"]);
}

#[tokio::test]
async fn cc_5_the_policy_rejects_corrects_or_warns() {
    let site = Site::example().await;
    let broken = |name: &str| agent(name, &[(2, 1), (4, 2), (2, 2)]);
    let refusal = refused(create_profile(&site, broken("a")).await, ErrorReason::ContactCentrePolicy);
    assert_eq!(
        fields(&refusal),
        ["user_device_profile.settings.lines[1]", "user_device_profile.settings.lines[2].busy_trigger"]
    );

    policy(&site, ContactCentrePolicy::Correct).await;
    let request =
        CreateUserDeviceProfileRequest { user_device_profile: Some(broken("b")), validate_only: false };
    let answer = site.profiles().create_user_device_profile(request).await.unwrap().into_inner();
    assert!(answer.findings.iter().all(|f| f.severity() == FindingSeverity::Corrected && f.rule == "CC-2"));
    assert_eq!(answer.findings.len(), 2);
    let request = GetUserDeviceProfileRequest { name: "b".into() };
    let stored = site.profiles().get_user_device_profile(request).await.unwrap().into_inner();
    let stored = stored.user_device_profile.unwrap();
    assert_eq!(answer.user_device_profile.unwrap(), stored);
    let limits: Vec<_> =
        stored.settings.unwrap().lines.iter().map(|line| (line.max_calls, line.busy_trigger)).collect();
    assert_eq!(limits, [(2, 1), (2, 1), (2, 1)]);

    policy(&site, ContactCentrePolicy::Warn).await;
    let request =
        CreateUserDeviceProfileRequest { user_device_profile: Some(broken("c")), validate_only: false };
    let answer = site.profiles().create_user_device_profile(request).await.unwrap().into_inner();
    assert!(answer.findings.iter().all(|f| f.severity() == FindingSeverity::Warning));
    assert_eq!(answer.user_device_profile.unwrap().settings.unwrap().lines[1].max_calls, 4);
}

#[tokio::test]
async fn dp_14_a_call_blocking_pin_goes_in_and_never_comes_out() {
    let site = Site::example().await;
    let settings = DeviceSettings { call_blocking_pin: "4711".into(), ..Default::default() };
    let created = create_profile(&site, profile("p", settings)).await.unwrap().settings.unwrap();
    assert_eq!((created.call_blocking_pin.as_str(), created.call_blocking_pin_set), ("", true));
}

#[tokio::test]
async fn of_sixty_four_creators_of_one_name_one_creates_it() {
    let site = std::sync::Arc::new(Site::example().await);
    let (tasks, (done, mut answers)) = (Tasks::new(), mpsc::channel(64));
    for index in 0..64 {
        let (site, done) = (site.clone(), done.clone());
        tasks.spawn("creator", async move {
            let wanted = User { display_name: index.to_string(), ..user("popular", &["me"]) };
            done.send(create_user(&site, wanted, false).await).await.unwrap();
        });
    }
    drop(done);
    let mut created = Vec::new();
    while let Some(answer) = answers.recv().await {
        match answer {
            Ok(user) => created.push(user),
            Err(status) => {
                refused::<()>(Err(status), ErrorReason::ResourceExists);
            }
        }
    }
    let request = GetUserRequest { user_id: "popular".into() };
    let stored = site.users().get_user(request).await.unwrap().into_inner().user;
    assert_eq!(created.len(), 1);
    assert_eq!(created.pop(), stored);
}
