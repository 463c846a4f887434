//! The importer and the server are killed at random in the middle of an import: what holds is nothing or everything, and
//! the same command completes it without a row missing or a row twice (DP-19).

use std::process::{Child, Stdio};
use std::time::Duration;

use super::files;
use super::full;
use crate::process::{Server, Site, text};

/// Rows of the import, and how often something is killed under it.
fn sizes() -> (usize, u32) {
    if full() { (20_000, 60) } else { (3_000, 10) }
}

#[test]
fn dp_19_an_import_that_is_killed_again_and_again_holds_wholly_or_not_at_all() {
    let site = Site::new();
    survives(&site, Some);
}

/// `kill_other` is told the server to kill and returns it, or none when it killed something else.
pub(super) fn survives(site: &Site, kill_server: impl Fn(Server) -> Option<Server>) {
    let (rows, kills) = sizes();
    let file = files::write(site, "line", 0..rows, rows);
    let file = file.to_str().expect("a plain path").to_owned();
    let mut server = Some(site.start());
    let mut commits = 0;
    for kill in 0..kills {
        let child = start_import(site, &file);
        let after = Duration::from_millis(u64::from(40 + kill * 977 % 1_400));
        let ended = if kill % 2 == 0 {
            kill_after(child, after)
        } else {
            let waited = wait_at_most(child, after);
            let killed = server.take().expect("it runs");
            if let Some(killed) = kill_server(killed) {
                killed.kill();
            }
            finish(waited)
        };
        let running = server.take().unwrap_or_else(|| site.start());
        let there = count(site);
        assert!(there == 0 || there == rows, "kill {kill}: {there} of {rows} lines are there");
        if ended {
            assert_eq!(there, rows, "kill {kill}: the import said that it was done");
        }
        if there == rows {
            commits += 1;
            delete_all(site, &file);
            assert_eq!(count(site), 0, "kill {kill}: everything was deleted again");
        }
        server = Some(running);
    }
    let output = site.roamctl(&["import", "csv", "line", &file, "--action", "add"]);
    assert!(output.status.success(), "the same command completes it: {}", text(&output));
    assert_eq!(count(site), rows, "no row is missing, and none is there twice");
    eprintln!("{kills} kills, {commits} of the interrupted imports held wholly, the others not at all");
}

fn start_import(site: &Site, file: &str) -> Child {
    site.roamctl_command(&["import", "csv", "line", file, "--action", "add"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("roamctl starts")
}

/// Kills the importer after that time; whether it had ended well by itself.
fn kill_after(mut child: Child, after: Duration) -> bool {
    match wait(&mut child, after) {
        Some(success) => success,
        None => {
            let _ = child.kill();
            child.wait().expect("it ends");
            false
        }
    }
}

/// The importer, and how it ended if it has within that time.
fn wait_at_most(mut child: Child, time: Duration) -> (Child, Option<bool>) {
    let ended = wait(&mut child, time);
    (child, ended)
}

fn finish((mut child, ended): (Child, Option<bool>)) -> bool {
    ended.unwrap_or_else(|| {
        let _ = child.kill();
        child.wait().expect("it ends");
        false
    })
}

/// Waits for the end of a process in a thread of its own, at most that long.
fn wait(child: &mut Child, time: Duration) -> Option<bool> {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until {
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

fn delete_all(site: &Site, file: &str) {
    let output = site.roamctl(&["import", "csv", "line", file, "--action", "delete"]);
    assert!(output.status.success(), "{}", text(&output));
}
