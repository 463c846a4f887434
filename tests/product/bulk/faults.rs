//! The importer, the server and the database are killed at random in the middle of an import: what holds is nothing or
//! everything, and the same command completes it without a row missing or a row twice (DP-19).

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::files;
use super::full;
use crate::postgres::starter::Server as Database;
use crate::process::{Server, Site, WITHIN, start, text};

/// Rows of the import, and how often something is killed under it.
fn sizes() -> (usize, u32) {
    if full() { (20_000, 60) } else { (3_000, 9) }
}

#[test]
fn dp_19_an_import_holds_wholly_or_not_at_all_whatever_is_killed_on_sqlite() {
    survives(&Site::new(), None);
}

#[test]
fn dp_19_an_import_holds_wholly_or_not_at_all_whatever_is_killed_on_postgresql() {
    let database = Database::start();
    let site = Site::on_postgres(&database.url("postgres"));
    survives(&site, Some(database));
}

/// What is killed under an import.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Importer,
    Server,
    Database,
}

fn survives(site: &Site, mut database: Option<Database>) {
    let (rows, kills) = sizes();
    let file = files::write(site, "line", 0..rows, rows);
    let file = file.to_str().expect("a plain path").to_owned();
    let mut server = site.start();
    let listen = server.api.trim_start_matches("http://").to_owned();
    let mut victims = vec![Victim::Importer, Victim::Server];
    victims.extend(database.is_some().then_some(Victim::Database));
    let mut whole = 0;
    for kill in 0..kills {
        let victim = victims[kill as usize % victims.len()];
        let mut importer = start_import(site, &file);
        let mut ended =
            ended_within(&mut importer, Duration::from_millis(u64::from(40 + kill * 977 % 1_400)));
        match (victim, &mut database) {
            (Victim::Importer, _) => {
                let _ = importer.kill();
                importer.wait().expect("it ends");
            }
            (Victim::Server, _) => {
                server.kill();
                server = start(site.up_on(&listen)).expect("it starts again");
            }
            (Victim::Database, Some(database)) => {
                database.kill();
                database.start_again();
            }
            (Victim::Database, None) => {}
        }
        if victim != Victim::Importer && ended.is_none() {
            ended = ended_within(&mut importer, WITHIN);
            assert!(ended.is_some(), "kill {kill}: the importer goes on by itself, and ends");
        }
        let there = count(site);
        assert!(
            there == 0 || there == rows,
            "kill {kill} of the {victim:?}: {there} of {rows} lines are there"
        );
        if ended == Some(true) {
            assert_eq!(there, rows, "kill {kill} of the {victim:?}: the import said that it was done");
        }
        if there == rows {
            whole += 1;
            run(site, &file, "delete");
            assert_eq!(count(site), 0, "kill {kill}: everything was deleted again");
        }
    }
    run(site, &file, "put");
    assert_eq!(
        count(site),
        rows,
        "the same command completes it: no row is missing, and none is there twice"
    );
    drop::<Server>(server);
    eprintln!("{kills} kills; after {whole} of them everything was there, after the others nothing");
}

fn start_import(site: &Site, file: &str) -> Child {
    site.roamctl_command(&["import", "csv", "line", file, "--action", "put"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("roamctl starts")
}

/// Whether a process has ended well, if it ends within that time.
fn ended_within(child: &mut Child, time: Duration) -> Option<bool> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return Some(status.success());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    None
}

fn count(site: &Site) -> usize {
    let output = site.roamctl(&["export", "csv", "line", "-"]);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).lines().count() - 1
}

fn run(site: &Site, file: &str, action: &str) {
    let output = site.roamctl(&["import", "csv", "line", file, "--action", action]);
    assert!(output.status.success(), "{action}: {}", text(&output));
}
