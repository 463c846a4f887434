//! The rules of what can be brought to a phone: form, and DP-3, DP-4, DP-11, DP-12, DP-14, DP-15, DP-21, CC-4, LL-3,
//! LL-4, LL-8.

use std::collections::HashSet;

use super::Against;
use crate::appearance::{CallLimits, limits};
use crate::catalogue::PhoneModel;
use crate::directory::LineCapacity;
use crate::name::is_dialable;
use crate::settings::{
    DeviceSettings, FeatureButton, LineKind, Mlpp, MlppIndication, MlppPreemption, ProfileLine,
    ServiceSubscription, SpeedDial,
};
use crate::subscription;
use crate::violation::Violations;

/// Modules a profile may list, whatever the model takes (DP-2).
const MOST_MODULES: u32 = 2;

/// Everything that is wrong with settings; `model` is `None` where they are for no model in particular.
pub(super) fn check(
    settings: &DeviceSettings,
    model: Option<&PhoneModel>,
    known: &Against<'_>,
) -> Violations {
    let mut found = Violations::new();
    check_texts(settings, &mut found);
    check_modules(&settings.expansion_modules, model, known, &mut found);
    found.extend_under("mlpp", check_mlpp(&settings.mlpp));
    check_lines(&settings.lines, known, &mut found);
    check_speed_dials(&settings.speed_dials, &mut found);
    check_services(&settings.services, known, &mut found);
    check_feature_buttons(&settings.feature_buttons, &mut found);
    if let Some(pin) = &settings.call_blocking_pin
        && !((4..=8).contains(&pin.0.len()) && pin.0.chars().all(|c| c.is_ascii_digit()))
    {
        found.add("call_blocking_pin", "DP-14", "must be 4 to 8 digits");
    }
    if settings.idle_limit_minutes.is_some_and(|minutes| !(1..=9999).contains(&minutes)) {
        found.add("idle_limit", "DP-14", "must be 1 to 9999 minutes");
    }
    if settings.privacy_button && no_octo_line(&settings.lines, known) {
        found.add("privacy_button", "DP-15", "is for octo-lines only, and none of the lines is one");
    }
    found
}

/// DP-2: in order, without repeats.
pub(super) fn check_feature_buttons(buttons: &[FeatureButton], found: &mut Violations) {
    let mut seen = HashSet::new();
    for (index, button) in buttons.iter().enumerate() {
        if !seen.insert(button) {
            found.add(format!("feature_buttons[{index}]"), "DP-2", format!("names {button} again"));
        }
    }
}

/// Notes a text that is longer than it may be.
pub(super) fn at_most(field: impl Into<String>, text: &str, most: usize, found: &mut Violations) {
    let length = text.chars().count();
    if length > most {
        found.add(field, "", format!("has {length} characters, more than {most}"));
    }
}

/// Notes a text that is no BCP 47 tag: subtags of 1 to 8 letters and digits, the first of 2 to 8 letters.
pub(super) fn check_locale(field: &str, locale: &str, found: &mut Violations) {
    let subtag =
        |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    let first = locale.split('-').next().unwrap_or_default();
    let is_tag = locale.len() <= 35
        && locale.split('-').all(subtag)
        && first.len() >= 2
        && first.chars().all(|c| c.is_ascii_alphabetic());
    if !is_tag {
        let shown: String = locale.chars().take(80).collect();
        found.add(field, "", format!("{shown:?} is no BCP 47 language tag, such as \"en-US\""));
    }
}

fn check_texts(settings: &DeviceSettings, found: &mut Violations) {
    if let Some(locale) = &settings.user_locale {
        check_locale("user_locale", locale, found);
    }
    for (field, text) in [
        ("user_hold_audio_source", &settings.user_hold_audio_source),
        ("phone_button_template", &settings.phone_button_template),
        ("softkey_template", &settings.softkey_template),
    ] {
        at_most(field, text.as_deref().unwrap_or_default(), 50, found);
    }
}

/// DP-2 and DP-4: at most two, and only what the model takes; where there is no model, what some model takes.
fn check_modules(
    modules: &[String],
    model: Option<&PhoneModel>,
    known: &Against<'_>,
    found: &mut Violations,
) {
    for (index, name) in modules.iter().enumerate() {
        let field = format!("expansion_modules[{index}]");
        let shown: String = name.chars().take(80).collect();
        match model {
            Some(model) if model.module(name).is_none() => {
                let takes: Vec<&str> = model.modules.iter().map(|module| module.name.as_str()).collect();
                let takes = if takes.is_empty() { "none".to_owned() } else { takes.join(", ") };
                found.add(
                    field,
                    "DP-4",
                    format!("a {} does not take {shown:?}; it takes {takes}", model.name),
                );
            }
            None if !known.catalogue.iter().any(|model| model.module(name).is_some()) => {
                found.add(field, "DP-4", format!("no phone model takes {shown:?}"));
            }
            _ => {}
        }
    }
    let most = model.map_or(MOST_MODULES, |model| model.max_modules.min(MOST_MODULES));
    if modules.len() as u64 > u64::from(most) && model.is_none_or(|model| !model.modules.is_empty()) {
        let rule = if most == MOST_MODULES { "DP-2" } else { "DP-4" };
        let message = format!("lists {}, and at most {most} may be worn", modules.len());
        found.add("expansion_modules", rule, message);
    }
}

/// DP-3.
fn check_mlpp(mlpp: &Mlpp) -> Violations {
    let mut found = Violations::new();
    let domain = &mlpp.domain;
    if domain.len() > 6 || !domain.chars().all(|c| c.is_ascii_hexdigit()) {
        found.add("domain", "DP-3", "must be empty or hexadecimal 0 to FFFFFF");
    }
    if mlpp.indication == MlppIndication::Off && mlpp.preemption == MlppPreemption::Forceful {
        found.add("preemption", "DP-3", "cannot be forceful while the indication is off");
    }
    found
}

fn check_lines(lines: &[ProfileLine], known: &Against<'_>, found: &mut Violations) {
    if lines.len() > 100 {
        found.add("lines", "DP-2", format!("has {} entries, more than 100", lines.len()));
    }
    if lines.first().is_some_and(|line| line.kind == LineKind::MonitorRing) {
        found.add("lines[0].kind", "LL-4", "the first line cannot be a monitor line");
    }
    for (index, line) in lines.iter().enumerate() {
        found.extend_under(&format!("lines[{index}]"), check_line(line, known));
    }
}

/// LL-3, LL-8, DP-21 and CC-4.
fn check_line(line: &ProfileLine, known: &Against<'_>) -> Violations {
    let mut found = Violations::new();
    let count = line.lines.len();
    if line.kind.is_overlay() && !(1..=25).contains(&count) {
        found.add("lines", "LL-3", format!("has {count} numbers; an overlay takes 1 to 25"));
    } else if !line.kind.is_overlay() && count != 1 {
        found.add("lines", "LL-3", format!("has {count} numbers; only an overlay takes other than one"));
    }
    let mut seen = HashSet::new();
    for (index, name) in line.lines.iter().enumerate() {
        let field = format!("lines[{index}]");
        if seen.insert(name) {
            known.line_exists(field, name, &mut found);
        } else {
            found.add(field, "LL-3", format!("names {name} again"));
        }
    }
    at_most("label", &line.appearance.label, 32, &mut found);
    if let Some(limits) = limits(line, known.known) {
        check_limits(limits, &mut found);
    }
    found
}

/// CC-4, of what comes of an entry and its template.
fn check_limits(CallLimits { max_calls, busy_trigger }: CallLimits, found: &mut Violations) {
    if max_calls == 0 {
        found.add("max_calls", "CC-4", "must be at least 1");
    }
    if busy_trigger == 0 {
        found.add("busy_trigger", "CC-4", "must be at least 1");
    } else if busy_trigger > max_calls {
        found.add("busy_trigger", "CC-4", format!("is {busy_trigger}, more than max_calls, {max_calls}"));
    }
}

/// DP-12.
fn check_speed_dials(dials: &[SpeedDial], found: &mut Violations) {
    if dials.len() > 36 {
        found.add("speed_dials", "DP-12", format!("has {}, more than 36", dials.len()));
    }
    let mut seen = HashSet::new();
    for (index, dial) in dials.iter().enumerate() {
        let field = |part: &str| format!("speed_dials[{index}].{part}");
        if !(1..=36).contains(&dial.tag) {
            found.add(field("tag"), "DP-12", format!("is {}; tags are 1 to 36", dial.tag));
        } else if !seen.insert(dial.tag) {
            found.add(field("tag"), "DP-12", format!("{} is used twice in the profile", dial.tag));
        }
        let dialable = !dial.number.is_empty() && dial.number.chars().all(is_dialable);
        if !dialable || dial.number.len() > 32 {
            found.add(field("number"), "DP-12", "must be 1 to 32 digits, `*`, `#` or `+`");
        }
        at_most(field("label"), &dial.label, 32, found);
    }
}

/// DP-11.
fn check_services(services: &[ServiceSubscription], known: &Against<'_>, found: &mut Violations) {
    if services.len() > 100 {
        found.add("services", "DP-11", format!("has {}, more than 100", services.len()));
    }
    let mut seen = HashSet::new();
    for (index, service) in services.iter().enumerate() {
        let field = |part: &str| format!("services[{index}].{part}");
        if service.name.is_empty() {
            found.add(field("name"), "DP-11", "must not be empty");
        } else if !seen.insert(&service.name) {
            found.add(field("name"), "DP-11", "is used twice in the profile");
        }
        at_most(field("name"), &service.name, 32, found);
        // With a definition, an empty address stands for the definition's.
        if service.definition.is_none() || !service.url.is_empty() {
            check_web_address(&field("url"), &service.url, found);
        }
        let definition = service.definition.as_ref().and_then(|name| known.known.phone_service(name));
        if let Some(definition) = definition
            && !known.known.has_subscription(&known.key, service)
        {
            found.extend_under(&format!("services[{index}]"), subscription::check(service, definition));
        }
    }
}

/// DP-11.
pub(super) fn check_web_address(field: &str, url: &str, found: &mut Violations) {
    if !is_web_address(url) {
        found.add(field, "DP-11", "must be an http or https address without spaces");
    }
    at_most(field, url, 255, found);
}

fn is_web_address(url: &str) -> bool {
    let after = url
        .split_once("://")
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
    after.is_some_and(|(_, rest)| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

/// DP-15: every line is known, and none is an octo-line. A line that is missing is reported as such.
fn no_octo_line(lines: &[ProfileLine], known: &Against<'_>) -> bool {
    let mut lines_known = lines.iter().flat_map(|entry| &entry.lines).map(|line| known.known.line(line));
    !lines_known.any(|line| line.is_none_or(|line| line.capacity == LineCapacity::Octo))
}
