//! What a phone wears, drawn: its buttons, what was left off and why, every setting and where it came from.

use comfy_table::{Table, presets};
use roamline_proto::profile::button::Carries;
use roamline_proto::profile::{Button, EffectiveConfiguration, EffectiveSetting, Finding, Origin};

use crate::output::table;
use crate::words::of_enum;

/// Keys are drawn in columns of so many at most: the phone's own, then those of its modules.
const KEYS_IN_A_COLUMN: u32 = 14;
/// Characters that are drawn beside a key.
const WIDEST_KEY: usize = 32;

/// The whole configuration.
pub(crate) fn configuration(configuration: &EffectiveConfiguration) -> String {
    let mut text = format!("{}\n\n", headline(configuration));
    if configuration.button_count > 0 {
        text.push_str(&keys(configuration));
        text.push_str("\n\n");
    }
    text.push_str(&table(
        &["BUTTON", "CARRIES", "NUMBER", "LABEL", "KIND", "CALLS", "BUSY AT", "FROM"],
        configuration.buttons.iter().map(|button| {
            let (what, number, label, kind) = parts(button);
            let (calls, busy) = limits(button);
            vec![
                button.position.to_string(),
                what.into(),
                number,
                label,
                kind,
                calls,
                busy,
                button_origins(button),
            ]
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
    let settings = settings(configuration);
    if !settings.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(&["SETTING", "VALUE", "FROM"], settings));
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

/// The phone's keys as they stand, column by column, each with what is read beside it.
fn keys(configuration: &EffectiveConfiguration) -> String {
    let count = configuration.button_count;
    let columns = count.div_ceil(KEYS_IN_A_COLUMN);
    let in_a_column = count.div_ceil(columns.max(1));
    let key = |position: u32| {
        let button = configuration.buttons.iter().find(|button| button.position == position);
        let mut beside: String = button.map(beside).unwrap_or_default();
        if let Some((end, _)) = beside.char_indices().nth(WIDEST_KEY) {
            beside.truncate(end);
        }
        if position > count {
            String::new()
        } else {
            format!("{position:>2}  {beside}").trim_end().to_owned()
        }
    };
    let mut drawn = Table::new();
    drawn.load_style(presets::ASCII_FULL_CONDENSED);
    for row in 1..=in_a_column {
        drawn.add_row((0..columns).map(|column| key(column * in_a_column + row)));
    }
    drawn.trim_fmt()
}

/// What is read beside a key: the label, else the numbers.
fn beside(button: &Button) -> String {
    let (_, numbers, label, _) = parts(button);
    let text = if label.is_empty() { numbers } else { label };
    match &button.carries {
        Some(Carries::SpeedDial(dial)) if dial.busy_lamp => format!("> {text} (o)"),
        Some(Carries::SpeedDial(_)) => format!("> {text}"),
        _ => text,
    }
}

/// Every setting that somebody gave, then what the phone has beside settings.
fn settings(configuration: &EffectiveConfiguration) -> Vec<Vec<String>> {
    let row = |s: &EffectiveSetting| vec![s.field.clone(), s.value.clone(), origin(s.origin())];
    let mut rows: Vec<_> =
        configuration.settings.iter().filter(|setting| !setting.value.is_empty()).map(row).collect();
    let mut list = |field: &str, values: Vec<String>, from: Origin| {
        if !values.is_empty() {
            rows.push(vec![field.to_owned(), values.join(", "), origin(from)]);
        }
    };
    let features = configuration.feature_buttons();
    let features = features.map(|button| of_enum(button.as_str_name(), "FEATURE_BUTTON_")).collect();
    list("feature_buttons", features, configuration.feature_buttons_origin());
    list("emergency_numbers", configuration.emergency_numbers.clone(), Origin::DevicePool);
    rows
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

/// How many calls a line takes, and from how many on it is busy.
fn limits(button: &Button) -> (String, String) {
    match &button.carries {
        Some(Carries::Line(line)) => (line.max_calls.to_string(), line.busy_trigger.to_string()),
        _ => (String::new(), String::new()),
    }
}

/// Who brought a button, and who gave those values of its line that he did not.
fn button_origins(button: &Button) -> String {
    let brought = origin(button.origin());
    let Some(Carries::Line(line)) = &button.carries else { return brought };
    let others: Vec<String> = line
        .settings
        .iter()
        .filter(|setting| !setting.value.is_empty() && setting.origin != button.origin)
        .map(|setting| format!("{} {}", setting.field, origin(setting.origin())))
        .collect();
    if others.is_empty() { brought } else { format!("{brought} ({})", others.join(", ")) }
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
    use roamline_proto::profile::{
        FeatureButton, LeftOff, LineButton, LineKind, PhoneProtocol, SpeedDial, WornKind,
    };

    let setting = |field: &str, value: &str, origin: Origin| EffectiveSetting {
        field: field.into(),
        value: value.into(),
        origin: origin.into(),
    };
    let line = |position, kind: LineKind, lines: &[&str], label: (&str, Origin)| Button {
        position,
        origin: Origin::Profile.into(),
        carries: Some(Carries::Line(LineButton {
            kind: kind.into(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            label: label.0.into(),
            max_calls: 2,
            busy_trigger: 1,
            settings: vec![
                setting("label", label.0, label.1),
                setting("max_calls", "2", Origin::LineTemplate),
                setting("busy_trigger", "1", Origin::Profile),
            ],
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
            line(1, LineKind::Normal, &["2001"], ("Mine", Origin::Line)),
            line(2, LineKind::Overlay, &["2005", "2006"], ("", Origin::Cluster)),
            Button { position: 3, origin: Origin::Profile.into(), carries: Some(Carries::SpeedDial(dial)) },
        ],
        left_off: vec![LeftOff {
            what: "speed dial 2 (3002)".into(),
            rule: "LL-2".into(),
            reason: "the phone has no button left for it".into(),
        }],
        settings: vec![
            setting("user_locale", "fr-FR", Origin::DevicePool),
            setting("softkey_template", "", Origin::Cluster),
        ],
        feature_buttons: vec![FeatureButton::CallForwardAll.into(), FeatureButton::Hold.into()],
        feature_buttons_origin: Origin::PhoneTemplate.into(),
        emergency_numbers: vec!["112".into(), "911".into()],
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
    #[test]
    fn ll_2_every_key_of_a_phone_with_modules_is_drawn_once() {
        let drawn = keys(&EffectiveConfiguration { button_count: 34, ..example() });
        let mut positions: Vec<u32> =
            drawn.split(['|', ' ', '\n']).filter_map(|word| word.parse().ok()).collect();
        positions.sort_unstable();
        assert_eq!(positions, (1..=34).collect::<Vec<_>>());
        assert_eq!(drawn.lines().count(), 12 + 2);
    }
}
