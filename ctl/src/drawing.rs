//! What a phone wears, drawn: its buttons, what was left off and why, every setting and where it came from.

use roamline_proto::profile::button::Carries;
use roamline_proto::profile::{Button, EffectiveConfiguration, Finding, Origin};

use crate::output::table;
use crate::words::of_enum;

/// The whole configuration.
pub(crate) fn configuration(configuration: &EffectiveConfiguration) -> String {
    let mut text = format!("{}\n\n", headline(configuration));
    text.push_str(&table(
        &["BUTTON", "CARRIES", "NUMBER", "LABEL", "KIND", "FROM"],
        configuration.buttons.iter().map(|button| {
            let (what, number, label, kind) = parts(button);
            vec![button.position.to_string(), what.into(), number, label, kind, origin(button.origin())]
        }),
    ));
    if !configuration.left_off.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(
            &["LEFT OFF", "RULE", "WHY"],
            configuration
                .left_off
                .iter()
                .map(|left| vec![left.what.clone(), left.rule.clone(), left.reason.clone()]),
        ));
    }
    let settings: Vec<_> =
        configuration.settings.iter().filter(|setting| !setting.value.is_empty()).collect();
    if !settings.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(
            &["SETTING", "VALUE", "FROM"],
            settings.iter().map(|s| vec![s.field.clone(), s.value.clone(), origin(s.origin())]),
        ));
    }
    if !configuration.services.is_empty() {
        let from = origin(configuration.services_origin());
        text.push_str("\n\n");
        text.push_str(&table(
            &["SERVICE", "URL", "FROM"],
            configuration.services.iter().map(|s| vec![s.name.clone(), s.url.clone(), from.clone()]),
        ));
    }
    text + "\n"
}

/// Phone, model, and whose settings it wears, on one line.
pub(crate) fn headline(configuration: &EffectiveConfiguration) -> String {
    let who = match configuration.user_id.as_str() {
        "" => "nobody logged in".to_owned(),
        user => format!("user {user}"),
    };
    format!(
        "{} ({} {}) wears {} {}: {who}",
        configuration.phone,
        configuration.model,
        of_enum(configuration.protocol().as_str_name(), "PHONE_PROTOCOL_"),
        of_enum(configuration.worn_kind().as_str_name(), "WORN_KIND_").replace('-', " "),
        configuration.worn_name,
    )
}

/// What a button carries: a word for it, the numbers, the label, how it rings.
pub(crate) fn parts(button: &Button) -> (&'static str, String, String, String) {
    match &button.carries {
        Some(Carries::Line(line)) => {
            let kind = of_enum(line.kind().as_str_name(), "LINE_KIND_");
            ("line", line.lines.join("+"), line.label.clone(), kind)
        }
        Some(Carries::SpeedDial(dial)) => {
            let kind = if dial.busy_lamp { "busy-lamp" } else { "" };
            ("speed dial", dial.number.clone(), dial.label.clone(), kind.into())
        }
        None => ("", String::new(), String::new(), String::new()),
    }
}

/// Rules that are bent, a line each; empty without any.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let grave = of_enum(finding.severity().as_str_name(), "FINDING_SEVERITY_");
        format!("\n{grave}: {}: {} ({})", finding.field, finding.message, finding.rule)
    };
    findings.iter().map(line).collect()
}

fn origin(origin: Origin) -> String {
    of_enum(origin.as_str_name(), "ORIGIN_").replace('-', " ")
}

/// The example of the tests: a phone with a line, an overlay, a speed dial, and something left off.
#[cfg(test)]
pub(crate) fn example() -> EffectiveConfiguration {
    use roamline_proto::profile::{LeftOff, LineButton, LineKind, PhoneProtocol, SpeedDial, WornKind};

    let line = |position, kind: LineKind, lines: &[&str], label: &str| Button {
        position,
        origin: Origin::Profile.into(),
        carries: Some(Carries::Line(LineButton {
            kind: kind.into(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            label: label.into(),
            max_calls: 2,
            busy_trigger: 1,
        })),
    };
    let dial = SpeedDial { tag: 1, number: "3001".into(), label: "Front desk".into(), busy_lamp: true };
    EffectiveConfiguration {
        button_count: 6,
        phone: "SEP000DEDAB3566".into(),
        model: "7960".into(),
        protocol: PhoneProtocol::Sccp.into(),
        worn_kind: WornKind::UserDeviceProfile.into(),
        worn_name: "me".into(),
        user_id: "me".into(),
        buttons: vec![
            line(1, LineKind::Normal, &["2001"], "Mine"),
            line(2, LineKind::Overlay, &["2005", "2006"], ""),
            Button { position: 3, origin: Origin::Profile.into(), carries: Some(Carries::SpeedDial(dial)) },
        ],
        left_off: vec![LeftOff {
            what: "speed dial 2 (3002)".into(),
            rule: "LL-2".into(),
            reason: "the phone has no button left for it".into(),
        }],
        ..EffectiveConfiguration::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn li_6_a_configuration_is_drawn_with_what_was_left_off() {
        insta::assert_snapshot!(configuration(&example()));
    }
}
