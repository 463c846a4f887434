//! Deleting what somebody wears (DP-9), lists through filters, and speed dials (DP-13), with `roamctl` and every service.

use serde_json::Value;

use crate::process::{Site, errors};

const PHONE: &str = "SEP02005E005302";

fn sessions(site: &Site) -> Vec<Value> {
    site.json(&["session", "list"])["sessions"].as_array().cloned().unwrap_or_default()
}

#[test]
fn dp_9_what_a_session_wears_is_deleted_by_force_alone_and_the_session_ends() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    let login = site.json(&["login", "1001", "--phone", PHONE, "--with-token"]);
    let profile = login["session"]["profile"].as_str().unwrap().to_owned();
    let refused = site.roamctl(&["profile", "delete", &profile]);
    assert!(errors(&refused).contains("RESOURCE_WORN"), "{}", errors(&refused));
    assert_eq!(sessions(&site).len(), 1);
    site.json(&["profile", "delete", &profile, "--force"]);
    assert_eq!(sessions(&site), Vec::<Value>::new());
    let user = site.json(&["user", "get", "1001"]);
    assert!(!user["user"]["profiles"].to_string().contains(&format!("{profile:?}")), "{user}");

    site.json(&["login", "1002", "--phone", PHONE, "--with-token"]);
    let refused = site.roamctl(&["phone", "delete", PHONE]);
    assert!(errors(&refused).contains("RESOURCE_WORN"), "{}", errors(&refused));
    site.json(&["phone", "delete", PHONE, "--force"]);
    assert_eq!(sessions(&site), Vec::<Value>::new());
    assert!(!site.roamctl(&["phone", "get", PHONE]).status.success());
}

#[test]
fn dp_13_speed_dials_are_set_and_lists_are_filtered() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    let users = site.json(&["user", "list", "--filter", "user_id = 1002"]);
    let profile = users["users"][0]["profiles"][0].as_str().unwrap().to_owned();
    let whose = ["--user", "1002", "--profile", profile.as_str()];
    site.json(&[&["speed-dial", "set", "9", "4711", "--label", "desk"], whose.as_slice()].concat());
    let list = site.json(&[&["speed-dial", "list"], whose.as_slice()].concat());
    assert!(list["settings"]["speedDials"].to_string().contains("4711"), "{list}");
    let filter = "owner = 1002 AND settings.speed_dials.number = 4711";
    let found = site.json(&["profile", "list", "--filter", filter, "--order-by", "name desc"]);
    assert_eq!(found["userDeviceProfiles"].as_array().map(Vec::len), Some(1), "{found}");
    site.json(&[&["speed-dial", "clear", "9"], whose.as_slice()].concat());
    let list = site.json(&[&["speed-dial", "list"], whose.as_slice()].concat());
    assert!(!list["settings"]["speedDials"].to_string().contains("4711"), "{list}");
    let refused = site.roamctl(&["phone", "list", "--filter", "modle = 7960"]);
    assert!(errors(&refused).contains("`model`"), "{}", errors(&refused));
}
