//! The limits of what stands beside users, phones, profiles and lines.

use super::*;
use crate::directory::{
    DevicePool, LineTemplate, PhoneServiceDefinition, PhoneServiceParameter, PhoneTemplate, PresenceGroup,
};
use crate::name::RecordName;

fn name() -> RecordName {
    "n".parse().unwrap()
}

fn of_pool(change: impl Fn(&mut DevicePool, usize) + 'static) -> impl Fn(usize) -> Resource {
    move |n| {
        let mut pool = DevicePool {
            name: name(),
            description: String::new(),
            user_locale: None,
            user_hold_audio_source: None,
            softkey_template: None,
            date_time_group: None,
            region: None,
            geolocation: None,
            emergency_numbers: Vec::new(),
        };
        change(&mut pool, n);
        Resource::DevicePool(pool)
    }
}

fn of_service(change: impl Fn(&mut PhoneServiceDefinition, usize) + 'static) -> impl Fn(usize) -> Resource {
    move |n| {
        let url = format!("{WEB}a");
        let mut service =
            PhoneServiceDefinition { name: name(), description: String::new(), url, parameters: Vec::new() };
        change(&mut service, n);
        Resource::PhoneServiceDefinition(service)
    }
}

fn parameter(name: String) -> PhoneServiceParameter {
    PhoneServiceParameter { name, description: String::new(), default_value: String::new(), required: false }
}

#[test]
fn dp_22_every_field_of_a_device_pool_holds_its_limits() {
    hold([
        bound("description", "", 0..=128, of_pool(|pool, n| pool.description = x(n))),
        bound("user_locale", "", 2..=35, of_pool(|pool, n| pool.user_locale = Some(locale(n)))),
        bound(
            "user_hold_audio_source",
            "",
            0..=50,
            of_pool(|pool, n| pool.user_hold_audio_source = Some(x(n))),
        ),
        bound("softkey_template", "", 0..=50, of_pool(|pool, n| pool.softkey_template = Some(x(n)))),
        bound("date_time_group", "", 0..=50, of_pool(|pool, n| pool.date_time_group = Some(x(n)))),
        bound("region", "", 0..=50, of_pool(|pool, n| pool.region = Some(x(n)))),
        bound("geolocation", "", 0..=50, of_pool(|pool, n| pool.geolocation = Some(x(n)))),
        bound(
            "emergency_numbers",
            "DP-22",
            0..=20,
            of_pool(|pool, n| pool.emergency_numbers = numbered(n).collect()),
        ),
        bound(
            "emergency_numbers[0]",
            "DP-22",
            1..=32,
            of_pool(|pool, n| pool.emergency_numbers = vec!["1".repeat(n)]),
        ),
    ]);
}

#[test]
fn dp_21_templates_hold_their_limits() {
    let phone = |description, button: Option<String>, softkey: Option<String>| {
        Resource::PhoneTemplate(PhoneTemplate {
            name: name(),
            description,
            phone_button_template: button,
            softkey_template: softkey,
            feature_buttons: Vec::new(),
        })
    };
    let line = |description, label| {
        Resource::LineTemplate(LineTemplate {
            name: name(),
            description,
            label,
            max_calls: None,
            busy_trigger: None,
        })
    };
    hold([
        bound("description", "", 0..=128, move |n| phone(x(n), None, None)),
        bound("phone_button_template", "", 0..=50, move |n| phone(String::new(), Some(x(n)), None)),
        bound("softkey_template", "", 0..=50, move |n| phone(String::new(), None, Some(x(n)))),
        bound("description", "", 0..=128, move |n| line(x(n), None)),
        bound("label", "", 0..=32, move |n| line(String::new(), Some(x(n)))),
    ]);
}

#[test]
fn dp_12_presence_groups_hold_their_limits() {
    let group = |description, sees: usize| {
        let sees = numbered(sees).map(|name| name.parse().unwrap()).collect();
        Resource::PresenceGroup(PresenceGroup { name: name(), description, sees })
    };
    hold([
        bound("description", "", 0..=128, move |n| group(x(n), 0)),
        bound("sees", "DP-12", 0..=100, move |n| group(String::new(), n)),
    ]);
}

#[test]
fn dp_11_every_field_of_a_phone_service_holds_its_limits() {
    hold([
        bound("name", "", 0..=32, of_service(|service, n| service.name = x(n.max(1)).parse().unwrap())),
        bound("description", "", 0..=128, of_service(|service, n| service.description = x(n))),
        bound(
            "parameters",
            "DP-11",
            0..=20,
            of_service(|service, n| service.parameters = numbered(n).map(parameter).collect()),
        ),
        bound(
            "parameters[0].name",
            "DP-11",
            1..=32,
            of_service(|service, n| service.parameters = vec![parameter(x(n))]),
        ),
        bound(
            "parameters[0].description",
            "",
            0..=128,
            of_service(|service, n| {
                service.parameters = vec![PhoneServiceParameter { description: x(n), ..parameter(x(1)) }];
            }),
        ),
        bound(
            "parameters[0].default_value",
            "",
            0..=255,
            of_service(|service, n| {
                service.parameters = vec![PhoneServiceParameter { default_value: x(n), ..parameter(x(1)) }];
            }),
        ),
    ]);
    hold([Bound {
        rules: ["DP-11", ""],
        ..bound(
            "url",
            "",
            WEB.len() + 1..=255,
            of_service(|service, n| {
                service.url = format!("{WEB}{}", x(n - WEB.len()));
            }),
        )
    }]);
}
