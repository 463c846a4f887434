//! `roamline up --demo`, as a newcomer meets it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::clients;
use crate::process::{Phone, Site, errors, text};

#[test]
fn a_newcomer_is_told_where_it_listens_who_is_there_and_what_to_try() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    eprintln!("ready {:?} after its first start", server.ready_after);
    for word in ["API", "admin", "Users", "1001", "Phones", "SEP02005E005302", "roamctl", "login"] {
        assert!(server.report.contains(word), "{word} is missing in {}", server.report);
    }
    let login = site
        .json_with_input(&["login", "1001", "--phone", "SEP02005E005302", "--secret-file", "-"], "41001\n");
    assert_eq!(login["session"]["userId"], "1001");
    let list = site.roamctl(&["session", "list"]);
    assert!(list.status.success() && text(&list).contains("SEP02005E005302"), "{}", text(&list));
}

#[test]
fn every_demo_user_can_sign_in_at_a_phone_of_the_demo_site() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    let users = site.json(&["user", "list"]);
    let phones = site.json(&["phone", "list"]);
    let enabled = phones["phones"].as_array().unwrap().iter();
    let enabled: Vec<_> = enabled.filter(|p| p["extensionMobilityEnabled"] == true).collect();
    let users = users["users"].as_array().unwrap();
    assert!(users.len() >= 5 && enabled.len() >= 5);
    for (user, phone) in users.iter().zip(&enabled) {
        let (user, phone) = (user["userId"].as_str().unwrap(), phone["name"].as_str().unwrap());
        let answer = site.json(&["login", user, "--phone", phone, "--with-token"]);
        assert_eq!(answer["session"]["phone"], phone);
    }
    for user in users {
        for phone in &enabled {
            let (user, phone) = (user["userId"].as_str().unwrap(), phone["name"].as_str().unwrap());
            let preview = site.json(&["preview", "--user", user, "--phone", phone]);
            assert!(preview["configuration"]["buttons"].is_array());
        }
    }
}

#[test]
fn a_second_start_finds_everything_as_it_was() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token"]);
    let before: Vec<_> = ["user", "phone", "profile", "line"].map(|kind| site.json(&[kind, "list"])).into();
    let sessions = site.json(&["session", "list"]);
    assert!(server.stop().success(), "SIGTERM is a clean end");
    let server = site.start();
    eprintln!("ready {:?} after its second start", server.ready_after);
    let after: Vec<_> = ["user", "phone", "profile", "line"].map(|kind| site.json(&[kind, "list"])).into();
    assert_eq!(before, after);
    assert_eq!(site.json(&["session", "list"]), sessions);
}

#[test]
fn a_directory_in_use_is_refused_with_a_clear_message() {
    let site = Site::new();
    let _server = site.start();
    let refused = site.try_start().err().expect("a second server on the same directory");
    assert!(refused.contains("in use by another roamline"), "{refused}");
    assert!(refused.lines().count() <= 2, "one line says it: {refused}");
}

#[test]
fn the_administrators_file_is_for_the_user_alone_and_roamctl_finds_it_by_itself() {
    let site = Site::new();
    let _server = site.start();
    let file = site.data().join("admin.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let database = site.data().join("roamline.db");
    assert_eq!(fs::metadata(database).unwrap().permissions().mode() & 0o077, 0, "the database is private");
    assert!(site.roamctl(&["user", "list"]).status.success());
}

#[test]
fn the_default_data_directory_is_the_users() {
    let site = Site::new();
    let mut command = crate::process::roamline(site.home());
    command.args(["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let _server = crate::process::start(command).unwrap();
    assert!(site.home().join(".local/share/roamline/roamline.db").exists());
    let mut roamctl = site.roamctl_command(&[]);
    roamctl.args(["user", "list"]);
    assert!(site.home().join(".local/share/roamline/admin.toml").exists());
}

#[test]
fn a_phone_in_a_terminal_outlives_a_restart_of_the_server() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let address = server.api.trim_start_matches("http://").to_owned();
    let mut phone = Phone::run(&site, "SEP02005E005302");
    phone.wait_until_worn(None);
    site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token"]);
    let worn = phone.wait_until_worn(Some("1001"));
    assert!(!worn["buttons"].as_array().unwrap().is_empty());
    server.kill();
    phone.wait_for("disconnection", |event| event["event"] == "disconnected");
    let _server = crate::process::start(site.up_on(&address)).unwrap();
    phone.wait_for("new link", |event| event["event"] == "linked");
    site.json(&["logout", "--phone", "SEP02005E005302"]);
    phone.wait_until_worn(None);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    let mut child = site
        .roamctl_command(&["-o", "json", "line", "list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && errors(&output).is_empty(), "{}", text(&output));
}

#[tokio::test]
async fn exit_codes_tell_usage_not_found_denied_conflict_and_unavailable_apart() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let code =
        |arguments: &[&str], input: &str| site.roamctl_with_input(arguments, input).status.code().unwrap();
    let login = ["login", "1001", "--phone", "SEP02005E005302", "--secret-file", "-"];
    assert_eq!(code(&["nonsense"], ""), 2);
    assert_eq!(
        code(&["login", "1001", "--phone", "SEP02005E005302", "--pin", "1234"], ""),
        2,
        "no secret as argument"
    );
    assert_eq!(code(&["phone", "get", "SEP020000000001"], ""), 3);
    assert_eq!(code(&login, "wrong\n"), 4);
    assert_eq!(code(&login, "41001\n"), 0);
    assert_eq!(
        code(&["login", "1002", "--phone", "SEP02005E005302", "--with-token"], ""),
        5,
        "somebody else is there"
    );
    assert_eq!(code(&["phone", "get", "nonsense"], ""), 7);
    drop(clients::channel(&server));
    server.kill();
    assert_eq!(code(&["user", "list"], ""), 6);
}
