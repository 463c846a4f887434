//! What a phone can be told to wear. The call-blocking PIN goes in and never comes out (DP-14).

use prost_types::Duration as WireDuration;
use roamline_domain::Violations;
use roamline_domain::settings::{
    CallBlockingPin, DeviceSettings, DoNotDisturb, LineAppearance, LineKind, Mlpp, ProfileLine,
    ServiceSubscription, SpeedDial,
};
use roamline_proto::profile as wire;

use super::enums::{Twin, required, value};
use super::{duration, given, optional, text};

/// Reads settings; absent ones leave everything to the fall-backs.
pub(super) fn parse_settings(
    found: &mut Violations,
    field: &str,
    given: Option<&wire::DeviceSettings>,
) -> DeviceSettings {
    let mut inner = Violations::new();
    let settings = given.map(|settings| parse(&mut inner, settings)).unwrap_or_default();
    found.extend_under(field, inner);
    settings
}

fn parse(found: &mut Violations, from: &wire::DeviceSettings) -> DeviceSettings {
    DeviceSettings {
        user_locale: given(&from.user_locale),
        user_hold_audio_source: given(&from.user_hold_audio_source),
        phone_button_template: given(&from.phone_button_template),
        softkey_template: given(&from.softkey_template),
        privacy: value(found, "privacy", from.privacy).unwrap_or_default(),
        ignore_presentation_indicators: from.ignore_presentation_indicators,
        expansion_modules: from.expansion_modules.clone(),
        mlpp: from.mlpp.as_ref().map(|mlpp| parse_mlpp(found, mlpp)).unwrap_or_default(),
        do_not_disturb: from
            .do_not_disturb
            .as_ref()
            .map(|dnd| DoNotDisturb {
                option: value(found, "do_not_disturb.option", dnd.option).unwrap_or_default(),
                on: dnd.on,
            })
            .unwrap_or_default(),
        lines: from.lines.iter().enumerate().map(|(index, line)| parse_line(found, index, line)).collect(),
        speed_dials: from.speed_dials.iter().map(parse_speed_dial).collect(),
        services: from
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| parse_service(found, index, service))
            .collect(),
        feature_buttons: from
            .feature_buttons
            .iter()
            .enumerate()
            .filter_map(|(index, button)| required(found, &format!("feature_buttons[{index}]"), "", *button))
            .collect(),
        call_blocking_pin: given(&from.call_blocking_pin).map(CallBlockingPin),
        idle_limit_minutes: from.idle_limit.and_then(|limit| parse_idle_limit(found, limit)),
        privacy_button: from.privacy_button,
        phone_template: optional(found, "phone_template", &from.phone_template),
        presence_group: optional(found, "presence_group", &from.presence_group),
    }
}

fn parse_mlpp(found: &mut Violations, from: &wire::Mlpp) -> Mlpp {
    Mlpp {
        domain: from.domain.clone(),
        indication: value(found, "mlpp.indication", from.indication).unwrap_or_default(),
        preemption: value(found, "mlpp.preemption", from.preemption).unwrap_or_default(),
    }
}

fn parse_line(found: &mut Violations, index: usize, from: &wire::ProfileLine) -> ProfileLine {
    let defaults = LineAppearance::default();
    let names = from.lines.iter().enumerate();
    let template = optional(found, &format!("lines[{index}].template"), &from.template);
    // What a template is to fill stays open; without one, nothing said is the default.
    let limit = |given: u32, default: u32| if given == 0 && template.is_none() { default } else { given };
    ProfileLine {
        kind: value(found, &format!("lines[{index}].kind"), from.kind).unwrap_or(LineKind::Normal),
        lines: names
            .filter_map(|(place, name)| found.take(format!("lines[{index}].lines[{place}]"), name.parse()))
            .collect(),
        appearance: LineAppearance {
            label: from.label.clone(),
            max_calls: limit(from.max_calls, defaults.max_calls),
            busy_trigger: limit(from.busy_trigger, defaults.busy_trigger),
        },
        template,
    }
}

fn parse_speed_dial(from: &wire::SpeedDial) -> SpeedDial {
    SpeedDial {
        tag: from.tag,
        number: from.number.clone(),
        label: from.label.clone(),
        busy_lamp: from.busy_lamp,
    }
}

fn parse_service(
    found: &mut Violations,
    index: usize,
    from: &wire::ServiceSubscription,
) -> ServiceSubscription {
    ServiceSubscription {
        name: from.name.clone(),
        url: from.url.clone(),
        parameters: from.parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        definition: optional(found, &format!("services[{index}].definition"), &from.definition),
    }
}

fn parse_idle_limit(found: &mut Violations, limit: WireDuration) -> Option<u32> {
    let limit = duration(found, "idle_limit", limit)?;
    let minutes = u32::try_from(limit.as_secs() / 60).ok();
    match minutes {
        Some(minutes) if limit.as_secs() % 60 == 0 && limit.subsec_nanos() == 0 => Some(minutes),
        _ => {
            found.add("idle_limit", "DP-14", "must be 1 to 9999 whole minutes");
            None
        }
    }
}

/// Settings on the wire, without the call-blocking PIN.
pub(super) fn settings(from: &DeviceSettings) -> wire::DeviceSettings {
    wire::DeviceSettings {
        user_locale: from.user_locale.clone().unwrap_or_default(),
        user_hold_audio_source: from.user_hold_audio_source.clone().unwrap_or_default(),
        phone_button_template: from.phone_button_template.clone().unwrap_or_default(),
        softkey_template: from.softkey_template.clone().unwrap_or_default(),
        privacy: from.privacy.number(),
        ignore_presentation_indicators: from.ignore_presentation_indicators,
        expansion_modules: from.expansion_modules.clone(),
        mlpp: Some(wire::Mlpp {
            domain: from.mlpp.domain.clone(),
            indication: from.mlpp.indication.number(),
            preemption: from.mlpp.preemption.number(),
        }),
        do_not_disturb: Some(wire::DoNotDisturb {
            option: from.do_not_disturb.option.number(),
            on: from.do_not_disturb.on,
        }),
        lines: from.lines.iter().map(profile_line).collect(),
        speed_dials: from.speed_dials.iter().map(speed_dial).collect(),
        services: from.services.iter().map(service).collect(),
        feature_buttons: from.feature_buttons.iter().map(|button| button.number()).collect(),
        call_blocking_pin: String::new(),
        call_blocking_pin_set: from.call_blocking_pin.is_some(),
        idle_limit: from.idle_limit_minutes.map(idle_limit),
        privacy_button: from.privacy_button,
        phone_template: text(from.phone_template.as_ref()),
        presence_group: text(from.presence_group.as_ref()),
    }
}

/// Minutes without going off hook, on the wire.
pub(crate) fn idle_limit(minutes: u32) -> WireDuration {
    WireDuration { seconds: i64::from(minutes) * 60, nanos: 0 }
}

fn profile_line(from: &ProfileLine) -> wire::ProfileLine {
    wire::ProfileLine {
        kind: from.kind.number(),
        lines: from.lines.iter().map(ToString::to_string).collect(),
        label: from.appearance.label.clone(),
        max_calls: from.appearance.max_calls,
        busy_trigger: from.appearance.busy_trigger,
        template: text(from.template.as_ref()),
    }
}

/// A speed dial on the wire.
pub(super) fn speed_dial(from: &SpeedDial) -> wire::SpeedDial {
    wire::SpeedDial {
        tag: from.tag,
        number: from.number.clone(),
        label: from.label.clone(),
        busy_lamp: from.busy_lamp,
    }
}

/// A subscription on the wire.
pub(crate) fn service(from: &ServiceSubscription) -> wire::ServiceSubscription {
    wire::ServiceSubscription {
        name: from.name.clone(),
        url: from.url.clone(),
        parameters: from.parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        definition: text(from.definition.as_ref()),
    }
}
