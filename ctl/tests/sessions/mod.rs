//! Commands that control sessions, and what they write where.

use serde_json::Value;

use super::code;
use crate::fake::{Bench, stderr, stdout};

#[tokio::test]
async fn cc_9_a_logout_is_forced_with_a_note_and_never_without() {
    let bench = Bench::start().await;
    let plain = ["logout", "--phone", "SEP000DEDAB3566"];
    let refused = bench.run(&plain).await;
    assert_eq!(code(&refused), Some(5));
    assert!(stderr(&refused).contains("AGENT_BUSY") && stderr(&refused).contains("TALKING"));
    for wrong in [&["--force"][..], &["--note", "fire"]] {
        assert_eq!(code(&bench.run(&[&plain[..], wrong].concat()).await), Some(2), "{wrong:?}");
    }
    let done = bench.run(&[&plain[..], &["--force", "--note", "fire drill"]].concat()).await;
    assert_eq!(code(&done), Some(0), "{}", stderr(&done));
    assert!(stdout(&done).contains("he was at work"), "{}", stdout(&done));
    assert_eq!(bench.calls(), ["logout force=false note=\"\"", "logout force=true note=\"fire drill\""]);
    let again = bench.run(&[&plain[..], &["--request-id", "r1", "--session", "s1"]].concat()).await;
    assert_eq!(code(&again), Some(2), "one target");
    assert_eq!(code(&bench.run(&["logout", "--force", "--note", "why"]).await), Some(2), "no target");
    assert_eq!(code(&bench.run(&[&plain[..], &["--request-id", "r1"]].concat()).await), Some(5));
}

#[tokio::test]
async fn lo_8_everybody_is_logged_out_with_a_line_for_each_or_one_for_all() {
    let bench = Bench::start().await;
    let told = bench.run(&["session", "logout-all", "--rate", "50"]).await;
    assert_eq!(code(&told), Some(0), "{}", stderr(&told));
    assert_eq!(stdout(&told), "1 of 2 logged out, 1 left alone at work\n");
    let told = stdout(&bench.run(&["session", "logout-all", "-o", "json"]).await);
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[1]["session"]["userId"], &lines[3]["done"]), (&"agent8".into(), &true.into()));
    assert_eq!(bench.calls(), ["logout-all 50 a second", "logout-all 10 a second"]);
    for wrong in [&["--rate", "0"][..], &["--rate", "1001"], &["--force"]] {
        let all = [&["session", "logout-all"][..], wrong].concat();
        assert_eq!(code(&bench.run(&all).await), Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn lo_8_one_that_ends_early_says_how_far_it_came_and_how_to_go_on() {
    let bench = Bench::start().await;
    for profile in ["broken", "cut"] {
        let output = bench.run(&["session", "logout-all", "--profile", profile]).await;
        assert_eq!(code(&output), Some(6), "{}", stderr(&output));
        let told = stderr(&output);
        assert!(told.contains("1 of 2 logged out") && told.contains("goes on with what is left"), "{told}");
    }
}

#[tokio::test]
async fn dp_10_and_cc_9_a_refresh_and_an_agents_state_say_what_came_of_them() {
    let bench = Bench::start().await;
    let same = stdout(&bench.run(&["session", "refresh", "01JD0000000000000000000001"]).await);
    assert!(same.contains("agent7") && same.contains("wears the profile as it is"), "{same}");
    let changed = stdout(&bench.run(&["session", "refresh", "--phone", "changed"]).await);
    assert!(!changed.contains("as it is"), "{changed}");
    assert_eq!(code(&bench.run(&["session", "refresh"]).await), Some(2));
    let state = stdout(&bench.run(&["agent-state", "wrap-up", "--user", "agent7"]).await);
    assert!(state.contains("agent7") && state.contains("wrap-up"), "{state}");
    assert_eq!(code(&bench.run(&["agent-state", "busy"]).await), Some(2));
}
