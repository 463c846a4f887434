//! A router's configuration becomes a working site, and its users sign in at its phones.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::process::{Phone, Site, errors, text};

const SCCP_6_BUTTONS: &str = "SEP000DEDAB3566";
const SCCP_8_BUTTONS: &str = "SEP0012DA8AC43D";
const SIP: &str = "SEP0123456789AB";

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/cme-small.cfg")
}

fn import(site: &Site) {
    let output = site.roamctl(&["import", "cme", example().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
}

/// Button by button: the lines joined with `+`, or `dial NUMBER`.
fn buttons(configuration: &Value) -> Vec<String> {
    let buttons = configuration["buttons"].as_array().expect("buttons");
    let positions: Vec<_> = buttons.iter().map(|button| button["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (1..=buttons.len() as u64).collect::<Vec<_>>(), "no position is left out");
    buttons.iter().map(carries).collect()
}

fn carries(button: &Value) -> String {
    if let Some(lines) = button["line"]["lines"].as_array() {
        return lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("+");
    }
    format!("dial {}", button["speedDial"]["number"].as_str().expect("a line or a speed dial"))
}

fn sign_in_as_me(site: &Site, phone: &str) -> Value {
    let arguments = ["login", "me", "--phone", phone, "--take-over", "--secret-file", "-"];
    site.json_with_input(&arguments, "pass123\n")
}

const SIX: [&str; 6] = ["2001", "2002", "2003", "2004", "2005+2006", "2007+2008"];

#[test]
fn ll_2_me_wears_six_numbers_and_no_speed_dial_on_a_7960_and_is_told_so() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    let answer = sign_in_as_me(&site, SCCP_6_BUTTONS);
    assert_eq!(buttons(&answer["configuration"]), SIX);
    let left_off = answer["configuration"]["leftOff"].as_array().unwrap();
    let told: Vec<_> = left_off.iter().map(|item| item["what"].as_str().unwrap()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("3001") && told[1].contains("3002"), "{told:?}");
    assert!(left_off.iter().all(|item| item["rule"] == "LL-2"));
}

#[test]
fn ll_2_me_wears_the_same_six_and_both_speed_dials_on_a_7970() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    let answer = sign_in_as_me(&site, SCCP_8_BUTTONS);
    let mut expected = SIX.to_vec();
    expected.extend(["dial 3001", "dial 3002"]);
    assert_eq!(buttons(&answer["configuration"]), expected);
    assert_eq!(answer["configuration"]["leftOff"].as_array().unwrap().len(), 0);
}

#[test]
fn ll_5_me_wears_on_a_sip_phone_only_what_the_rule_leaves() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    let answer = sign_in_as_me(&site, SIP);
    assert_eq!(buttons(&answer["configuration"]), ["dial 3001", "dial 3002"], "he has no normal line");
    let left_off = answer["configuration"]["leftOff"].as_array().unwrap();
    assert_eq!(left_off.len(), 6);
    assert!(left_off.iter().all(|item| item["rule"] == "LL-5"));
}

#[test]
fn lo_2_after_logout_each_phone_wears_logout_profile_1_again() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    for name in [SCCP_6_BUTTONS, SCCP_8_BUTTONS, SIP] {
        let mut phone = Phone::run(&site, name);
        let idle = phone.wait_until_worn(None);
        sign_in_as_me(&site, name);
        let worn = phone.wait_until_worn(Some("me"));
        assert_ne!(worn["buttons"], idle["buttons"], "{name} changes");
        let out = site.json(&["logout", "--phone", name]);
        assert_eq!(out["endedSession"]["reason"], "LOGOUT_REASON_ADMINISTRATOR");
        let after = phone.wait_until_worn(None);
        assert_eq!(after["buttons"], idle["buttons"], "{name} wears what it wore before");
        let preview = site.json(&["preview", "--phone", name]);
        assert_eq!(preview["configuration"]["wornKind"], "WORN_KIND_LOGOUT_PROFILE");
        assert_eq!(preview["configuration"]["wornName"], "1");
    }
}

#[test]
fn li_8_a_phone_off_hook_changes_when_it_is_put_down() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    let mut phone = Phone::run(&site, SCCP_6_BUTTONS);
    phone.wait_until_worn(None);
    phone.press("off");
    phone.wait_for("hook report", |event| event["event"] == "hook");
    sign_in_as_me(&site, SCCP_6_BUTTONS);
    phone.wait_for("update", |event| event["event"] == "updated" && event["user"] == "me");
    let pending = site.json(&["session", "get", "--phone", SCCP_6_BUTTONS]);
    assert_eq!(pending["session"]["state"], "SESSION_STATE_PENDING");
    assert!(!phone.said().iter().any(|event| event["event"] == "acknowledged" && event["user"] == "me"));
    phone.press("on");
    phone.wait_until_worn(Some("me"));
    let active = site.json(&["session", "get", "--phone", SCCP_6_BUTTONS]);
    assert_eq!(active["session"]["state"], "SESSION_STATE_ACTIVE");
}

#[test]
fn an_import_reports_every_line_it_did_not_understand_and_a_dry_run_changes_nothing() {
    let site = Site::new();
    let _server = site.start();
    let output = site.roamctl(&["import", "cme", example().to_str().unwrap(), "--dry-run"]);
    assert!(output.status.success(), "{}", text(&output));
    let report = text(&output);
    assert!(report.contains(":4:") && report.contains("hostname site-a"), "{report}");
    for secret in ["pass123", "12345", "54321", "43214", "psswrd"] {
        assert!(!report.contains(secret), "a secret is printed: {secret}");
    }
    assert_eq!(site.json(&["user", "list"])["users"].as_array().unwrap().len(), 0);
    assert_eq!(site.json(&["phone", "list"])["phones"].as_array().unwrap().len(), 0);
}

#[test]
fn an_import_that_breaks_a_rule_names_line_and_rule_and_changes_nothing_at_all() {
    let site = Site::new();
    let _server = site.start();
    let good = fs::read_to_string(example()).unwrap();
    let broken = [
        ("LL-8", " number 2001 type silent-ring", " number 2999 type silent-ring"),
        ("DP-17", " type 7911", " type 7999"),
        ("LL-4", " number 2101 type normal", " number 2101 type monitor-ring"),
        ("DP-15", "ephone-dn  40  octo-line", "ephone-dn  40  dual-line"),
        ("DP-12", " speed-dial 1 3003 label \"Front Desk\"", " speed-dial 40 3003 label \"Front Desk\""),
        ("SP-6", " user agent7 password 7777", " user Agent7 password 7777"),
        ("DP-16", " user agent7 password 7777", " user me password 7777"),
    ];
    for (rule, was, is) in broken {
        assert!(good.contains(was), "{was:?} is in the example");
        let file = site.home().join("broken.cfg");
        fs::write(&file, good.replacen(was, is, 1)).unwrap();
        let output = site.roamctl(&["import", "cme", file.to_str().unwrap()]);
        assert!(!output.status.success(), "{rule}: {}", text(&output));
        let said = errors(&output);
        assert!(said.contains(rule), "{rule} is named: {said}");
        // A privacy button is refused where it stands, whatever took its octo-line away.
        let place = if rule == "DP-15" { " privacy-button" } else { was };
        let line = 1 + good.lines().position(|line| line == place).unwrap();
        assert!(said.contains(&format!("broken.cfg:{line}:")), "{rule}: line {line} is named: {said}");
        for kind in ["user", "phone", "profile", "line", "logout-profile"] {
            let list = site.json(&[kind, "list"]);
            let empty = list.as_object().unwrap().values().filter_map(Value::as_array).all(Vec::is_empty);
            assert!(empty, "{rule}: nothing was changed, but {kind} list says {list}");
        }
    }
}

#[test]
fn importing_twice_changes_nothing_the_second_time() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    let before = site.json(&["profile", "list"]);
    import(&site);
    assert_eq!(site.json(&["profile", "list"]), before);
}

#[test]
fn sp_10_and_sp_8_are_taken_from_the_configuration() {
    let site = Site::new();
    let _server = site.start();
    import(&site);
    let parameters = site.json(&["parameters", "get"]);
    let parameters = &parameters["serviceParameters"];
    assert_eq!(parameters["dailyLogoutTimes"], serde_json::json!(["19:00", "24:00"]));
    assert_eq!(parameters["clearCallLogs"], "CLEAR_CALL_LOGS_NEVER");
}
