//! The rules of what many phones and profiles have in common: form, and DP-11, DP-12, DP-21, DP-22, CC-4.

use std::collections::HashSet;

use super::settings::{at_most, check_feature_buttons, check_locale, check_web_address};
use crate::directory::{DevicePool, LineTemplate, PhoneServiceDefinition, PhoneTemplate, PresenceGroup};
use crate::name::is_dialable;
use crate::violation::Violations;

/// DP-22.
pub(super) fn check_device_pool(pool: &DevicePool, found: &mut Violations) {
    at_most("description", &pool.description, 128, found);
    if let Some(locale) = &pool.user_locale {
        check_locale("user_locale", locale, found);
    }
    for (field, text) in [
        ("user_hold_audio_source", &pool.user_hold_audio_source),
        ("softkey_template", &pool.softkey_template),
        ("date_time_group", &pool.date_time_group),
        ("region", &pool.region),
        ("geolocation", &pool.geolocation),
    ] {
        at_most(field, text.as_deref().unwrap_or_default(), 50, found);
    }
    let numbers = &pool.emergency_numbers;
    if numbers.len() > 20 {
        found.add("emergency_numbers", "DP-22", format!("has {}, more than 20", numbers.len()));
    }
    let mut seen = HashSet::new();
    for (index, number) in numbers.iter().enumerate() {
        let field = format!("emergency_numbers[{index}]");
        if number.is_empty() || number.len() > 32 || !number.chars().all(is_dialable) {
            found.add(field, "DP-22", "must be 1 to 32 digits, `*`, `#` or `+`");
        } else if !seen.insert(number) {
            found.add(field, "DP-22", format!("names {number} again"));
        }
    }
}

/// DP-21.
pub(super) fn check_phone_template(template: &PhoneTemplate, found: &mut Violations) {
    at_most("description", &template.description, 128, found);
    at_most(
        "phone_button_template",
        template.phone_button_template.as_deref().unwrap_or_default(),
        50,
        found,
    );
    at_most("softkey_template", template.softkey_template.as_deref().unwrap_or_default(), 50, found);
    check_feature_buttons(&template.feature_buttons, found);
}

/// DP-21 and CC-4: where both limits are said, they go together.
pub(super) fn check_line_template(template: &LineTemplate, found: &mut Violations) {
    at_most("description", &template.description, 128, found);
    at_most("label", template.label.as_deref().unwrap_or_default(), 32, found);
    if let (Some(most), Some(busy)) = (template.max_calls, template.busy_trigger)
        && busy > most
    {
        found.add("busy_trigger", "CC-4", format!("is {busy}, more than max_calls, {most}"));
    }
}

/// DP-12.
pub(super) fn check_presence_group(group: &PresenceGroup, found: &mut Violations) {
    at_most("description", &group.description, 128, found);
    if group.sees.len() > 100 {
        found.add("sees", "DP-12", format!("has {} groups, more than 100", group.sees.len()));
    }
    let mut seen = HashSet::new();
    for (index, name) in group.sees.iter().enumerate() {
        if !seen.insert(name) {
            found.add(format!("sees[{index}]"), "DP-12", format!("names {:?} again", name.as_str()));
        }
    }
}

/// DP-11.
pub(super) fn check_phone_service(definition: &PhoneServiceDefinition, found: &mut Violations) {
    at_most("name", definition.name.as_str(), 32, found);
    at_most("description", &definition.description, 128, found);
    check_web_address("url", &definition.url, found);
    if definition.parameters.len() > 20 {
        let message = format!("has {}, more than 20", definition.parameters.len());
        found.add("parameters", "DP-11", message);
    }
    let mut seen = HashSet::new();
    for (index, parameter) in definition.parameters.iter().enumerate() {
        let field = |part: &str| format!("parameters[{index}].{part}");
        let name = &parameter.name;
        let well_formed = (1..=32).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if !well_formed {
            found.add(field("name"), "DP-11", "must be 1 to 32 letters, digits, `.`, `-` or `_`");
        } else if !seen.insert(name) {
            found.add(field("name"), "DP-11", "is used twice in the definition");
        }
        at_most(field("description"), &parameter.description, 128, found);
        at_most(field("default_value"), &parameter.default_value, 255, found);
    }
}
