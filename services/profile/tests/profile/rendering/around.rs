//! What a rendering takes from the records around phone and profile, and what a login is told of them.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::button::Carries;
use roamline_proto::profile::{
    ContactCentrePolicy, DeviceSettings, EffectiveConfiguration, Line, LineTemplate, OffHookPolicy, Origin,
    OwnerPolicy, Phone, PhoneServiceDefinition, PhoneServiceParameter, PhoneTemplate, PresenceGroup,
    Resource, ServiceParameters, ServiceSubscription, SpeedDial, UpdateLineRequest, WornKind, resource,
};

use super::{P7960, P7970, limits, origin, prepare, preview, set, worn};
use crate::site::{IntoResource, Site, agent, fields, line, mask, phone, profile, refused, user, with_lines};

fn group(name: &str, sees: &[&str]) -> Resource {
    let sees = sees.iter().map(|name| (*name).to_owned()).collect();
    let group = PresenceGroup { name: name.into(), sees, ..PresenceGroup::default() };
    Resource { kind: Some(resource::Kind::PresenceGroup(group)) }
}

async fn update(site: &Site, line: Line, path: &str) {
    let request = UpdateLineRequest { line: Some(line), update_mask: mask(&[path]), validate_only: false };
    site.lines().update_line(request).await.unwrap();
}

fn label(configuration: &EffectiveConfiguration, index: usize) -> (String, Origin) {
    let Some(Carries::Line(line)) = &configuration.buttons[index].carries else { panic!("a line") };
    let setting = line.settings.iter().find(|setting| setting.field == "label").unwrap();
    assert_eq!(line.label, setting.value);
    (setting.value.clone(), setting.origin())
}

#[tokio::test]
async fn li_6_a_profile_can_be_looked_at_on_a_phone_without_a_user() {
    let site = Site::example().await;
    site.store.finds();
    let worn_by_me = preview(&site, P7960, "me", "").await.unwrap();
    assert!(site.store.finds() <= 3);
    let tried = preview(&site, P7960, "", "me").await.unwrap();
    assert!(site.store.finds() <= 3);
    assert_eq!((tried.worn_kind(), tried.user_id.as_str()), (WornKind::UserDeviceProfile, ""));
    assert_eq!(EffectiveConfiguration { user_id: "me".into(), ..tried }, worn_by_me);
}

#[tokio::test]
async fn ll_7_a_change_of_a_line_reaches_every_profile_that_carries_it() {
    let site = Site::example().await;
    let mut own = with_lines(&["2001"]);
    own.lines[0].label = "Mine".into();
    let more = vec![profile("a", with_lines(&["2001"])).into_resource(), profile("b", own).into_resource()];
    site.apply(more).await.unwrap();
    for name in ["Ann", "Bob"] {
        update(&site, Line { display_name: name.into(), ..line("2001") }, "display_name").await;
        for of in ["me", "a"] {
            let worn = preview(&site, P7960, "", of).await.unwrap();
            assert_eq!(label(&worn, 0), (name.to_owned(), Origin::Line), "{of}");
        }
        let worn = preview(&site, P7960, "", "b").await.unwrap();
        assert_eq!(label(&worn, 0), ("Mine".into(), Origin::Profile), "what an entry says itself is its own");
    }
}

#[tokio::test]
async fn dp_21_templates_reach_every_profile_that_names_them() {
    let site = Site::example().await;
    let mut settings = with_lines(&["2001"]);
    settings.lines[0].template = "queue".into();
    settings.phone_template = "agents".into();
    let template = |max_calls| {
        let template =
            LineTemplate { name: "queue".into(), label: "Queue".into(), max_calls, ..Default::default() };
        Resource { kind: Some(resource::Kind::LineTemplate(template)) }
    };
    let softkeys =
        PhoneTemplate { name: "agents".into(), softkey_template: "Agent".into(), ..Default::default() };
    let softkeys = Resource { kind: Some(resource::Kind::PhoneTemplate(softkeys)) };
    site.apply(vec![template(4), softkeys, profile("p", settings).into_resource()]).await.unwrap();
    let worn = preview(&site, P7960, "", "p").await.unwrap();
    assert_eq!(limits(&worn), [(4, 1)]);
    assert_eq!(label(&worn, 0), ("Queue".into(), Origin::LineTemplate));
    assert_eq!(origin(&worn, "softkey_template"), ("Agent".into(), Origin::PhoneTemplate));
    site.apply(vec![template(6)]).await.unwrap();
    assert_eq!(limits(&preview(&site, P7960, "", "p").await.unwrap()), [(6, 1)]);
}

#[tokio::test]
async fn dp_21_cc_2_and_cc_5_what_a_template_gives_an_agent_is_judged() {
    let site = Site::example().await;
    let template = LineTemplate { name: "queue".into(), max_calls: 4, ..Default::default() };
    let template = Resource { kind: Some(resource::Kind::LineTemplate(template)) };
    let mut agent = agent("agent", &[(0, 0), (2, 1)]);
    agent.settings.as_mut().unwrap().lines[0].template = "queue".into();
    let both = vec![template, agent.into_resource()];
    let refusal = refused(site.apply(both.clone()).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["resources[1].user_device_profile.settings.lines[0].max_calls"]);
    let parameters = ServiceParameters {
        contact_centre_policy: ContactCentrePolicy::Correct.into(),
        ..Default::default()
    };
    set(&site, parameters).await;
    site.apply(both).await.unwrap();
    let worn = preview(&site, P7960, "", "agent").await.unwrap();
    assert_eq!(limits(&worn), [(2, 1), (2, 1)]);
}

#[tokio::test]
async fn ll_9_an_intercom_line_stays_on_its_phone() {
    let site = Site::example().await;
    let intercom = Line { intercom_default_phone: P7970.into(), ..line("2001") };
    update(&site, intercom, "intercom_default_phone").await;
    let elsewhere = preview(&site, P7960, "me", "").await.unwrap();
    assert_eq!(worn(&elsewhere)[0], "2002");
    assert_eq!(
        (elsewhere.left_off[0].what.as_str(), elsewhere.left_off[0].rule.as_str()),
        ("intercom line 2001", "LL-9")
    );
    assert_eq!(worn(&preview(&site, P7970, "me", "").await.unwrap())[0], "2001");
}

#[tokio::test]
async fn dp_12_a_lamp_that_may_not_be_seen_is_off_and_said_to_be() {
    let site = Site::example().await;
    let managers = Line { presence_group: "managers".into(), ..line("3001") };
    let dial = SpeedDial { tag: 1, number: "3001".into(), busy_lamp: true, ..Default::default() };
    let settings =
        DeviceSettings { speed_dials: vec![dial], presence_group: "agents".into(), ..Default::default() };
    let more = vec![
        group("managers", &[]),
        group("agents", &[]),
        managers.into_resource(),
        profile("p", settings).into_resource(),
        user("p", &["p"]).into_resource(),
    ];
    site.apply(more).await.unwrap();
    let lit = |worn: &EffectiveConfiguration| match worn.buttons[0].carries.as_ref().unwrap() {
        Carries::SpeedDial(dial) => dial.busy_lamp,
        Carries::Line(_) => panic!("a speed dial"),
    };
    site.store.finds();
    let answer = prepare(&site, P7960, "p", "").await.unwrap().configuration.unwrap();
    assert!(site.store.finds() <= 3);
    assert!(!lit(&answer));
    assert_eq!(
        (answer.left_off[0].what.as_str(), answer.left_off[0].rule.as_str()),
        ("busy lamp of speed dial 1 (3001)", "DP-12")
    );
    site.apply(vec![group("agents", &["managers"])]).await.unwrap();
    let answer = prepare(&site, P7960, "p", "").await.unwrap().configuration.unwrap();
    assert!(lit(&answer) && answer.left_off.is_empty());
}

#[tokio::test]
async fn dp_12_a_number_whose_lines_are_all_in_partitions_is_that_of_the_least() {
    let site = Site::example().await;
    let managers = Line { presence_group: "managers".into(), ..line("3001@floor") };
    let dial = SpeedDial { tag: 1, number: "3001".into(), busy_lamp: true, ..Default::default() };
    let settings = DeviceSettings { speed_dials: vec![dial], ..Default::default() };
    let more = vec![
        group("managers", &[]),
        managers.into_resource(),
        line("3001@roof").into_resource(),
        profile("p", settings).into_resource(),
        user("p", &["p"]).into_resource(),
    ];
    site.apply(more).await.unwrap();
    let worn = preview(&site, P7960, "p", "").await.unwrap();
    assert_eq!(worn.left_off[0].rule, "DP-12", "the lamp is that of 3001@floor: {worn:?}");
}

#[tokio::test]
async fn li_13_and_li_8_a_login_is_told_of_the_owner_and_of_the_handset() {
    let site = Site::example().await;
    let own = Phone {
        owner_user_id: "boss".into(),
        owner_policy: OwnerPolicy::OwnerOnly.into(),
        off_hook_policy: OffHookPolicy::Refuse.into(),
        ..phone(P7960, "7960")
    };
    site.apply(vec![user("boss", &["me"]).into_resource(), own.clone().into_resource()]).await.unwrap();
    let answer = prepare(&site, P7960, "me", "").await.unwrap();
    assert!(answer.refuse_off_hook && answer.configuration.is_some());
    assert_eq!(answer.owner_refusal.unwrap().reason(), ErrorReason::PhoneReserved);
    assert_eq!(prepare(&site, P7960, "boss", "").await.unwrap().owner_refusal, None);
    let open = Phone { owner_policy: OwnerPolicy::Open.into(), off_hook_policy: 0, ..own };
    site.apply(vec![open.into_resource()]).await.unwrap();
    let answer = prepare(&site, P7960, "me", "").await.unwrap();
    assert!(answer.owner_refusal.is_none() && !answer.refuse_off_hook);
}

#[tokio::test]
async fn dp_11_a_profile_that_names_a_definition_copies_what_it_does_not_say() {
    let site = Site::example().await;
    let definition = PhoneServiceDefinition {
        name: "Weather".into(),
        url: "http://weather/".into(),
        parameters: vec![PhoneServiceParameter {
            name: "city".into(),
            default_value: "Oslo".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut subscription =
        ServiceSubscription { name: "Weather".into(), definition: "Weather".into(), ..Default::default() };
    let subscribed = |subscription: &ServiceSubscription| {
        let services = vec![subscription.clone()];
        profile("p", DeviceSettings { services, ..Default::default() }).into_resource()
    };
    let definition = Resource { kind: Some(resource::Kind::PhoneServiceDefinition(definition)) };
    site.apply(vec![definition, subscribed(&subscription)]).await.unwrap();
    let worn = preview(&site, P7970, "", "p").await.unwrap();
    assert_eq!(worn.services[0].url, "http://weather/");
    assert_eq!(worn.services[0].parameters["city"], "Oslo");

    subscription.parameters.insert("town".into(), "Oslo".into());
    let refusal = refused(site.apply(vec![subscribed(&subscription)]).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["resources[0].user_device_profile.settings.services[0].parameters"]);
    subscription.definition = "Gone".into();
    let refusal = refused(site.apply(vec![subscribed(&subscription)]).await, ErrorReason::ResourceInvalid);
    assert_eq!(fields(&refusal), ["resources[0].user_device_profile.settings.services[0].definition"]);
}
