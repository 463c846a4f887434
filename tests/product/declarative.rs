//! The directory as files: what is exported can be applied, and only what differs changes (DP-19).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use roamline_proto::contract::POOL;
use serde_json::Value;

use crate::process::{Site, errors, text};

const LINES: &str = "kind: Line\nname: '2001'\n---\nkind: Line\nname: '2002'\ncapacity: LINE_CAPACITY_OCTO\n";
const PROFILE: &str = "---\nkind: UserDeviceProfile\nname: agent\nsettings:\n  privacyButton: true\n  lines:\n  \
                       - lines: ['2001']\n  - lines: ['2002']\n";
const USER: &str = "---\nkind: User\nuserId: agent\nprofiles: [agent]\n";

fn write(site: &Site, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = site.home().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn run(site: &Site, command: &str, file: &Path, more: &[&str]) -> Output {
    let mut arguments = vec![command, "-f", file.to_str().unwrap()];
    arguments.extend(more);
    site.roamctl(&arguments)
}

fn applied(site: &Site, file: &Path, more: &[&str]) -> String {
    let output = run(site, "apply", file, more);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn exported(site: &Site, kinds: &[&str]) -> String {
    let output = site.roamctl(&[&["export"], kinds].concat());
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// How many resources of each kind have which outcome.
fn outcomes(site: &Site, file: &Path) -> Vec<String> {
    let told = site.json(&["apply", "-f", file.to_str().unwrap()]);
    let resources = told["resources"].as_array().unwrap().iter();
    let mut outcomes: Vec<String> = resources.map(|r| r["outcome"].as_str().unwrap().to_owned()).collect();
    outcomes.dedup();
    outcomes
}

#[test]
fn dp_19_an_export_applied_to_an_empty_server_gives_the_same_export() {
    let demo = Site::new().with(&["--demo"]);
    let _demo_server = demo.start();
    let export = exported(&demo, &[]);
    for word in
        ["kind: Line\n", "kind: UserDeviceProfile", "kind: Phone", "kind: User\n", "kind: ServiceParameters"]
    {
        assert!(export.contains(word), "{word:?} is missing in {export}");
    }
    assert!(!export.contains("etag"), "{export}");
    let empty = Site::new();
    let _empty_server = empty.start();
    let file = write(&empty, "demo.yaml", &export);
    applied(&empty, &file, &[]);
    assert_eq!(exported(&empty, &[]), export);
    assert_eq!(outcomes(&empty, &file), ["unchanged"], "a second time changes nothing");
    let json = empty.json(&["export"]);
    let file = write(&empty, "demo.json", json.to_string());
    assert_eq!(outcomes(&empty, &file), ["unchanged"], "JSON says the same");
    let to = empty.home().join("written.yaml");
    assert!(empty.roamctl(&["export", "-f", to.to_str().unwrap()]).status.success());
    assert_eq!(fs::read_to_string(to).unwrap(), export);
    let lines = exported(&empty, &["line"]);
    assert!(lines.contains("kind: Line") && !lines.contains("kind: User"));
}

#[test]
fn a_directory_of_files_is_one_apply_and_changes_are_told_field_by_field() {
    let site = Site::new();
    let _server = site.start();
    write(&site, "site/z/lines.yml", LINES);
    write(&site, "site/a.yaml", format!("{PROFILE}{USER}"));
    let folder = site.home().join("site");
    assert!(applied(&site, &folder, &["--dry-run"]).contains("4 created"));
    assert_eq!(
        site.json(&["line", "list"])["lines"].as_array().unwrap().len(),
        0,
        "a dry run changes nothing"
    );
    assert!(applied(&site, &folder, &[]).contains("4 created"));
    write(&site, "site/a.yaml", format!("{PROFILE}{USER}displayName: An Agent\n"));
    let told = applied(&site, &folder, &[]);
    assert!(told.contains("1 updated, 3 unchanged"), "{told}");
    assert!(told.contains("displayName: (default) -> \"An Agent\""), "{told}");
    write(&site, "site/a.yaml", format!("{PROFILE}{USER}"));
    applied(&site, &folder, &[]);
    let user = site.json(&["user", "get", "agent"]);
    assert_eq!(user["user"]["displayName"], "", "what is left out has its default");
}

#[test]
fn what_breaks_a_rule_is_told_with_file_line_and_rule_and_nothing_changes() {
    let site = Site::new();
    let _server = site.start();
    let broken = PROFILE.replace("'2002'", "'2999'");
    let file = write(&site, "broken.yaml", format!("{LINES}{broken}{USER}"));
    let output = run(&site, "apply", &file, &[]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    let said = errors(&output);
    assert!(said.contains("broken.yaml:14:") && said.contains("LL-8"), "{said}");
    let single = format!("{}{PROFILE}{USER}", LINES.replace("OCTO", "DUAL"));
    let file = write(&site, "broken.yaml", single);
    let said = errors(&run(&site, "apply", &file, &[]));
    assert!(said.contains("broken.yaml:11:") && said.contains("DP-15"), "{said}");
    let clash = "kind: Phone\nname: SEP0012DA8AC43D\nmodel: '7960'\n---\nkind: Phone\nname: 0012.da8a.c43d\nmodel: '7960'\n";
    let file = write(&site, "clash.yaml", clash);
    let said = errors(&run(&site, "apply", &file, &[]));
    assert!(said.contains("clash.yaml:6:") && said.contains("clash.yaml:1 is already"), "{said}");
    for kind in ["user", "profile", "line", "phone"] {
        let list = site.json(&[kind, "list"]);
        assert!(
            list.as_object().unwrap().values().filter_map(Value::as_array).all(Vec::is_empty),
            "{kind}: {list}"
        );
    }
}

#[test]
fn prune_deletes_what_is_not_declared_of_the_declared_kinds_and_only_with_yes() {
    let site = Site::new();
    let _server = site.start();
    let phones = "---\nkind: Phone\nname: SEP0012DA8AC43D\nmodel: '7960'\n---\nkind: Phone\nname: SEP0012DA8AC43E\nmodel: '7960'\n";
    applied(&site, &write(&site, "all.yaml", format!("{LINES}{PROFILE}{USER}{phones}")), &[]);
    let less = LINES.split("---").next().unwrap();
    let phone = "---\nkind: Phone\nname: 0012.da8a.c43d\nmodel: '7960'\n";
    let profile = "---\nkind: UserDeviceProfile\nname: other\nsettings:\n  lines:\n  - lines: ['2001']\n";
    let file = write(
        &site,
        "less.yaml",
        format!("{less}{phone}{profile}---\nkind: User\nuserId: other\nprofiles: [other]\n"),
    );
    let refused = run(&site, "apply", &file, &["--prune"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    let dry = applied(&site, &file, &["--prune", "--dry-run"]);
    assert!(dry.contains("4 deleted"), "{dry}");
    let before = exported(&site, &[]);
    assert!(before.contains("SEP0012DA8AC43E") && !before.contains("other"), "nothing changed so far");
    let told = applied(&site, &file, &["--prune", "--yes"]);
    for gone in ["User agent", "UserDeviceProfile agent", "Line 2002", "Phone SEP0012DA8AC43E"] {
        assert!(told.contains(&format!("deleted    {gone}")), "{gone}: {told}");
    }
    let after = exported(&site, &[]);
    assert!(after.contains("SEP0012DA8AC43D") && !after.contains("SEP0012DA8AC43E"), "{after}");
    assert!(after.contains("kind: ServiceParameters"), "kinds that are not declared stay");
}

#[test]
fn prune_leaves_what_is_still_used_and_says_by_whom() {
    let site = Site::new();
    let _server = site.start();
    applied(&site, &write(&site, "all.yaml", format!("{LINES}{PROFILE}")), &[]);
    let file = write(&site, "less.yaml", LINES.split("---").next().unwrap());
    let output = run(&site, "apply", &file, &["--prune", "--yes"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(errors(&output).contains("Line 2002"), "{}", text(&output));
    assert_eq!(site.json(&["line", "list"])["lines"].as_array().unwrap().len(), 2);
}

/// One resource of each kind of which there can be several, which use each other.
fn one_of_each(name: &str, number: u32, mac: &str, model: &str) -> String {
    let settings = format!(
        "settings:\n  phoneTemplate: {name}\n  presenceGroup: {name}\n  lines:\n  - lines: ['{number}']\n    \
         template: {name}\n  services:\n  - name: {name}\n    definition: {name}\n"
    );
    let documents = [
        format!("DevicePool\nname: {name}\n"),
        format!("PhoneTemplate\nname: {name}\n"),
        format!("LineTemplate\nname: {name}\n"),
        format!("PresenceGroup\nname: {name}\nsees: [{name}-z]\n"),
        format!("PresenceGroup\nname: {name}-z\n"),
        format!("PhoneServiceDefinition\nname: {name}\nurl: http://services/{name}\n"),
        format!("Line\nname: '{number}'\npresenceGroup: {name}\n"),
        format!("UserDeviceProfile\nname: {name}\n{settings}"),
        format!("DefaultDeviceProfile\nmodel: '{model}'\n{settings}"),
        format!("LogoutProfile\ntag: {number}\n{settings}"),
        format!(
            "Phone\nname: SEP{mac}\nmodel: '7960'\ndevicePool: {name}\nownerUserId: {name}\n\
             sharedLogoutProfile: {number}\n{settings}"
        ),
        format!("User\nuserId: {name}\nprofiles: [{name}]\nprimaryExtension: '{number}'\n"),
    ];
    documents.map(|document| format!("kind: {document}")).join("---\n")
}

#[test]
fn dp_19_prune_deletes_every_kind_whatever_uses_it_that_goes_as_well() {
    let site = Site::new();
    let _server = site.start();
    let kept = one_of_each("kept", 12, "0012DA8AC43D", "7960");
    let gone = one_of_each("gone", 13, "0012DA8AC43E", "7940");
    let kinds = POOL.get_message_by_name("roamline.profile.v1.Resource").unwrap().fields().count();
    let declared = kept.lines().filter(|line| line.starts_with("kind: ")).collect::<BTreeSet<_>>().len();
    assert_eq!(declared + 1, kinds, "all but the service parameters");
    applied(&site, &write(&site, "both.yaml", format!("{kept}---\n{gone}")), &[]);
    let file = write(&site, "kept.yaml", &kept);
    let told = applied(&site, &file, &["--prune", "--yes"]);
    assert!(told.contains("12 unchanged, 12 deleted"), "{told}");
    let after = exported(&site, &[]);
    assert!(after.contains("kind: DevicePool\nname: kept") && !after.contains("gone"), "{after}");
    let differs = run(&site, "diff", &file, &["--prune"]);
    assert_eq!(differs.status.code(), Some(0), "{}", text(&differs));
}

/// So many lines, four lines of text for each; the description of one is another.
fn lines(number: usize, other: Option<(usize, &str)>) -> String {
    let description = |index| other.filter(|(at, _)| *at == index).map_or("a line", |(_, text)| text);
    (0..number)
        .map(|index| {
            format!("kind: Line\nname: '{}'\ndescription: {}\n---\n", 20_000 + index, description(index))
        })
        .collect()
}

#[test]
fn dp_19_a_site_that_is_too_large_for_one_call_is_applied_whole_or_not_at_all() {
    const LARGE: usize = 12_000;
    let site = Site::new();
    let _server = site.start();
    // Names in another spelling, and the same again: only the server knows that nothing changes.
    let phone = |mac: &str, more: &str| format!("kind: Phone\nname: {mac}\nmodel: '7960'\n{more}---\n");
    let (phone_1, phone_2) = (phone("0012.da8a.c43d", ""), phone("0012.da8a.c43e", ""));
    let rest = "kind: ServiceParameters\nrememberLastUser: true\n---\nkind: UserDeviceProfile\nname: agent\n\
                settings:\n  lines:\n  - lines: ['31999']\n";
    let small = write(&site, "site/others.yaml", format!("{phone_1}{phone_2}{rest}"));
    let folder = small.parent().unwrap();
    write(&site, "site/lines.yaml", lines(LARGE, None));
    let dry = applied(&site, folder, &["--dry-run"]);
    assert!(dry.contains("created    Line 31999  (") && dry.contains("0 deleted; a dry run"), "{dry:.2000}");
    assert_eq!(site.json(&["line", "list"])["lines"].as_array().unwrap().len(), 0);
    let told = applied(&site, folder, &[]);
    assert!(told.contains("12003 created, 1 updated, 0 unchanged"), "{told:.2000}");

    write(&site, "site/lines.yaml", lines(LARGE, Some((7_000, "another"))));
    let changed = phone("0012.da8a.c43e", "description: desk\n");
    write(&site, "site/others.yaml", format!("{phone_1}{changed}{rest}"));
    let told = applied(&site, folder, &["--prune", "--yes"]);
    assert!(told.contains("description: \"a line\" -> \"another\""), "{told:.2000}");
    assert!(told.contains("0 created, 2 updated, 12002 unchanged, 0 deleted"), "{told:.2000}");

    let long = "x".repeat(200);
    write(&site, "site/lines.yaml", lines(LARGE, Some((9_000, &long))));
    write(&site, "site/others.yaml", format!("{phone_1}{}", rest.replace("'31999'", "'32000'")));
    let again = write(&site, "again.yaml", "kind: Phone\nname: SEP0012DA8AC43D\nmodel: '7960'\n");
    let others = ["Phone", "ServiceParameters", "UserDeviceProfile"];
    let before = exported(&site, &others);
    let folder_name = folder.to_str().unwrap();
    let output = site.roamctl(&["apply", "-f", folder_name, "-f", again.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    let said = errors(&output);
    let place = format!("lines.yaml:{}: Line 29000: description:", 9_000 * 4 + 3);
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("others.yaml:12: UserDeviceProfile agent: settings.lines[0].lines[0]:"), "{said}");
    assert!(said.contains("(LL-8)") && said.contains("site/others.yaml:1 already"), "{said}");
    assert_eq!(exported(&site, &others), before, "nothing is changed");
    assert_eq!(site.json(&["line", "get", "29000"])["line"]["description"], "a line");
}

#[test]
fn diff_ends_with_0_when_equal_and_8_when_not() {
    let site = Site::new();
    let _server = site.start();
    let file = write(&site, "site.yaml", LINES);
    let output = run(&site, "diff", &file, &[]);
    assert_eq!(output.status.code(), Some(8), "{}", text(&output));
    assert!(text(&output).contains("+name: \"2001\"") && errors(&output).is_empty(), "{}", text(&output));
    applied(&site, &file, &[]);
    let output = run(&site, "diff", &file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(output.stdout.is_empty());
    let file = write(&site, "site.yaml", LINES.replace("OCTO", "DUAL"));
    let output = run(&site, "diff", &file, &[]);
    assert_eq!(output.status.code(), Some(8));
    assert!(text(&output).contains("-capacity: LINE_CAPACITY_OCTO"), "{}", text(&output));
    let file = write(&site, "site.yaml", "kind: Line\nname: 1\n---\nkind: [");
    assert_eq!(run(&site, "diff", &file, &[]).status.code(), Some(7));
}

#[test]
fn sp_21_service_parameters_that_are_left_out_stay_as_they_are() {
    let site = Site::new();
    let _server = site.start();
    site.json(&["parameters", "set", "remember_last_user=true", "daily_logout_times=19:00"]);
    let file = write(
        &site,
        "site.yaml",
        "kind: ServiceParameters\ntimeZone: Europe/Berlin\nmaximumLoginTime: 3600s\n",
    );
    applied(&site, &file, &[]);
    let parameters = site.json(&["parameters", "get"])["serviceParameters"].clone();
    assert_eq!(parameters["rememberLastUser"], true);
    assert_eq!(parameters["dailyLogoutTimes"], serde_json::json!(["19:00"]));
    assert_eq!(parameters["timeZone"], "Europe/Berlin");
    applied(&site, &write(&site, "site.yaml", "kind: ServiceParameters\ndailyLogoutTimes: []\n"), &[]);
    let parameters = site.json(&["parameters", "get"])["serviceParameters"].clone();
    assert_eq!(parameters["dailyLogoutTimes"], serde_json::json!([]));
    assert_eq!(parameters["timeZone"], "Europe/Berlin");
}

#[test]
fn dp_14_a_call_blocking_pin_can_be_given_is_kept_and_never_shown() {
    let site = Site::new();
    let _server = site.start();
    let phone = "kind: Phone\nname: SEP0012DA8AC43D\nmodel: '7960'\n";
    let with = write(&site, "with.yaml", format!("{phone}settings: {{callBlockingPin: 047110}}\n"));
    let told = applied(&site, &with, &[]);
    let without = write(&site, "without.yaml", phone);
    assert_eq!(outcomes(&site, &without), ["unchanged"], "what is not given is kept");
    assert_eq!(outcomes(&site, &with), ["unchanged"], "the same again changes nothing");
    let other = write(&site, "other.yaml", format!("{phone}settings: {{callBlockingPin: 047119}}\n"));
    let differs = run(&site, "diff", &other, &[]);
    assert_eq!(differs.status.code(), Some(8), "{}", text(&differs));
    let all = format!("{told}{}{}", text(&differs), exported(&site, &[]));
    assert!(!all.contains("04711"), "{all}");
}

#[test]
fn a_bomb_a_wrong_encoding_and_a_truncated_file_are_refused_with_their_place_and_change_nothing() {
    let site = Site::new();
    let _server = site.start();
    let mut bomb = "kind: Line\nname: '2001'\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")));
    }
    let deep = format!("kind: Line\nname: '2001'\ndescription: {}\n", "[".repeat(100_000));
    let broken: [(&str, Vec<u8>, &str); 9] = [
        ("bomb.yaml", bomb.into_bytes(), "aliases"),
        ("deep.yaml", deep.into_bytes(), ":3:"),
        (
            "latin.yaml",
            b"kind: Line\nname: '2001'\ndescription: caf\xe9\n".to_vec(),
            ":3: the text is not UTF-8",
        ),
        ("tabs.yaml", b"kind: Line\nname: '2001'\nsettings:\n\tlines: 1\n".to_vec(), ":4:"),
        ("cut.yaml", b"kind: Line\nname: '2001'\ndescription: \"trunc".to_vec(), "no YAML"),
        ("cut.json", b"{\"kind\": \"Line\",\n\"name\": \"20".to_vec(), ":2: no JSON"),
        (
            "field.yaml",
            b"kind: Line\nnmae: '2001'\n".to_vec(),
            ":2: Line has no field `nmae`; did you mean `name`?",
        ),
        (
            "kind.yaml",
            b"kind: Lime\nname: '2001'\n".to_vec(),
            ":1: there is no kind `Lime`; did you mean `Line`?",
        ),
        ("long.yaml", vec![b'#'; 16 * 1024 * 1024 + 1], "larger than 16 MiB"),
    ];
    let good = write(&site, "good.yaml", LINES);
    for (name, content, told) in broken {
        let file = write(&site, name, content);
        let arguments = ["apply", "-f", good.to_str().unwrap(), "-f", file.to_str().unwrap()];
        let output = site.roamctl(&arguments);
        assert_eq!(output.status.code(), Some(7), "{name}: {}", text(&output));
        let said = errors(&output);
        assert!(said.contains(&format!("{name}:")) && said.contains(told), "{name}: {said}");
        assert!(said.len() < 2000, "{name}: {said}");
    }
    assert_eq!(site.json(&["line", "list"])["lines"].as_array().unwrap().len(), 0);
}
