//! What a check makes of the records around a resource: DP-8, DP-11, DP-21, CC-4, LL-9.

use super::*;
use crate::appearance::LineTemplates;
use crate::directory::{
    AgentSettings, LineControl, LineTemplate, PhoneServiceDefinition, PhoneServiceParameter,
};
use crate::name::RecordName;
use crate::render::fixture::{line, line_template, logout_profile, profile};
use crate::settings::{LineAppearance, ProfileLine, ServiceSubscription};

/// Lines that begin with 9 do not exist, those that begin with 7 are intercom lines; there are a line template and a
/// phone service.
struct Around {
    template: LineTemplate,
    weather: PhoneServiceDefinition,
    subscribed: bool,
}

impl Around {
    fn new(max_calls: u32, busy_trigger: u32) -> Self {
        let city = PhoneServiceParameter {
            name: "city".into(),
            description: String::new(),
            default_value: String::new(),
            required: true,
        };
        let weather = PhoneServiceDefinition {
            name: "weather".parse().unwrap(),
            description: String::new(),
            url: "http://weather/".into(),
            parameters: vec![city],
        };
        Self { template: line_template("agents", "", max_calls, busy_trigger), weather, subscribed: false }
    }

    fn broken(&self, resource: &Resource) -> Vec<(String, &'static str)> {
        let found = check(resource, Catalogue::builtin(), self);
        found.into_iter().map(|violation| (violation.field, violation.rule)).collect()
    }
}

impl LineTemplates for Around {
    fn line_template(&self, name: &RecordName) -> Option<&LineTemplate> {
        Some(&self.template).filter(|template| template.name == *name)
    }
}

impl Known for Around {
    fn line(&self, name: &LineName) -> Option<LineFacts> {
        let facts = LineFacts { capacity: LineCapacity::Dual, intercom: name.as_str().starts_with('7') };
        (!name.as_str().starts_with('9')).then_some(facts)
    }

    fn phone_service(&self, name: &RecordName) -> Option<&PhoneServiceDefinition> {
        Some(&self.weather).filter(|weather| weather.name == *name)
    }

    fn has_subscription(&self, _: &Key, _: &ServiceSubscription) -> bool {
        self.subscribed
    }

    fn maximum_phones(&self) -> u32 {
        42
    }
}

fn at(field: &str, rule: &'static str) -> Vec<(String, &'static str)> {
    vec![(field.to_owned(), rule)]
}

fn normal(number: &str) -> ProfileLine {
    line(LineKind::Normal, &[number])
}

fn templated(max_calls: u32, busy_trigger: u32) -> Resource {
    let mut profile = profile("p");
    let appearance = LineAppearance { max_calls, busy_trigger, ..LineAppearance::default() };
    let template = Some("agents".parse().unwrap());
    profile.settings.lines = vec![ProfileLine { appearance, template, ..normal("2001") }];
    Resource::UserDeviceProfile(profile)
}

#[test]
fn dp_21_and_cc_4_an_entry_is_judged_by_what_it_and_its_template_come_to() {
    assert_eq!(Around::new(4, 2).broken(&templated(0, 0)), []);
    assert_eq!(Around::new(0, 0).broken(&templated(0, 0)), [], "2 and 1 are left");
    let broken = at("settings.lines[0].busy_trigger", "CC-4");
    assert_eq!(Around::new(4, 0).broken(&templated(0, 5)), broken);
    assert_eq!(Around::new(4, 2).broken(&templated(1, 0)), broken);
    assert_eq!(Around::new(0, 0).broken(&templated(0, 3)), broken);
    let mut gone = templated(0, 9);
    gone.settings_mut().unwrap().lines[0].template = Some("gone".parse().unwrap());
    assert_eq!(Around::new(4, 2).broken(&gone), [], "a template that is not there says nothing");
}

#[test]
fn dp_8_a_shared_logout_profile_has_a_line_to_call_from() {
    let with = |lines: Vec<ProfileLine>| {
        let mut profile = logout_profile(1);
        profile.settings.lines = lines;
        Around::new(0, 0).broken(&Resource::LogoutProfile(profile))
    };
    let silent = at("settings.lines", "DP-8");
    assert_eq!(with(Vec::new()), silent);
    assert_eq!(with(vec![normal("7001")]), silent, "an intercom line reaches one other");
    assert_eq!(with(vec![normal("7001"), line(LineKind::MonitorRing, &["2001"])]), silent);
    assert_eq!(with(vec![line(LineKind::Overlay, &["7001", "2001"])]), []);
    assert_eq!(with(vec![line(LineKind::SilentRing, &["2001"])]), []);
    assert_eq!(with(vec![normal("9001")]), at("settings.lines[0].lines[0]", "LL-8"));
}

#[test]
fn dp_8_the_tag_of_a_shared_logout_profile_is_at_most_the_number_of_phones_allowed() {
    let tagged = |tag| Around::new(0, 0).broken(&Resource::LogoutProfile(logout_profile(tag)));
    assert_eq!((tagged(42), tagged(43)), (Vec::new(), at("tag", "DP-8")));
}

#[test]
fn ll_9_an_intercom_line_is_no_acd_line() {
    let mut profile = profile("p");
    profile.settings.lines = vec![normal("7001")];
    profile.agent =
        Some(AgentSettings { line_control: LineControl::MultiLine, acd_line: "7001".parse().unwrap() });
    assert_eq!(Around::new(0, 0).broken(&Resource::UserDeviceProfile(profile)), at("agent.acd_line", "LL-9"));
}

#[test]
fn dp_11_a_subscription_is_held_against_its_definition_once() {
    let subscription = |url: &str, parameters: &[(&str, &str)], definition: Option<&str>| {
        let mut profile = profile("p");
        profile.settings.services = vec![ServiceSubscription {
            name: "weather".into(),
            url: url.into(),
            parameters: parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            definition: definition.map(|name| name.parse().unwrap()),
        }];
        Resource::UserDeviceProfile(profile)
    };
    let mut around = Around::new(0, 0);
    assert_eq!(around.broken(&subscription("", &[("city", "Oslo")], Some("weather"))), []);
    assert_eq!(around.broken(&subscription("", &[], None)), at("settings.services[0].url", "DP-11"));
    let wrong = subscription("http://w/", &[("town", "Oslo")], Some("weather"));
    let twice =
        [at("settings.services[0].parameters", "DP-11"), at("settings.services[0].parameters", "DP-11")];
    assert_eq!(
        around.broken(&wrong),
        twice.concat(),
        "an unknown parameter, and a required one without a value"
    );
    around.subscribed = true;
    assert_eq!(around.broken(&wrong), [], "its definition has changed since");
}
