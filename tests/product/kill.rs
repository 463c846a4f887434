//! `kill -9` during a stream of logins and logouts: what was acknowledged is there afterwards, and nothing is half. With
//! `ROAMLINE_TEST_FULL`, 200 times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clients::{Sessions, administrator, furnish, live, login, logout, phone_name, sessions, user};
use crate::process::{Site, kill_after};

const PHONES: u32 = 8;

/// What one phone may be in after a kill.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    /// The session that the last acknowledged call left, if it left one.
    acknowledged: Option<String>,
    /// A call that was not answered before the kill: `Some(true)` a login, `Some(false)` a logout.
    unanswered: Option<bool>,
}

type Ledger = Arc<Mutex<BTreeMap<u32, Known>>>;

/// How often the server is killed.
fn kills() -> u32 {
    if std::env::var_os("ROAMLINE_TEST_FULL").is_some() { 200 } else { 50 }
}

/// Logs in and out at one phone until the server is gone; returns the number of acknowledged calls.
async fn work(mut client: Sessions, n: u32, ledger: Ledger, acknowledged: tokio::sync::mpsc::Sender<()>) {
    loop {
        let in_use = ledger.lock().unwrap()[&n].acknowledged.is_some();
        ledger.lock().unwrap().get_mut(&n).unwrap().unanswered = Some(!in_use);
        let outcome = if in_use {
            client.logout(logout(&phone_name(n))).await.map(|_| None)
        } else {
            let answer = client.login(login(&user(n), &phone_name(n))).await;
            answer.map(|answer| answer.into_inner().session.map(|session| session.session_id))
        };
        match outcome {
            Ok(session) => {
                *ledger.lock().unwrap().get_mut(&n).unwrap() =
                    Known { acknowledged: session, unanswered: None };
                if acknowledged.send(()).await.is_err() {
                    return;
                }
            }
            Err(_gone) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_login_is_there_after_each_kill() {
    let site = Site::new();
    let mut server = site.start();
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, PHONES).await;
    let ledger: Ledger = Arc::new(Mutex::new((0..PHONES).map(|n| (n, Known::default())).collect()));
    let mut calls = 0u64;
    let kills = kills();
    for kill in 0..kills {
        let (sender, mut acknowledged) = tokio::sync::mpsc::channel(1);
        let mut workers = JoinSet::new();
        for n in 0..PHONES {
            workers.spawn(work(sessions(&server, &admin), n, Arc::clone(&ledger), sender.clone()));
        }
        drop(sender);
        // After some acknowledgements, a different number each time, with calls of other phones in flight.
        for _ in 0..(1 + (kill * 7) % 23) {
            acknowledged.recv().await.expect("the server is up");
            calls += 1;
        }
        server.kill();
        while acknowledged.recv().await.is_some() {
            calls += 1;
        }
        workers.join_all().await;

        server = site.start();
        let mut client = sessions(&server, &admin);
        let sessions = live(&mut client).await;
        check(kill, &sessions, &ledger);
    }
    eprintln!("{kills} kills, {calls} acknowledged calls, none lost");
}

/// Every phone is in a state that its acknowledged and unanswered calls allow, and takes it as known from here on.
fn check(kill: u32, sessions: &[roamline_proto::session::Session], ledger: &Ledger) {
    let phones: BTreeSet<_> = sessions.iter().map(|session| session.phone.clone()).collect();
    let users: BTreeSet<_> = sessions.iter().map(|session| session.user_id.clone()).collect();
    let ids: BTreeSet<_> = sessions.iter().map(|session| session.session_id.clone()).collect();
    assert_eq!(phones.len(), sessions.len(), "kill {kill}: a phone holds two sessions");
    assert_eq!(users.len(), sessions.len(), "kill {kill}: a user is on two phones");
    assert_eq!(ids.len(), sessions.len(), "kill {kill}: an id is used twice");
    let mut ledger = ledger.lock().unwrap();
    for (n, known) in ledger.iter_mut() {
        let found = sessions.iter().find(|session| session.phone == phone_name(*n));
        let found = found.map(|session| session.session_id.clone());
        let allowed = match known.unanswered {
            None => found == known.acknowledged,
            Some(true) => known.acknowledged.is_none(),
            Some(false) => found == known.acknowledged || found.is_none(),
        };
        assert!(allowed, "kill {kill}: phone {n} holds {found:?}, and what is known is {known:?}");
        *known = Known { acknowledged: found, unanswered: None };
    }
}

/// A first start makes the directory, the store, the keys, the administrator and the demo site; wherever it is cut off,
/// the next start completes it.
#[test]
fn a_first_start_that_is_killed_at_any_moment_is_completed_by_the_next() {
    for step in 0..16u32 {
        let site = Site::new().with(&["--demo"]);
        kill_after(site.up(), Duration::from_millis(u64::from(step * step * 4)));
        let server = site.start();
        let users = site.json(&["user", "list"]);
        assert_eq!(users["users"].as_array().unwrap().len(), 7, "step {step}: the demo site is whole");
        let login = ["login", "1001", "--phone", "SEP02005E005302", "--secret-file", "-"];
        assert_eq!(site.json_with_input(&login, "41001")["session"]["userId"], "1001", "step {step}");
        server.kill();
    }
}
