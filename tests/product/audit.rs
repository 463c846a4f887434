//! The audit trail, as auditors use it: it has every login and logout, and whoever touches it is found out (EV-1).

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use roamline_domain::audit::Hash;
use serde_json::Value;

use crate::postgres::starter::Server as Postgres;
use crate::process::{Site, WITHIN, text};

/// Agent and phone of the demo site.
const LOGIN: [&str; 6] = ["login", "1001", "--phone", "SEP02005E005302", "--secret-file", "-"];
const LOGOUT: [&str; 3] = ["logout", "--phone", "SEP02005E005302"];
/// What a broken trail ends `audit verify` with.
const BROKEN: i32 = 9;

/// The database behind a site, touched by somebody who should not.
enum Database {
    Sqlite(String),
    Postgres(String),
}

impl Database {
    fn run(&self, sql: &str) -> String {
        let output = match self {
            Self::Sqlite(file) => {
                Command::new("sqlite3").args(["-cmd", ".timeout 10000", file, sql]).output()
            }
            Self::Postgres(url) => {
                Command::new("psql").args([url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql]).output()
            }
        };
        let output = output.expect("the database's own client runs");
        assert!(output.status.success(), "{sql}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn blob(&self, hash: Hash) -> String {
        match self {
            Self::Sqlite(_) => format!("X'{hash:?}'"),
            Self::Postgres(_) => format!("decode('{hash:?}', 'hex')"),
        }
    }

    fn hash(&self, number: u64) -> Hash {
        let function = match self {
            Self::Sqlite(_) => "lower(hex(hash))",
            Self::Postgres(_) => "encode(hash, 'hex')",
        };
        let digits = self.run(&format!("SELECT {function} FROM audit_record WHERE number = {number}"));
        let byte = |place: usize| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap();
        Hash(std::array::from_fn(byte))
    }

    /// Changes a record, and makes all hashes from there on right again.
    fn rewrite_from(&self, number: u64, last: u64) {
        self.run(&format!(
            "UPDATE audit_record SET body = replace(body, '\"ADMINISTRATOR\"', '\"IDLE\"') WHERE number = {number}"
        ));
        let mut hash = self.hash(number - 1);
        for number in number..=last {
            let body = self.run(&format!("SELECT body FROM audit_record WHERE number = {number}"));
            hash = hash.then(body.trim_end_matches('\n'));
            self.run(&format!("UPDATE audit_record SET hash = {} WHERE number = {number}", self.blob(hash)));
        }
    }
}

fn verify(site: &Site, arguments: &[&str]) -> (Option<i32>, Vec<(u64, String)>) {
    let output = site.roamctl(&[&["-o", "json", "audit", "verify"], arguments].concat());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let breaks = said["breaks"].as_array().unwrap().iter();
    let place =
        |found: &Value| (found["number"].as_u64().unwrap(), found["how"].as_str().unwrap().to_owned());
    (output.status.code(), breaks.map(place).collect())
}

fn found(places: &[(u64, &str)]) -> (Option<i32>, Vec<(u64, String)>) {
    (Some(BROKEN), places.iter().map(|(number, how)| (*number, (*how).to_owned())).collect())
}

const WHOLE: (Option<i32>, Vec<(u64, String)>) = (Some(0), Vec::new());

/// Logs in and out four times, and waits until the trail has it: 8 records.
fn recorded(site: &Site) -> Vec<Value> {
    for _ in 0..4 {
        site.json_with_input(&LOGIN, "41001");
        site.json(&LOGOUT);
    }
    let begun = Instant::now();
    loop {
        let list = site.json(&["audit", "list", "--user", "1001", "--kind", "login,logout", "--from", "1h"]);
        let records = list["records"].as_array().cloned().unwrap_or_default();
        if records.len() == 8 {
            return records;
        }
        assert!(begun.elapsed() < WITHIN, "{records:?}");
    }
}

fn anchor(path: &Path) -> [&str; 2] {
    ["--anchor", path.to_str().unwrap()]
}

/// Everything that somebody with the database in his hands may try. The trail has `last` records, the anchor all of them.
fn assert_found_out(site: &Site, database: &Database, last: u64) {
    let kept = site.home().join("anchor.json");
    let anchor = anchor(&kept);
    assert_eq!(verify(site, &anchor), WHOLE);
    database.run("CREATE TABLE saved AS SELECT * FROM audit_record");
    let tampered = |sql: &str, expected: &[(u64, &str)]| {
        database.run(sql);
        let seen = verify(site, &[]);
        database.run("DELETE FROM audit_record; INSERT INTO audit_record SELECT * FROM saved");
        assert_eq!(seen, found(expected), "{sql}");
        assert_eq!(verify(site, &anchor), WHOLE);
    };
    let changed =
        "UPDATE audit_record SET body = replace(body, '\"profile\":\"', '\"profile\":\"x') WHERE number = 3";
    tampered(changed, &[(3, "hash")]);
    tampered("UPDATE audit_record SET user_id = '1002' WHERE number = 3", &[(3, "columns")]);
    tampered("UPDATE audit_record SET at = at - 60000000 WHERE number = 3", &[(3, "columns")]);
    tampered("DELETE FROM audit_record WHERE number = 3", &[(3, "missing")]);
    tampered("DELETE FROM audit_record WHERE number <= 2", &[(1, "missing")]);
    let swapped = "UPDATE audit_record SET number = -1 WHERE number = 3; \
        UPDATE audit_record SET number = 3 WHERE number = 4; UPDATE audit_record SET number = 4 WHERE number = -1";
    let twice = [(3, "hash"), (3, "columns"), (4, "hash"), (4, "columns"), (5, "hash")];
    tampered(swapped, &twice);

    database.run(
        "UPDATE audit_record SET number = -(number + 1) WHERE number >= 4; \
         UPDATE audit_record SET number = -number WHERE number < 0; \
         INSERT INTO audit_record SELECT cluster_id, 4, at, kind, phone, user_id, event, fingerprint, body, hash \
         FROM audit_record WHERE number = 2",
    );
    let (code, breaks) = verify(site, &[]);
    assert_eq!((code, breaks.first()), (Some(BROKEN), Some(&(4, "hash".to_owned()))), "a record slipped in");
    database.run("DELETE FROM audit_record; INSERT INTO audit_record SELECT * FROM saved");

    database.run(&format!("DELETE FROM audit_record WHERE number = {last}"));
    assert_eq!(verify(site, &[]), WHOLE, "a cut end cannot be seen by the records that are left");
    assert_eq!(verify(site, &anchor), found(&[(last, "cut")]));
    database.run("DELETE FROM audit_record; INSERT INTO audit_record SELECT * FROM saved");

    let logout = (1..last).find(|number| {
        database
            .run(&format!("SELECT body FROM audit_record WHERE number = {number}"))
            .contains("\"ADMINISTRATOR\"")
    });
    database.rewrite_from(logout.unwrap(), last);
    assert_eq!(verify(site, &[]), WHOLE, "one who rewrites all of it from there on leaves no trace");
    assert_eq!(verify(site, &anchor), found(&[(last, "rewritten")]), "but in the anchor");
    database.run("DELETE FROM audit_record; INSERT INTO audit_record SELECT * FROM saved; DROP TABLE saved");
    assert_eq!(verify(site, &anchor), WHOLE);
}

/// Waits until the trail is so; its oldest records then.
fn until_records(site: &Site, is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let list = site.json(&["audit", "list"]);
        let records = list["records"].as_array().cloned().unwrap_or_default();
        if is(&records) {
            return records;
        }
        assert!(begun.elapsed() < WITHIN, "{records:?}");
    }
}

fn number(record: &Value) -> u64 {
    record["number"].as_str().unwrap().parse().unwrap()
}

/// Logins and logouts that become too old while one agent stays logged in.
fn assert_pruned(site: Site, database: &Database) {
    let server = site.start();
    recorded(&site);
    let session = site.json_with_input(&LOGIN, "41001")["session"]["sessionId"].clone();
    let records = until_records(&site, |records| {
        records.iter().filter(|record| record["kind"] == "AUDIT_KIND_LOGIN").count() == 5
    });
    let verified = number(records.last().unwrap());
    let old = site.home().join("anchor.json");
    assert_eq!(verify(&site, &anchor(&old)), WHOLE);
    assert!(server.stop().success());

    // Everything is too old; what pruning leaves becomes too old, too, since a login must be told again.
    let site = site.set("SESSION__KEEP_EVENTS_FOR", "1s").set("SESSION__AUDIT__KEEP_FOR", "1s");
    let server = site.start();
    until_records(&site, |records| number(&records[0]) > verified + 2);
    assert!(server.stop().success());

    let site = site.set("SESSION__AUDIT__KEEP_FOR", "forever");
    let _server = site.start();
    let kept = until_records(&site, |records| !records.is_empty());
    let first = number(&kept[0]);
    assert!(first > verified + 2);
    let login: Vec<_> = kept.iter().filter(|record| record["sessionId"] == session).collect();
    assert_eq!(
        (login.len(), &login[0]["kind"], &login[0]["userId"]),
        (1, &"AUDIT_KIND_LOGIN_KEPT".into(), &"1001".into())
    );
    let said = site.json(&["audit", "verify"]);
    assert_eq!((&said["first"], &said["pruned"]["until"]), (&first.into(), &(first - 1).into()));
    let told = text(&site.roamctl(&["audit", "verify"]));
    assert!(
        told.contains(&format!("from record {first} on; those before it were deleted as older than")),
        "{told}"
    );
    assert_eq!(verify(&site, &anchor(&old)), found(&[(verified, "pruned")]));
    let new = site.home().join("new.json");
    assert_eq!(verify(&site, &anchor(&new)), WHOLE);
    site.json(&LOGOUT);
    let all = site.home().join("all.jsonl");
    assert!(site.roamctl(&["audit", "export", "--file", all.to_str().unwrap()]).status.success());
    assert_eq!(verify(&site, &[&["--file", all.to_str().unwrap()], anchor(&new).as_slice()].concat()), WHOLE);
    database.run(&format!("DELETE FROM audit_record WHERE number = {first}"));
    assert_eq!(verify(&site, &[]), found(&[(1, "missing")]), "more went than the trail says");
}

#[test]
fn ev_1_records_that_are_too_old_go_from_sqlite_and_the_rest_is_whole() {
    let site = Site::new().with(&["--demo"]);
    let file = site.data().join("roamline.db").to_str().unwrap().to_owned();
    assert_pruned(site, &Database::Sqlite(file));
}

#[test]
fn ev_1_records_that_are_too_old_go_from_postgresql_and_the_rest_is_whole() {
    Postgres::of_all().create("audit_pruned");
    let url = Postgres::of_all().url("audit_pruned");
    assert_pruned(Site::on_postgres(&url).with(&["--demo"]), &Database::Postgres(url));
}

fn last_number(site: &Site) -> u64 {
    let list = site.json(&["audit", "list"]);
    list["records"].as_array().unwrap().last().unwrap()["number"].as_str().unwrap().parse().unwrap()
}

#[test]
fn ev_1_whoever_touches_the_trail_in_sqlite_is_found_out() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    let records = recorded(&site);
    assert_eq!(records[0]["kind"], "AUDIT_KIND_LOGIN");
    assert_eq!(records[1]["reason"], "ADMINISTRATOR");
    let file = site.data().join("roamline.db");
    assert!(file.exists(), "{}", file.display());
    assert_found_out(&site, &Database::Sqlite(file.to_str().unwrap().to_owned()), last_number(&site));
}

#[test]
fn ev_1_whoever_touches_the_trail_in_postgresql_is_found_out() {
    Postgres::of_all().create("audit_trail");
    let url = Postgres::of_all().url("audit_trail");
    let site = Site::on_postgres(&url).with(&["--demo"]);
    let _server = site.start();
    recorded(&site);
    assert_found_out(&site, &Database::Postgres(url), last_number(&site));
}

#[test]
fn ev_1_an_export_is_verified_without_a_server_and_goes_on_from_the_last_time() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    recorded(&site);
    let path = |name: &str| site.home().join(name).to_str().unwrap().to_owned();
    let (all, some) = (path("all.jsonl"), path("some.jsonl"));
    let made = site.roamctl(&["audit", "export", "--file", &all]);
    assert!(made.status.success(), "{}", text(&made));
    let partial = site.roamctl(&["audit", "export", "--kind", "logout", "--file", &some]);
    assert!(text(&partial).contains("cannot be verified"), "{}", text(&partial));
    server.kill();

    let kept = path("anchor.json");
    assert_eq!(verify(&site, &["--file", &all, "--anchor", &kept]), WHOLE);
    let table = site.roamctl(&["audit", "verify", "--file", &some]);
    assert_eq!(table.status.code(), Some(BROKEN));
    assert!(
        text(&table).contains("record 1 is missing") && text(&table).contains("hint: an export of some"),
        "{}",
        text(&table)
    );

    let lines: Vec<String> = std::fs::read_to_string(&all).unwrap().lines().map(str::to_owned).collect();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        std::fs::write(&some, lines.join("\n")).unwrap();
        verify(&site, &["--file", &some, "--anchor", &kept])
    };
    let last = lines.len() as u64;
    assert_eq!(with(&|_| ()), WHOLE);
    assert_eq!(with(&|lines| lines[1] = "{}".into()).1[0], (2, "unreadable".into()));
    assert_eq!(with(&|lines| lines.swap(1, 2)), found(&[(2, "missing"), (2, "out-of-order")]));
    assert_eq!(with(&|lines| lines.insert(1, lines[0].clone())), found(&[(1, "twice")]));
    assert_eq!(with(&|lines| drop(lines.pop())), found(&[(last, "cut")]));
    let forged =
        |lines: &mut Vec<String>| lines[1] = lines[1].replace("\\\"ADMINISTRATOR\\\"", "\\\"IDLE\\\"");
    assert_eq!(with(&forged), found(&[(2, "hash")]));
}

#[test]
fn ev_1_what_cannot_be_asked_of_the_trail_is_refused_with_every_violation() {
    let site = Site::new();
    let _server = site.start();
    let refused = |arguments: &[&str]| -> Output { site.roamctl(arguments) };
    let wrong = refused(&["audit", "list", "--phone", "?", "--from", "1h", "--until", "2h"]);
    assert_eq!(wrong.status.code(), Some(7), "{}", text(&wrong));
    assert!(
        text(&wrong).contains("filter.phone") && text(&wrong).contains("filter.until"),
        "{}",
        text(&wrong)
    );
    for usage in [["--kind", "nonsense"], ["--from", "soon"], ["--limit", "0"]] {
        let wrong = refused(&[&["audit", "list"], usage.as_slice()].concat());
        assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    }
    let nowhere = refused(&["audit", "export", "--file", "/dev/null/x"]);
    assert!(!nowhere.status.success());
    let none = refused(&["audit", "verify", "--file", "/no/such/file"]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none));
}
