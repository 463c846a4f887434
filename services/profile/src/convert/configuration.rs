//! What a phone is told to wear, with the origin of every value (LI-6).

use roamline_domain::layout::{Carries, LeftOff};
use roamline_domain::render::{EffectiveButton, EffectiveConfiguration, EffectiveSetting};
use roamline_proto::profile as wire;

use super::enums::Twin;
use super::settings::{service, speed_dial};

/// A rendering on the wire.
pub(crate) fn configuration(from: &EffectiveConfiguration) -> wire::EffectiveConfiguration {
    wire::EffectiveConfiguration {
        phone: from.phone.to_string(),
        model: from.model.to_string(),
        protocol: from.protocol.number(),
        worn_kind: from.worn_kind.number(),
        worn_name: from.worn_name.clone(),
        user_id: from.user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        buttons: from.buttons.iter().map(button).collect(),
        left_off: from.left_off.iter().map(left_off).collect(),
        settings: from.settings.iter().map(setting).collect(),
        services: from.services.iter().map(service).collect(),
        services_origin: from.services_origin.number(),
        feature_buttons: from.feature_buttons.iter().map(|button| button.number()).collect(),
        change: from.change.number(),
        button_count: from.button_count,
        feature_buttons_origin: from.feature_buttons_origin.number(),
        emergency_numbers: from.emergency_numbers.clone(),
        cross_cluster: None,
    }
}

fn button(from: &EffectiveButton) -> wire::Button {
    let carries = match &from.carries {
        Carries::Line(line) => wire::button::Carries::Line(wire::LineButton {
            kind: line.kind.number(),
            lines: line.lines.iter().map(ToString::to_string).collect(),
            label: line.appearance.label.clone(),
            max_calls: line.appearance.max_calls,
            busy_trigger: line.appearance.busy_trigger,
            settings: from.settings.iter().map(setting).collect(),
        }),
        Carries::SpeedDial(dial) => wire::button::Carries::SpeedDial(speed_dial(dial)),
    };
    wire::Button { position: from.position, carries: Some(carries), origin: from.origin.number() }
}

fn left_off(from: &LeftOff) -> wire::LeftOff {
    wire::LeftOff { what: from.what.clone(), rule: from.rule.to_owned(), reason: from.reason.clone() }
}

fn setting(from: &EffectiveSetting) -> wire::EffectiveSetting {
    wire::EffectiveSetting {
        field: from.field.to_owned(),
        value: from.value.clone(),
        origin: from.origin.number(),
    }
}
