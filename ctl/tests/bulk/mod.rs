//! Bulk work as it is run: what is sent, what is told, and what is left when something breaks on the way.

mod ends;

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use roamline_proto::profile::{
    AgentSettings, DeviceSettings, Line, Phone, ProfileLine, Resource, ServiceParameters,
    ServiceSubscription, SpeedDial, User, UserDeviceProfile, resource::Kind,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::fake::directory::name;
use crate::fake::{Bench, finish, stderr, stdout};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/csv");

struct Files<'a>(&'a Bench);

impl Files<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.0.home.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn calls(bench: &Bench) -> Vec<String> {
    std::mem::take(&mut bench.fake.directory().calls)
}

fn names(bench: &Bench) -> Vec<String> {
    bench.fake.directory().resources.keys().cloned().collect()
}

fn store(bench: &Bench, resource: Resource) {
    bench.fake.directory().resources.insert(name(&resource), resource);
}

/// So many lines of a file, from 1001 on.
fn lines(count: usize) -> String {
    let mut text = "name,description\n".to_owned();
    for number in 0..count {
        writeln!(text, "{},agent {number}", 1001 + number).unwrap();
    }
    text
}

#[tokio::test]
async fn dp_19_an_import_is_staged_in_chunks_and_holds_at_once() {
    let bench = Bench::start().await;
    let file = Files(&bench).write("lines.csv", lines(1_200));
    let output = bench.run(&["import", "csv", "line", &file, "-o", "json"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(calls(&bench), ["start", "stage 1..501", "stage 501..1001", "stage 1001..1201", "commit"]);
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&told["rows"], &told["created"], &told["committed"]),
        (&1_200.into(), &1_200.into(), &true.into())
    );
    assert_eq!(names(&bench).len(), 1_200);
}

#[tokio::test]
async fn dp_19_one_bad_row_and_nothing_is_changed() {
    let bench = Bench::start().await;
    bench.fake.directory().refused = vec!["line 1600".to_owned()];
    let files = Files(&bench);
    let file = files.write("lines.csv", lines(1_200));
    let report = files.path("report.csv");
    let output = bench.run(&["import", "csv", "line", &file, "--report", report.to_str().unwrap()]).await;
    assert_eq!(code(&output), Some(7));
    assert!(
        stderr(&output).contains("lines.csv:601: row 600: model: the catalogue has no such model (DP-17)")
    );
    assert_eq!(calls(&bench), ["start", "stage 1..501", "stage 501..1001", "discard"]);
    assert!(bench.fake.directory().imports.is_empty() && names(&bench).is_empty());
    let expected =
        "row,line,status,field,rule,message\n600,601,refused,model,DP-17,the catalogue has no such model\n";
    assert_eq!(files.read("report.csv"), expected);
}

#[tokio::test]
async fn dp_19_what_stands_in_the_way_of_the_commit_is_told_by_row_and_nothing_is_changed() {
    let bench = Bench::start().await;
    bench.fake.directory().refused_at_commit = vec!["line 1002".to_owned()];
    let file = Files(&bench).write("lines.csv", "name,description\n1001,\"a\nb\"\n1002,\n");
    let output = bench.run(&["import", "csv", "line", &file]).await;
    assert_eq!(code(&output), Some(7));
    assert!(stderr(&output).contains("lines.csv:4: row 2: was changed by others"), "{}", stderr(&output));
    assert_eq!(calls(&bench).last().unwrap(), "discard");
    assert!(names(&bench).is_empty());
}

#[tokio::test]
async fn dp_19_a_dry_run_tells_about_every_bad_row_and_changes_nothing() {
    let bench = Bench::start().await;
    bench.fake.directory().refused = ["line 1001", "line 1900"].map(ToOwned::to_owned).to_vec();
    let files = Files(&bench);
    let file = files.write("lines.csv", lines(1_200) + "1700,x\n2300,a,b\n2301,a\"b\n2302,\n");
    let report = files.path("report.csv");
    let arguments =
        ["import", "csv", "line", &file, "--dry-run", "--report", report.to_str().unwrap(), "-o", "json"];
    let output = bench.run(&arguments).await;
    assert_eq!(code(&output), Some(7));
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&told["refused"], &told["created"], &told["committed"]),
        (&5.into(), &1_199.into(), &false.into())
    );
    let text = files.read("report.csv");
    let rows: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(rows, ["1", "900", "1202", "1203", "1201"], "{text}");
    assert!(text.contains("1202,1203,refused,,,\"has 3 columns, where the header has 2\""));
    assert!(text.contains("1201,1202,refused,name,,line 1700 is changed by row 700 already"));
    assert!(bench.fake.directory().imports.is_empty() && names(&bench).is_empty());
    assert_eq!(calls(&bench).iter().filter(|call| *call == "commit").count(), 0);
}

#[tokio::test]
async fn dp_19_good_rows_hold_where_that_is_asked_for() {
    let bench = Bench::start().await;
    bench.fake.directory().refused = vec!["line 1002".to_owned()];
    bench.fake.directory().refused_at_commit = vec!["line 1004".to_owned()];
    let file = Files(&bench).write("lines.csv", lines(5) + "1009,x,y\n");
    let output = bench.run(&["import", "csv", "line", &file, "--continue-on-error"]).await;
    assert_eq!(code(&output), Some(7));
    assert!(stderr(&output).contains("3 of 6 rows were refused; the others hold"), "{}", stderr(&output));
    assert_eq!(names(&bench), ["line 1001", "line 1003", "line 1005"]);
}

#[tokio::test]
async fn dp_19_a_killed_import_goes_on_where_it_stopped_and_its_report_is_whole() {
    for more in [&[][..], &["--continue-on-error"]] {
        let bench = Bench::start().await;
        let files = Files(&bench);
        let mut text = lines(2_000);
        if !more.is_empty() {
            bench.fake.directory().refused = ["line 1100", "line 2900"].map(ToOwned::to_owned).to_vec();
            text = text.replace("1200,agent", "1200,stray\"");
        }
        let file = files.write("lines.csv", text);
        let report = files.path("report.csv");
        let arguments =
            [&["import", "csv", "line", &file, "--report", report.to_str().unwrap()], more].concat();
        bench.fake.directory().stop_at = Some(1_001);
        let mut child =
            bench.roamctl(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        timeout(Duration::from_secs(30), bench.fake.stopped.notified()).await.unwrap();
        child.kill().await.unwrap();
        assert!(names(&bench).is_empty());
        bench.fake.directory().stop_at = None;
        calls(&bench);
        let output = bench.run(&arguments).await;
        // A row that cannot be sent makes no chunk fuller.
        let (bad, next) = if more.is_empty() { (0, 1_001) } else { (3, 1_002) };
        assert!(stderr(&output).contains(&format!("goes on with row {next} of 2000")), "{}", stderr(&output));
        assert_eq!(calls(&bench)[..2], ["start".to_owned(), format!("stage {next}..{}", next + 500)]);
        assert_eq!((code(&output), names(&bench).len()), (Some(if bad == 0 { 0 } else { 7 }), 2_000 - bad));
        let text = files.read("report.csv");
        let rows: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!(rows, if bad == 0 { vec![] } else { vec!["200", "100", "1900"] }, "{text}");
    }
}

#[tokio::test]
async fn dp_19_what_is_lost_on_the_way_happens_once() {
    let bench = Bench::start().await;
    bench.fake.directory().lost = 2;
    let file = Files(&bench).write("lines.csv", lines(600));
    let output = bench.run(&["import", "csv", "line", &file]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(names(&bench).len(), 600);
    let mut made = calls(&bench);
    made.retain(|call| call.starts_with("stage"));
    assert_eq!(made, ["stage 1..501", "stage 1..501", "stage 501..601", "stage 501..601"]);
    assert!(stderr(&output).contains("trying again for a minute"));
}

#[tokio::test]
async fn dp_19_an_import_can_begin_again() {
    let bench = Bench::start().await;
    let file = Files(&bench).write("lines.csv", lines(1_100));
    bench.fake.directory().stop_at = Some(501);
    let mut command = bench.roamctl(&["import", "csv", "line", &file]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    timeout(Duration::from_secs(30), bench.fake.stopped.notified()).await.unwrap();
    child.kill().await.unwrap();
    bench.fake.directory().stop_at = None;
    calls(&bench);
    let output = bench.run(&["import", "csv", "line", &file, "--restart"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(calls(&bench)[..4], ["start", "discard", "start", "stage 1..501"]);
}

#[tokio::test]
async fn dp_19_a_bad_file_is_told_with_its_place_and_nothing_is_sent() {
    let long = [b"name,description\n1001,\"".to_vec(), vec![b'x'; 1 << 20], b"\"\n".to_vec()].concat();
    // The file, and what is said of it.
    let table: [(&[u8], &str); 17] = [
        (b"", "bad.csv:1: the file is empty"),
        (b"name,description\n", "bad.csv:1: the file has a header and no rows"),
        (b"nam,description\n1,\n", "bad.csv:1: line has no column `nam`; did you mean `name`?"),
        (b"description\nx\n", "bad.csv:1: the column `name` is missing"),
        (b"name;description\n1;x\n", "columns are separated by commas"),
        (b"name,description\n1001,a\n1002,b\"c\n", "bad.csv:3: row 2: a stray quote"),
        (b"name,description\n1001,\"a\nb\"\n1002,\"b\"c\n", "bad.csv:4: row 2: text after a closing quote"),
        (
            b"name,description\n1001,Andr\xE9\n",
            "bad.csv:2: row 1: the text is not UTF-8: 0xE9 in byte 27 of the file",
        ),
        (b"\xFF\xFEn\x00a\x00", "bad.csv:1: the file is UTF-16"),
        (b"name,description\n1001,a,b\n", "bad.csv:2: row 1: has 3 columns, where the header has 2"),
        (b"name,description\n1001\n", "bad.csv:2: row 1: has 1 columns, where the header has 2"),
        (b"name,description\n1001,\"a\n1002,b\n", "bad.csv:2: the file ends within a quoted cell"),
        (b"name,description\n1001,\0\n", "bad.csv:2: row 1: a NUL"),
        (b"name,description\n,x\n", "bad.csv:2: row 1: name: is empty"),
        (b"name,capacity\n1001,dul\n", "bad.csv:2: row 1: capacity: cannot be `dul`; did you mean `dual`?"),
        (b"Device Profile Name,Description\na,b\n", "say `import csv user-device-profile`"),
        (&long, "longer than 1 MiB"),
    ];
    let bench = Bench::start().await;
    for (bytes, told) in table {
        let file = Files(&bench).write("bad.csv", bytes);
        let output = bench.run(&["import", "csv", "line", &file]).await;
        let said = stderr(&output);
        assert_eq!(code(&output), Some(7), "{told}: {said}");
        assert!(said.contains(told) && said.contains("nothing was sent"), "{told}: {said}");
    }
    assert_eq!(calls(&bench), Vec::<String>::new());
    assert_eq!(code(&bench.run(&["import", "csv", "line", "/nowhere.csv"]).await), Some(2));
    assert_eq!(code(&bench.run(&["import", "csv", "service-parameters", "x"]).await), Some(2));
}

#[tokio::test]
async fn ll_8_lines_that_profiles_name_are_created_with_them() {
    let bench = Bench::start().await;
    store(&bench, Resource { kind: Some(Kind::Line(Line { name: "1001".into(), ..Line::default() })) });
    let text =
        "name,line1,line2,line2.label\na1,1001,1002@Agents,Two\na2,1002@Agents,1003,\na3,1002@Agents,,\n";
    let file = Files(&bench).write("profiles.csv", text);
    bench.fake.directory().refused = vec!["profile a1".to_owned()];
    let arguments = ["import", "csv", "user-device-profile", &file, "--create-lines", "--continue-on-error"];
    let output = bench.run(&arguments).await;
    assert_eq!(code(&output), Some(7), "{}", stderr(&output));
    let expected = ["line 1001", "line 1002@Agents", "line 1003", "profile a2", "profile a3"];
    assert_eq!(names(&bench), expected, "{}", stderr(&output));
}

#[tokio::test]
async fn an_update_gives_the_columns_that_are_there_and_a_deletion_the_name() {
    let bench = Bench::start().await;
    let phone = Phone { name: "SEP02005E005301".into(), ..Phone::default() };
    store(&bench, Resource { kind: Some(Kind::Phone(phone)) });
    let files = Files(&bench);
    let text = "name,description,settings.user_locale,line1,line1.max_calls\nSEP02005E005301,,de-DE,1001,4\n";
    let file = files.write("phones.csv", text);
    bench.fake.directory().stop_at = Some(1);
    let mut command = bench.roamctl(&["import", "csv", "phone", &file, "--action", "update"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    timeout(Duration::from_secs(30), bench.fake.stopped.notified()).await.unwrap();
    child.kill().await.unwrap();
    let asked = bench.fake.directory().seen.clone().unwrap();
    let mask = asked.rows[0].update_mask.clone().unwrap();
    assert_eq!(mask.paths, ["description", "settings.lines", "settings.user_locale"]);
    bench.fake.directory().stop_at = None;
    let output = bench.run(&["import", "csv", "phone", &file, "--action", "delete"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(names(&bench).is_empty());
}

fn profile(number: u32) -> Resource {
    let line = ProfileLine {
        kind: 2,
        lines: vec!["1001".into()],
        label: "A, \"b\"\nc".into(),
        max_calls: 4,
        ..ProfileLine::default()
    };
    let overlay =
        ProfileLine { kind: 6, lines: vec!["1002".into(), "1003@x".into()], ..ProfileLine::default() };
    let dial = SpeedDial { tag: 5, number: "3001".into(), label: "=1+1;\\".into(), busy_lamp: true };
    let parameters = [("a".to_owned(), "1;2=3\\".to_owned()), ("b".to_owned(), String::new())].into();
    let service = ServiceSubscription { name: "news".into(), parameters, ..ServiceSubscription::default() };
    let settings = DeviceSettings {
        user_locale: "en-US".into(),
        expansion_modules: vec!["7914".into(), "7914".into()],
        lines: if number == 2 { vec![line.clone()] } else { vec![line, overlay] },
        speed_dials: vec![dial],
        services: if number == 3 { vec![service] } else { Vec::new() },
        feature_buttons: vec![5, 11],
        idle_limit: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        privacy_button: number == 1,
        ..DeviceSettings::default()
    };
    let agent = (number == 1).then(|| AgentSettings { line_control: 1, acd_line: "1001".into() });
    let profile = UserDeviceProfile {
        name: format!("agent {number}"),
        description: format!("Größe; {number} "),
        settings: Some(settings),
        agent,
        ..UserDeviceProfile::default()
    };
    Resource { kind: Some(Kind::UserDeviceProfile(profile)) }
}

#[tokio::test]
async fn dp_19_an_export_that_is_imported_gives_the_same_directory() {
    let bench = Bench::start().await;
    for number in 1..=5 {
        store(&bench, profile(number));
    }
    let before = bench.fake.directory().resources.clone();
    let files = Files(&bench);
    let path = files.path("profiles.csv");
    let path = path.to_str().unwrap();
    let output = bench.run(&["export", "csv", "user-device-profile", path]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    bench.fake.directory().resources.clear();
    let output = bench.run(&["import", "csv", "user-device-profile", path, "--action", "put"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(bench.fake.directory().resources, before);
    let again = bench.run(&["export", "csv", "user-device-profile", "-"]).await;
    assert_eq!(stdout(&again), files.read("profiles.csv"));
    let some =
        bench.run(&["export", "csv", "user-device-profile", "-", "--filter", "name = \"agent 2\""]).await;
    assert!(stdout(&some).contains("agent 2") && !stdout(&some).contains("agent 1"));
}

#[tokio::test]
async fn the_other_export_is_still_there() {
    let bench = Bench::start().await;
    let output = bench.run(&["export", "User"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("kind: User"));
}

#[tokio::test]
async fn dp_19_files_of_the_bulk_administration_tool_are_known() {
    let bench = Bench::start().await;
    for (kind, file) in
        [("phone", "bat-phones.csv"), ("user-device-profile", "bat-profiles.csv"), ("user", "bat-users.csv")]
    {
        let path = format!("{DATA}/{file}");
        let output = bench.run(&["import", "csv", kind, &path, "--create-lines"]).await;
        assert_eq!(code(&output), Some(0), "{file}: {}", stderr(&output));
        let said = stderr(&output);
        assert_eq!(said.matches("ignored columns: ").count(), 1, "{said}");
        assert_eq!(
            said.matches("PINs and passwords are not imported").count(),
            usize::from(kind == "user"),
            "{said}"
        );
        assert!(!said.contains("4711"));
    }
    let directory = bench.fake.directory();
    let Some(Kind::Phone(phone)) = &directory.resources["phone SEP02005E005301"].kind else {
        panic!("a phone")
    };
    assert_eq!(
        (phone.model.as_str(), phone.protocol, phone.extension_mobility_enabled),
        ("Cisco 7960", 1, true)
    );
    let settings = phone.settings.as_ref().unwrap();
    assert_eq!(
        (settings.user_locale.as_str(), settings.lines[0].lines[0].as_str()),
        ("en-US", "1001@Agents")
    );
    assert_eq!((settings.lines[0].max_calls, settings.lines[0].busy_trigger), (4, 2));
    let Some(Kind::UserDeviceProfile(profile)) = &directory.resources["profile agent7"].kind else {
        panic!("a profile")
    };
    let settings = profile.settings.as_ref().unwrap();
    assert_eq!(settings.expansion_modules, ["7914"]);
    assert_eq!((settings.lines.len(), settings.speed_dials[0].number.as_str()), (2, "3001"));
    let Some(Kind::User(user)) = &directory.resources["user agent7"].kind else { panic!("a user") };
    let expected = User {
        user_id: "agent7".into(),
        display_name: "Agent Seven".into(),
        profiles: vec!["agent7".into(), "agent7-b".into()],
        default_profile: "agent7".into(),
        primary_extension: "1007@Agents".into(),
        user_locale: "en-US".into(),
        cross_cluster_enabled: true,
        self_service_id: "1007".into(),
        ..User::default()
    };
    assert_eq!(*user, expected);
}

fn parameters() -> Resource {
    let parameters = ServiceParameters { remember_last_user: Some(false), ..ServiceParameters::default() };
    Resource { kind: Some(Kind::ServiceParameters(parameters)) }
}

#[tokio::test]
async fn dp_19_a_backup_restores_the_directory_and_only_its_owner_can_read_it() {
    let bench = Bench::start().await;
    (1..=5).for_each(|number| store(&bench, profile(number)));
    store(&bench, parameters());
    let before = bench.fake.directory().resources.clone();
    let files = Files(&bench);
    let path = files.path("backup.gz");
    let path = path.to_str().unwrap();
    let output = bench.run(&["backup", "create", path]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("without PINs and passwords"));
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    bench.fake.directory().resources.clear();
    store(&bench, Resource { kind: Some(Kind::User(User { user_id: "later".into(), ..User::default() })) });
    let dry = bench.run(&["backup", "restore", path, "--dry-run"]).await;
    assert_eq!((code(&dry), names(&bench).len()), (Some(0), 1), "{}", stderr(&dry));
    assert!(bench.fake.directory().imports.is_empty());
    assert_eq!(code(&bench.run(&["backup", "restore", path]).await), Some(0));
    assert_eq!(names(&bench).len(), before.len() + 1);
    assert_eq!(code(&bench.run(&["backup", "restore", path, "--prune"]).await), Some(0));
    assert_eq!(bench.fake.directory().resources, before);
}

#[tokio::test]
async fn dp_19_a_backup_that_is_refused_or_damaged_changes_nothing() {
    let bench = Bench::start().await;
    (1..=3).for_each(|number| store(&bench, profile(number)));
    let files = Files(&bench);
    let path = files.path("backup.gz");
    let path = path.to_str().unwrap();
    assert_eq!(code(&bench.run(&["backup", "create", path]).await), Some(0));
    bench.fake.directory().resources.clear();
    bench.fake.directory().refused = vec!["profile agent 2".to_owned()];
    let refused = bench.run(&["backup", "restore", path]).await;
    assert_eq!((code(&refused), names(&bench).len()), (Some(7), 0));
    assert!(stderr(&refused).contains("resource 2: model: the catalogue has no such model (DP-17)"));
    assert!(bench.fake.directory().imports.is_empty());
    let whole = std::fs::read(path).unwrap();
    std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
    calls(&bench);
    let damaged = bench.run(&["backup", "restore", path]).await;
    assert_eq!(code(&damaged), Some(7));
    assert!(stderr(&damaged).contains("nothing was sent"), "{}", stderr(&damaged));
    assert_eq!(calls(&bench), Vec::<String>::new());
}

#[tokio::test]
async fn dp_19_an_interrupt_leaves_an_import_that_goes_on() {
    let bench = Bench::start().await;
    let file = Files(&bench).write("lines.csv", lines(1_100));
    bench.fake.directory().stop_at = Some(501);
    let mut command = bench.roamctl(&["import", "csv", "line", &file]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    timeout(Duration::from_secs(30), bench.fake.stopped.notified()).await.unwrap();
    let id = child.id().unwrap().to_string();
    finish({
        let mut kill = tokio::process::Command::new("kill");
        kill.args(["-INT", &id]);
        kill
    })
    .await;
    let output = timeout(Duration::from_secs(30), child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("interrupted before row 501 of 1100"), "{}", stderr(&output));
    assert!(stderr(&output).contains("the same command goes on there"));
    assert_eq!(bench.fake.directory().imports.len(), 1);
}

#[tokio::test]
async fn dp_19_of_two_clients_at_the_same_import_one_is_told() {
    let bench = Bench::start().await;
    let file = Files(&bench).write("lines.csv", lines(1_100));
    bench.fake.directory().stop_at = Some(501);
    let mut first = bench.roamctl(&["import", "csv", "line", &file]);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    timeout(Duration::from_secs(30), bench.fake.stopped.notified()).await.unwrap();
    bench.fake.directory().stop_at = None;
    let second = bench.run(&["import", "csv", "line", &file]).await;
    assert_eq!(code(&second), Some(0), "{}", stderr(&second));
    bench.fake.go_on.notify_one();
    let first = timeout(Duration::from_secs(30), first.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(code(&first), Some(5), "{}", stderr(&first));
    assert!(stderr(&first).contains("somebody has ended or discarded it"));
    assert_eq!(names(&bench).len(), 1_100);
}
