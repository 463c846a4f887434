//! The program as it is run: what it writes where, how it ends, and who it says it is.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

mod bulk;
mod fake;
mod peer;
mod sessions;

use std::process::{Output, Stdio};
use std::time::Duration;

use fake::{Bench, stderr, stdout};
use roamline_proto::profile::{EffectiveConfiguration, MultipleLoginBehavior};
use roamline_proto::session::{PhoneActions, PhoneUpdate};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cme-small.cfg");

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[tokio::test]
async fn lists_are_one_document_of_all_pages_on_standard_output() {
    let bench = Bench::start().await;
    let output = bench.run(&["user", "list", "-o", "json"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let ids: Vec<_> = json["users"].as_array().unwrap().iter().map(|user| user["userId"].clone()).collect();
    assert_eq!(ids, ["1001", "1002"]);
    assert_eq!(stderr(&output), "");
    assert!(stdout(&bench.run(&["user", "list"]).await).contains("1002"));
}

#[tokio::test]
async fn a_token_is_kept_and_asked_for_again_when_it_is_no_longer_good() {
    let bench = Bench::start().await;
    for _ in 0..2 {
        assert_eq!(code(&bench.run(&["user", "list"]).await), Some(0));
    }
    assert_eq!(bench.fake.state.lock().unwrap().sign_ins, 1);
    bench.fake.state.lock().unwrap().sign_ins += 1;
    assert_eq!(code(&bench.run(&["user", "list"]).await), Some(0));
    assert_eq!(bench.fake.state.lock().unwrap().sign_ins, 3);
}

#[tokio::test]
async fn exit_codes_tell_failures_apart() {
    let bench = Bench::start().await;
    assert_eq!(code(&bench.run(&["user", "get", "nobody"]).await), Some(3));
    assert_eq!(code(&bench.run(&["no-such-command"]).await), Some(2));
    assert_eq!(code(&bench.run(&["login", "me"]).await), Some(2));
    assert_eq!(code(&bench.run(&["user", "list", "--server", "nowhere"]).await), Some(2));
    assert_eq!(code(&bench.run(&["--server", "http://127.0.0.1:1", "user", "list"]).await), Some(6));
    assert_eq!(code(&bench.run(&["session", "list"]).await), Some(1));
    assert_eq!(code(&bench.run(&["--help"]).await), Some(0));
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_a_file_that_others_can_read_is_refused() {
    let bench = Bench::start().await;
    bench.write_admin("wrong-271828", 0o600);
    let denied = bench.run(&["user", "list"]).await;
    assert_eq!(code(&denied), Some(4));
    assert!(stderr(&denied).contains("CREDENTIAL_REFUSED"));
    bench.write_admin("right", 0o644);
    let refused = bench.run(&["user", "list"]).await;
    assert_eq!(code(&refused), Some(4));
    assert!(stderr(&refused).contains("chmod 600"));
    assert!(!stderr(&denied).contains("271828"));
}

#[tokio::test]
async fn the_administrators_password_goes_to_no_other_server() {
    let bench = Bench::start().await;
    let other = Bench::start().await;
    let output = bench.run(&["--server", &format!("http://{}", other.address), "user", "list"]).await;
    assert_eq!(code(&output), Some(4));
    assert!(stderr(&output).contains("TOKEN_MISSING"));
    assert_eq!(other.fake.state.lock().unwrap().sign_ins, 0);
}

#[tokio::test]
async fn signing_in_keeps_the_token_and_does_not_print_it() {
    let bench = Bench::start().await;
    let secret = bench.home.path().join("secret");
    std::fs::write(&secret, "right\n").unwrap();
    let secret = secret.to_str().unwrap();
    let output = bench.run(&["sign-in", "boss", "--secret-file", secret, "-o", "json"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(!stdout(&output).contains("token-1"));
    std::fs::remove_file(bench.home.path().join("admin.toml")).unwrap();
    let url = format!("http://{}", bench.address);
    assert_eq!(code(&bench.run(&["--server", &url, "user", "list"]).await), Some(0));
}

#[tokio::test]
async fn a_token_that_has_ended_is_refreshed_without_a_password_and_signing_out_drops_it() {
    let bench = Bench::start().await;
    let secret = bench.home.path().join("secret");
    std::fs::write(&secret, "right\n").unwrap();
    let url = format!("http://{}", bench.address);
    let sign_in = ["sign-in", "boss", "--secret-file", secret.to_str().unwrap()];
    let output = bench.run(&sign_in).await;
    assert!(!stdout(&output).contains("refresh-1"));
    std::fs::remove_file(bench.home.path().join("admin.toml")).unwrap();
    let files: Vec<_> =
        walk(bench.home.path()).filter(|path| path.to_string_lossy().contains("sign-in")).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("3000-01-01") && !text.contains("right"));
    let ended = text.replacen("3000-01-01", "2000-01-01", 1);
    std::fs::write(file, ended).unwrap();
    for _ in 0..2 {
        assert_eq!(code(&bench.run(&["--server", &url, "user", "list"]).await), Some(0));
    }
    assert_eq!(bench.fake.state.lock().unwrap().calls, ["refresh"]);
    assert_eq!(code(&bench.run(&["--server", &url, "key", "rotate", "--compromised"]).await), Some(0));
    assert_eq!(code(&bench.run(&["--server", &url, "credential", "revoke-tokens", "a", "b"]).await), Some(0));
    assert_eq!(code(&bench.run(&["--server", &url, "sign-out"]).await), Some(0));
    let calls = bench.fake.state.lock().unwrap().calls.clone();
    assert_eq!(calls, ["refresh", "rotate true", "revoke a b", "sign-out refresh-2"]);
    assert!(!file.exists());
    assert!(stdout(&bench.run(&["--server", &url, "sign-out"]).await).contains("nobody"));
}

#[tokio::test]
async fn credentials_are_deleted_and_have_policies_of_their_own() {
    let bench = Bench::start().await;
    let done = async |arguments: &[&str]| {
        let output = bench.run(arguments).await;
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    done(&["credential", "delete", "a", "b"]).await;
    done(&["credential", "delete", "c", "--kind", "phone-link"]).await;
    done(&[
        "credential",
        "policy",
        "set",
        "a",
        "b",
        "--with",
        "minimum_length=12",
        "--with",
        "lockout_duration=1h",
    ])
    .await;
    done(&["credential", "policy", "clear", "a"]).await;
    let told = done(&["credential", "policy", "get", "a"]).await;
    assert!(
        told.contains("history") && told.contains("(his own)") && told.contains("minimumLength"),
        "{told}"
    );
    let wrong = bench.run(&["credential", "policy", "set", "a", "--with", "colour=1"]).await;
    assert_eq!(code(&wrong), Some(2), "{}", stderr(&wrong));
    let calls = bench.fake.state.lock().unwrap().calls.clone();
    let wanted = [
        "delete PRINCIPAL_KIND_UNSPECIFIED a b",
        "delete PRINCIPAL_KIND_PHONE_LINK c",
        "policy a b Some(12)",
        "policy a None",
        "policy of a",
    ];
    assert_eq!(calls, wanted);
}

fn walk(directory: &std::path::Path) -> impl Iterator<Item = std::path::PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        found.extend(std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()));
        next += 1;
    }
    found.into_iter().filter(|path| path.is_file())
}

#[tokio::test]
async fn without_a_terminal_a_secret_needs_a_file() {
    let bench = Bench::start().await;
    let output = bench.run(&["login", "me", "--phone", "SEP000DEDAB3566"]).await;
    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("--secret-file"));
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    let bench = Bench::start().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = bench.roamctl(&["user", "list", "-o", "json"]);
    command.stdout(writer).stderr(Stdio::piped());
    let output =
        timeout(Duration::from_secs(30), command.spawn().unwrap().wait_with_output()).await.unwrap().unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (Some(0), ""));
}

#[tokio::test]
async fn an_import_checks_everything_before_it_changes_anything() {
    let bench = Bench::start().await;
    let output = bench.run(&["import", "cme", SMALL, "-o", "json"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(bench.calls(), ["credentials 4 check", "resources 28 check", "resources 28", "credentials 4"]);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["resources"]["phones"]["created"], 4);
    assert_eq!(json["notUnderstood"][0]["line"], 3);
    let applied = bench.fake.state.lock().unwrap().applied.clone().unwrap();
    assert_eq!(applied.multiple_login_behavior(), MultipleLoginBehavior::AutoLogout);
    assert_eq!(applied.time_zone, "Europe/Zurich");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let bench = Bench::start().await;
    let output = bench.run(&["import", "cme", SMALL, "--dry-run"]).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(bench.calls().iter().all(|call| call.ends_with("check")), "{:?}", bench.calls());
    assert!(stderr(&output).contains(":4: not understood: hostname site-a"));
    for secret in ["pass123", "psswrd", "43214"] {
        assert!(!stdout(&output).contains(secret) && !stderr(&output).contains(secret));
    }
}

#[tokio::test]
async fn ll_8_what_the_server_refuses_is_told_by_line_and_nothing_is_changed() {
    let bench = Bench::start().await;
    let violation =
        ("resources[19].settings.lines[1].lines[0]".to_owned(), "line 2002 is missing (LL-8)".to_owned());
    bench.fake.state.lock().unwrap().refuse = vec![violation];
    let output = bench.run(&["import", "cme", SMALL]).await;
    assert_eq!(code(&output), Some(7));
    assert!(stderr(&output).contains("cme-small.cfg:39: line 2002 is missing (LL-8)"), "{}", stderr(&output));
    assert_eq!(bench.calls(), ["credentials 4 check", "resources 28 check"]);
}

#[tokio::test]
async fn a_file_of_random_bytes_is_refused_without_a_word_to_the_server() {
    let bench = Bench::start().await;
    let file = bench.home.path().join("random");
    std::fs::write(&file, b"\x00\xff\x10voice").unwrap();
    let output = bench.run(&["import", "cme", file.to_str().unwrap()]).await;
    assert_eq!(code(&output), Some(7));
    assert!(stderr(&output).contains("random:1: is not UTF-8"));
    assert_eq!(bench.calls(), [""; 0]);
}

/// A phone that runs.
struct RunningPhone {
    child: Child,
    keys: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
}

impl RunningPhone {
    fn start(bench: &Bench) -> Self {
        let mut command = bench.roamctl(&["phone", "run", "SEP000DEDAB3566"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, keys, events }
    }

    async fn press(&mut self, key: &str) {
        self.keys.write_all(format!("{key}\n").as_bytes()).await.unwrap();
    }

    /// The next events, by name and generation.
    async fn expect(&mut self, expected: &[(&str, &str)]) {
        for (event, generation) in expected {
            let line =
                timeout(Duration::from_secs(30), self.events.next_line()).await.unwrap().unwrap().unwrap();
            let json: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(
                (json.get("event"), json.get("generation")),
                (Some(&Value::from(*event)), Some(&Value::from(*generation)))
            );
        }
    }
}

fn update(generation: u64, restart: bool) -> PhoneUpdate {
    PhoneUpdate {
        generation,
        configuration: Some(EffectiveConfiguration {
            user_id: "me".into(),
            ..EffectiveConfiguration::default()
        }),
        actions: Some(PhoneActions { restart, ..PhoneActions::default() }),
        ..PhoneUpdate::default()
    }
}

#[tokio::test]
async fn li_8_a_phone_restarts_wears_and_acknowledges_when_it_is_on_hook() {
    let bench = Bench::start().await;
    bench.fake.phone.send_replace(update(1, false));
    let mut phone = RunningPhone::start(&bench);
    phone.expect(&[("linked", "0"), ("updated", "1"), ("applied", "1"), ("acknowledged", "1")]).await;
    phone.press("off").await;
    phone.expect(&[("hook", "1")]).await;
    bench.fake.phone.send_replace(update(2, true));
    phone.expect(&[("updated", "2")]).await;
    phone.press("h").await;
    phone.expect(&[("hook", "1"), ("restarting", "2"), ("applied", "2"), ("acknowledged", "2")]).await;
    phone.press("q").await;
    let status = timeout(Duration::from_secs(30), phone.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let calls = bench.calls();
    let acknowledged: Vec<_> = calls.iter().filter(|call| call.starts_with("acknowledge")).collect();
    assert_eq!(acknowledged, ["acknowledge 1", "acknowledge 2"]);
    assert!(calls.contains(&"report HOOK_STATE_OFF_HOOK".to_owned()));
}

#[tokio::test]
async fn ev_3_a_broken_link_is_made_again_and_nothing_is_done_twice() {
    let bench = Bench::start().await;
    bench.fake.phone.send_replace(update(1, true));
    let mut phone = RunningPhone::start(&bench);
    let begun =
        [("linked", "0"), ("updated", "1"), ("restarting", "1"), ("applied", "1"), ("acknowledged", "1")];
    phone.expect(&begun).await;
    bench.fake.cut.notify_waiters();
    phone.expect(&[("disconnected", "1"), ("linked", "1")]).await;
    bench.fake.phone.send_replace(update(2, false));
    phone.expect(&[("updated", "2"), ("applied", "2"), ("acknowledged", "2")]).await;
    let acknowledged = bench.calls().into_iter().filter(|call| call.starts_with("acknowledge"));
    assert_eq!(acknowledged.collect::<Vec<_>>(), ["acknowledge 1", "acknowledge 2"]);
}
