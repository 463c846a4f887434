//! How imports, exports and restores end when they do not end well: nothing that was refused or lost is passed over, and
//! no file is written over that must not be.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use tokio::process::{Child, Command};

use super::*;

/// Starts a command and waits until the server has stopped it.
async fn held(bench: &Bench, arguments: &[&str]) -> Child {
    let mut command = bench.roamctl(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    timeout(Duration::from_secs(30), bench.fake.stopped.notified()).await.unwrap();
    child
}

async fn interrupt(child: Child) -> Output {
    let id = child.id().unwrap().to_string();
    let mut kill = Command::new("kill");
    kill.args(["-INT", &id]);
    finish(kill).await;
    timeout(Duration::from_secs(30), child.wait_with_output()).await.unwrap().unwrap()
}

/// Interrupts it before that row is staged, and lets the next one pass.
async fn interrupt_at(row: u64, bench: &Bench, arguments: &[&str]) {
    bench.fake.directory().stop_at = Some(row);
    let output = interrupt(held(bench, arguments).await).await;
    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    bench.fake.directory().stop_at = None;
    calls(bench);
}

#[tokio::test]
async fn dp_19_rows_refused_before_an_interruption_are_counted_after_it() {
    let bench = Bench::start().await;
    bench.fake.directory().refused = ["line 1010", "line 1300"].map(ToOwned::to_owned).to_vec();
    let files = Files(&bench);
    let file = files.write("lines.csv", lines(1_100));
    let arguments = ["import", "csv", "line", &file, "--continue-on-error"];
    interrupt_at(501, &bench, &arguments).await;
    let output = bench.run(&arguments).await;
    assert_eq!(calls(&bench)[1], "stage 501..1001");
    assert_eq!((code(&output), names(&bench).len()), (Some(7), 1_098), "{}", stderr(&output));
    assert!(stderr(&output).contains("2 of 1100 rows were refused; the others hold"));
    assert!(stderr(&output).contains("2 rows before row 501 were refused before the interruption"));
    assert!(stdout(&output).contains("2 refused"));
}

#[tokio::test]
async fn dp_19_an_interruption_without_a_refused_row_ends_well() {
    let bench = Bench::start().await;
    let file = Files(&bench).write("lines.csv", lines(1_100));
    let arguments = ["import", "csv", "line", &file, "--continue-on-error"];
    interrupt_at(501, &bench, &arguments).await;
    let output = bench.run(&arguments).await;
    assert_eq!((code(&output), names(&bench).len()), (Some(0), 1_100), "{}", stderr(&output));
}

#[tokio::test]
async fn dp_19_where_nothing_tells_what_was_refused_an_import_begins_again() {
    let mut text = "name,line1\n".to_owned();
    (0..600).for_each(|number| writeln!(text, "a{number},{}", 3000 + number % 7).unwrap());
    for with_report in [false, true] {
        let bench = Bench::start().await;
        bench.fake.directory().refused = vec!["profile a3".to_owned()];
        let files = Files(&bench);
        let file = files.write("profiles.csv", &text);
        let report = files.path("report.csv");
        let mut arguments =
            vec!["import", "csv", "user-device-profile", &file, "--create-lines", "--continue-on-error"];
        if with_report {
            arguments.extend(["--report", report.to_str().unwrap()]);
        }
        interrupt_at(2, &bench, &arguments).await;
        let output = bench.run(&arguments).await;
        let said = stderr(&output);
        assert_eq!(code(&output), Some(7), "{said}");
        assert!(said.contains("1 of 600 rows were refused; the others hold"), "{said}");
        assert_eq!(said.contains("it begins again"), !with_report, "{said}");
        assert_eq!(names(&bench).len(), 599 + 7);
    }
}

#[tokio::test]
async fn dp_19_a_commit_whose_answer_is_lost_is_not_called_done() {
    for more in [&[][..], &["--continue-on-error"]] {
        let bench = Bench::start().await;
        bench.fake.directory().lost_commits = 1;
        bench.fake.directory().refused_at_commit = more.iter().map(|_| "line 1002".to_owned()).collect();
        let file = Files(&bench).write("lines.csv", lines(3));
        let output = bench.run(&[&["import", "csv", "line", &file], more].concat()).await;
        let said = stderr(&output);
        assert_eq!((code(&output), stdout(&output).as_str()), (Some(5), ""), "{said}");
        assert!(said.contains("the answer was lost that says what of it holds"), "{said}");
        assert!(said.contains("`--action put --dry-run` tells"), "{said}");
        assert_eq!(names(&bench).len(), 3 - more.len());
    }
}

#[tokio::test]
async fn dp_19_an_import_that_was_swept_away_is_not_called_done() {
    let bench = Bench::start().await;
    store(&bench, profile(1));
    let files = Files(&bench);
    let file = files.write("lines.csv", lines(3));
    let path = files.path("backup.gz");
    let path = path.to_str().unwrap();
    assert_eq!(code(&bench.run(&["backup", "create", path]).await), Some(0));
    let table: [(&[&str], &str); 4] = [
        (&["import", "csv", "line", &file], "the answer was lost"),
        (&["import", "csv", "line", &file, "--dry-run"], "nothing was changed"),
        (&["backup", "restore", path], "--dry-run tells what a restore would still change"),
        (&["backup", "restore", path, "--dry-run"], "nothing was changed"),
    ];
    for (arguments, told) in table {
        bench.fake.directory().lost_commits = 1;
        bench.fake.directory().swept = true;
        let output = bench.run(arguments).await;
        assert_eq!(code(&output), Some(5), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn dp_19_rows_that_an_answer_has_no_room_for_are_counted() {
    let bench = Bench::start().await;
    bench.fake.directory().refused_at_commit = (1001..1006).map(|number| format!("line {number}")).collect();
    bench.fake.directory().most_problems = Some(2);
    let file = Files(&bench).write("lines.csv", lines(8));
    let output = bench.run(&["import", "csv", "line", &file, "--continue-on-error"]).await;
    assert_eq!((code(&output), names(&bench).len()), (Some(7), 3), "{}", stderr(&output));
    assert!(stderr(&output).contains("5 of 8 rows were refused"), "{}", stderr(&output));
    assert!(stderr(&output).contains("3 rows more than the server lists"), "{}", stderr(&output));
}

#[tokio::test]
async fn dp_19_an_interrupt_is_heard_while_a_commit_takes_its_time() {
    let bench = Bench::start().await;
    store(&bench, profile(1));
    let files = Files(&bench);
    let file = files.write("lines.csv", lines(3));
    let path = files.path("backup.gz");
    let path = path.to_str().unwrap();
    assert_eq!(code(&bench.run(&["backup", "create", path]).await), Some(0));
    let table: [(&[&str], &str); 4] = [
        (&["import", "csv", "line", &file], "it has happened, or it has not"),
        (&["import", "csv", "line", &file, "--dry-run"], "nothing was changed"),
        (&["backup", "restore", path], "it has happened, or it has not"),
        (&["backup", "restore", path, "--dry-run"], "nothing was changed"),
    ];
    bench.fake.directory().stop_at_commit = true;
    for (arguments, told) in table {
        let output = interrupt(held(&bench, arguments).await).await;
        assert_eq!(code(&output), Some(1), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
    // What was not committed goes on.
    bench.fake.directory().stop_at_commit = false;
    let output = bench.run(&["import", "csv", "line", &file]).await;
    assert_eq!((code(&output), names(&bench).len()), (Some(0), 4), "{}", stderr(&output));
}

#[tokio::test]
async fn dp_19_a_report_is_not_written_over_the_file_it_is_about() {
    let bench = Bench::start().await;
    let files = Files(&bench);
    let text = lines(3) + "1009,x,y\n";
    let file = files.write("lines.csv", &text);
    symlink(&file, files.path("link.csv")).unwrap();
    std::fs::hard_link(&file, files.path("twin.csv")).unwrap();
    for report in ["lines.csv", "link.csv", "twin.csv"] {
        let report = files.path(report);
        for more in [&[][..], &["--dry-run"], &["--continue-on-error"]] {
            let report = ["--report", report.to_str().unwrap()];
            let output = bench.run(&[&["import", "csv", "line", &file], more, &report].concat()).await;
            assert_eq!(code(&output), Some(2), "{}", stderr(&output));
            assert!(stderr(&output).contains("would write over the file that is imported"));
        }
    }
    assert_eq!(files.read("lines.csv"), text);
    assert_eq!(calls(&bench), Vec::<String>::new());
}

#[tokio::test]
async fn dp_19_only_regular_files_are_replaced() {
    let bench = Bench::start().await;
    store(&bench, profile(1));
    let files = Files(&bench);
    std::fs::create_dir(files.path("folder")).unwrap();
    // A device that is no harm where it can be replaced.
    let made = Command::new("mkfifo").arg(files.path("pipe")).status().await.unwrap();
    assert!(made.success());
    symlink(files.path("pipe"), files.path("link")).unwrap();
    for name in ["folder", "pipe", "link"] {
        let path = files.path(name);
        let path = path.to_str().unwrap();
        for arguments in [&["backup", "create", path][..], &["export", "csv", "user-device-profile", path]] {
            let output = bench.run(arguments).await;
            assert_eq!(code(&output), Some(2), "{arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).contains("it is no regular file"), "{}", stderr(&output));
        }
    }
    assert!(!files.path("pipe").is_file() && files.path("link").is_symlink());
}

#[tokio::test]
async fn dp_19_a_restore_asks_for_what_was_kept_and_nothing_else_does() {
    let bench = Bench::start().await;
    store(&bench, profile(1));
    let files = Files(&bench);
    let path = files.path("backup.gz");
    let path = path.to_str().unwrap();
    let file = files.write("lines.csv", lines(3));
    assert_eq!(code(&bench.run(&["backup", "create", path]).await), Some(0));
    let table: [(&[&str], bool); 3] = [
        (&["backup", "restore", path, "--dry-run"], true),
        (&["backup", "restore", path], true),
        (&["import", "csv", "line", &file], false),
    ];
    for (arguments, expected) in table {
        assert_eq!(code(&bench.run(arguments).await), Some(0));
        let directory = bench.fake.directory();
        let seen = (&directory.seen, &directory.seen_commit);
        let restores = (seen.0.as_ref().unwrap().restore, seen.1.as_ref().unwrap().restore);
        assert_eq!(restores, (expected, expected), "{arguments:?}");
    }
}

/// A row of a profile with overlays of 25 lines each, from that number on.
fn crowd(name: &str, first: u32, overlays: u32) -> (String, String) {
    let cells: BTreeMap<u32, String> = (0..overlays)
        .map(|overlay| {
            let lines = (0..25).map(|line| (first + overlay * 25 + line).to_string());
            (overlay + 1, lines.collect::<Vec<_>>().join(";"))
        })
        .collect();
    let header: String = cells.keys().map(|number| format!(",line{number},line{number}.kind")).collect();
    let row: String = cells.values().map(|lines| format!(",{lines},overlay")).collect();
    (format!("name{header}\n"), format!("{name}{row}\n"))
}

#[tokio::test]
async fn ll_8_rows_with_very_many_new_lines_are_sent_in_requests_that_are_small_enough() {
    let bench = Bench::start().await;
    let (header, _) = crowd("", 0, 30);
    let rows: String = (0..4).map(|row| crowd(&format!("a{row}"), 10_000 + row * 750, 30).1).collect();
    let file = Files(&bench).write("profiles.csv", header + &rows);
    let output = bench.run(&["import", "csv", "user-device-profile", &file, "--create-lines"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(names(&bench).len(), 4 * 751);
}

#[tokio::test]
async fn ll_8_a_row_with_more_new_lines_than_a_request_holds_is_told_as_a_bad_row() {
    for (more, left) in [(&[][..], 0), (&["--continue-on-error"], 2)] {
        let bench = Bench::start().await;
        let (header, row) = crowd("big", 10_000, 41);
        let small = format!("small,10001{}\n", ",".repeat(81));
        let file = Files(&bench).write("profiles.csv", header + &row + &small);
        let arguments = ["import", "csv", "user-device-profile", &file, "--create-lines"];
        let output = bench.run(&[&arguments, more].concat()).await;
        assert_eq!((code(&output), names(&bench).len()), (Some(7), left), "{}", stderr(&output));
        assert!(stderr(&output).contains("profiles.csv:2: row 1: settings.lines: names more lines"));
        assert!(bench.fake.directory().imports.is_empty());
    }
}
