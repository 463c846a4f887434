//! The small example site, translated as a whole, and what is refused when a line of it is changed.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

use roamline_cme::{Problems, Site, read, read_bytes};
use roamline_proto::auth::PrincipalKind;
use serde_json::Value;

const SMALL: &str = include_str!("../../../ctl/testdata/cme-small.cfg");
const DEMO: &str = include_str!("../../../services/roamline/demo/contact-centre.cfg");

fn without_defaults(value: Value) -> Option<Value> {
    Some(match value {
        Value::Null | Value::Bool(false) => return None,
        Value::String(text) if text.is_empty() || text.ends_with("_UNSPECIFIED") => return None,
        Value::Number(number) if number.as_f64() == Some(0.0) => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) => Value::Array(items.into_iter().filter_map(without_defaults).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter_map(|(k, v)| Some((k, without_defaults(v)?))).collect())
        }
        other => other,
    })
}

/// One line for each resource and credential, without passwords.
fn shown(site: &Site) -> String {
    let resources = site.resources.iter().map(|resource| {
        let value = roamline_proto::json::to_value(&resource.value).unwrap();
        format!("{}: {}", resource.line, without_defaults(value).unwrap())
    });
    let credentials = site.credentials.iter().map(|credential| {
        format!("{}: {} {:?}", credential.line, credential.value.name, credential.value.principal_kind())
    });
    let passed_over =
        site.not_understood.iter().map(|(line, text)| format!("{line}: not understood: {text}"));
    let notes = site.notes.iter().map(|note| format!("{:?}: {}", note.line, note.text));
    resources.chain(credentials).chain(passed_over).chain(notes).collect::<Vec<_>>().join("\n")
}

fn changed(from: &str, to: &str) -> Result<Site, Problems> {
    assert!(SMALL.contains(from));
    read(&SMALL.replacen(from, to, 1))
}

/// `LINE (RULE)` of every problem, after one change.
fn refused(from: &str, to: &str) -> Vec<String> {
    let problems = changed(from, to).unwrap_err();
    problems.iter().map(|problem| format!("{} ({})", problem.line, problem.rule)).collect()
}

#[test]
fn the_small_site_is_taken_as_a_whole() {
    insta::assert_snapshot!(shown(&read(SMALL).unwrap()));
}

#[test]
fn windows_line_ends_change_nothing() {
    assert_eq!(read(&SMALL.replace('\n', "\r\n")).unwrap(), read(SMALL).unwrap());
}

#[test]
fn no_secret_of_the_file_is_shown() {
    let site = read(SMALL).unwrap();
    let printed = format!("{} {site:?}", shown(&site));
    for secret in ["43214", "pass123", "7777", "psswrd"] {
        assert!(!printed.contains(secret), "{secret} is shown");
    }
}

#[test]
fn what_a_server_refuses_is_found_in_the_file() {
    let site = read(SMALL).unwrap();
    let index = |line| site.resources.iter().position(|resource| resource.line == line).unwrap();
    let user_profile = index(35);
    assert_eq!(site.problem_at(&format!("resources[{user_profile}].settings.lines[4].lines[1]")), Some(42));
    let nested = format!("resources[{user_profile}].user_device_profile.settings.idle_limit");
    assert_eq!(site.problem_at(&nested), Some(46));
    let phone = index(117);
    assert_eq!(site.problem_at(&format!("resources[{phone}].shared_logout_profile")), Some(120));
    assert_eq!(site.problem_at("credentials[0].credential"), Some(37));
    for nothing in ["resources[999].name", "resources[x].name", "page_size", ""] {
        assert_eq!(site.problem_at(nothing), None, "{nothing}");
    }
}

#[test]
fn sp_6_a_user_id_in_upper_case_is_refused_by_its_line() {
    assert_eq!(refused("user me password", "user Me password"), ["37 (SP-6)"]);
}

#[test]
fn dp_16_a_credential_name_is_used_once() {
    assert_eq!(refused("user agent7 password", "user me password"), ["50 (DP-16)"]);
    assert_eq!(refused("user agent7 password", "user secretname password"), ["62 (DP-16)"]);
}

#[test]
fn dp_8_tags_are_bounded_by_the_phones_allowed() {
    assert_eq!(refused("voice logout-profile 1", "voice logout-profile 83"), ["23 (DP-8)"]);
    assert_eq!(refused("voice user-profile 2", "voice user-profile 247"), ["48 (DP-8)"]);
    assert!(changed("voice user-profile 2", "voice user-profile 246").is_ok());
}

#[test]
fn dp_8_a_logout_profile_without_a_number_to_call_from_is_left_off_with_a_warning() {
    let text = "voice logout-profile 3\n number 10 type monitor-ring\nephone 1\n mac-address 0200.5E00.0001\n \
                type 7960\n logout-profile 3\n";
    let site = read(text).unwrap();
    let notes: Vec<_> = site.notes.iter().map(|note| note.line).collect();
    assert_eq!(notes, [Some(1), Some(6)]);
    let shown = shown(&site);
    assert!(shown.contains("extensionMobilityEnabled") && !shown.contains("sharedLogoutProfile"), "{shown}");
}

#[test]
fn sp_10_em_logout_takes_at_most_three_times() {
    assert_eq!(refused("19:00 24:00", "01:00 02:00 03:00 04:00"), ["64 (SP-10)"]);
}

#[test]
fn dp_1_a_mac_is_used_once() {
    assert_eq!(refused("000D.EDAB.3566", "0123.4567.89ab").len(), 1);
}

#[test]
fn malformed_commands_are_all_named() {
    let text = "voice user-profile 1\n number 1 type loud\n speed-dial x 1\n speed-dial 1 2 label \"open\n pin\nephone x\n";
    let lines: Vec<_> = read(text).unwrap_err().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6]);
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    for text in ["", "\n\n", "hello\n", "{\"a\": 1}"] {
        assert!(read(text).is_err(), "{text:?}");
    }
    let problems = read_bytes(b"hostname a\n\xff\xfe\x00").unwrap_err();
    assert_eq!(problems.iter().next().unwrap().line, 2);
}

#[test]
fn a_phone_without_a_logout_profile_keeps_its_own_buttons() {
    let text = "ephone-dn 1\n number 10\n label \"Ten\"\nephone-dn 2\n number 11\nephone 1\n mac-address 0200.5E00.0001\n \
                type 7960 addon 1 7914\n button 2s2 1:1 3w1\n";
    insta::assert_snapshot!(shown(&read(text).unwrap()));
}

#[test]
fn the_demo_site_is_understood_to_the_last_line() {
    let site = read(DEMO).unwrap();
    assert_eq!(site.not_understood, []);
    let users = site.credentials.iter().filter(|c| c.value.principal_kind() == PrincipalKind::User);
    assert_eq!(users.count(), 7);
}
