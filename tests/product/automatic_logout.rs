//! Automatic logout, at the maximum login time and at daily times: on time, once, and across restarts (SP-1, SP-2,
//! SP-10, SP-20, LO-4 to LO-7).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{EndedSession, LogoutReason, WatchSessionsRequest};
use roamline_serve::Clock;
use serde_json::Value;
use tokio::time::timeout;

use crate::clients::{administrator, as_administrator, furnish, live, login, phone_name, sessions, user};
use crate::process::{Server, Site, WITHIN};

/// How long after the session's deadline it ended, in seconds.
fn lateness(ended: &EndedSession) -> f64 {
    let seconds = |t: &prost_types::Timestamp| t.seconds as f64 + f64::from(t.nanos) / 1e9;
    seconds(ended.logout_time.as_ref().unwrap())
        - seconds(ended.session.as_ref().unwrap().next_logout_time.as_ref().unwrap())
}

#[tokio::test]
async fn lo_5_a_login_for_a_while_ends_at_its_instant_and_the_phone_goes_back() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let mut sessions = as_administrator(&site, &server).await;
    let mut watch = sessions.watch_sessions(WatchSessionsRequest::default()).await.unwrap().into_inner();
    let mut phone = crate::process::Phone::run(&site, "SEP02005E005302");
    site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token", "--for", "2s"]);
    let ended = loop {
        let message = timeout(WITHIN, watch.message()).await.expect("in time").unwrap().unwrap();
        if let Some(Message::LoggedOut(ended)) = message.message {
            break ended;
        }
    };
    assert_eq!(ended.reason(), LogoutReason::MaximumTime);
    let late = lateness(&ended);
    eprintln!("automatic logout {late:.3} s after its instant; LO-5 allows 2 s");
    assert!(late >= 0.0, "not before its instant");
    phone.wait_until_worn(None);
    assert!(live(&mut sessions).await.is_empty());
}

/// How that session ended, by the log from its beginning.
async fn ended(site: &Site, server: &Server, session: &Value) -> EndedSession {
    let mut sessions = as_administrator(site, server).await;
    let from_beginning = WatchSessionsRequest { resume_token: "begin-0".into(), ..Default::default() };
    let mut watch = sessions.watch_sessions(from_beginning).await.unwrap().into_inner();
    loop {
        let message = timeout(WITHIN, watch.message()).await.expect("in time").unwrap().unwrap();
        match message.message {
            Some(Message::LoggedOut(ended)) if *session == ended.session.as_ref().unwrap().session_id => {
                return ended;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn lo_5_what_was_due_while_the_server_was_down_is_done_at_its_start() {
    let site = Site::new().with(&["--demo"]);
    let mut server = site.start();
    site.json(&["login", "1002", "--phone", "SEP02005E005301", "--with-token", "--for", "4h"]);
    // A machine that is too slow to kill the server before the instant gets more time.
    for seconds in [2, 8, 32] {
        let login = ["login", "1001", "--phone", "SEP02005E005302", "--with-token", "--for"];
        let made = site.json(&[&login[..], &[&format!("{seconds}s")]].concat());
        let due = Instant::now() + Duration::from_secs(seconds);
        server.kill();
        let killed_at = Clock::system().now();
        // Down past the instant: nothing to wait for but the clock itself.
        tokio::time::timeout_at(due.into(), std::future::pending::<()>()).await.unwrap_err();
        server = site.start();
        let ended = ended(&site, &server, &made["session"]["sessionId"]).await;
        assert_eq!(ended.reason(), LogoutReason::MaximumTime);
        let at = ended.logout_time.unwrap();
        if Timestamp::new(at.seconds, at.nanos).unwrap() >= killed_at {
            break;
        }
        assert!(seconds < 32, "it ended before the server was killed");
    }
    let mut sessions = as_administrator(&site, &server).await;
    let left: Vec<_> = live(&mut sessions).await.into_iter().map(|session| session.user_id).collect();
    assert_eq!(left, ["1002"]);
}

#[tokio::test]
async fn sp_1_and_sp_2_bound_every_login_of_the_cluster() {
    let site = Site::new().with(&["--demo"]);
    let _server = site.start();
    site.json(&["parameters", "set", "enforce_maximum_login_time=true", "maximum_login_time=1h"]);
    let answer = site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token"]);
    assert!(answer["session"]["expireTime"].is_string());
    let refused =
        site.roamctl(&["login", "1002", "--phone", "SEP02005E005301", "--with-token", "--for", "2h"]);
    assert!(crate::process::errors(&refused).contains("DURATION_TOO_LONG"), "SP-20: never for more");
}

/// SP-10, SP-21: the times are set while the session is live, and the next minute is waited for.
#[tokio::test]
async fn lo_7_and_sp_10_everybody_is_logged_out_at_a_daily_time_in_the_clusters_zone() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let mut sessions = as_administrator(&site, &server).await;
    let mut watch = sessions.watch_sessions(WatchSessionsRequest::default()).await.unwrap().into_inner();
    site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token", "--for", "4h"]);
    let began = live(&mut sessions).await[0].login_time.unwrap().seconds;
    // The next full minute that is far enough away to be heard of, in a zone that is 5:45 hours ahead all year.
    let at = (began + 20).div_euclid(60) * 60 + 60;
    let minutes = (at + 5 * 3600 + 45 * 60).rem_euclid(86_400) / 60;
    let time = format!("daily_logout_times={:02}:{:02}", minutes / 60, minutes % 60);
    site.json(&["parameters", "set", &time, "time_zone=Asia/Kathmandu"]);
    let ended = loop {
        let message = timeout(Duration::from_secs(81) + WITHIN, watch.message()).await.expect("in time");
        if let Some(Message::LoggedOut(ended)) = message.unwrap().unwrap().message {
            break ended;
        }
    };
    assert_eq!(ended.reason(), LogoutReason::TimeOfDay);
    assert_eq!(ended.session.as_ref().unwrap().next_logout_time.unwrap().seconds, at);
    let late = lateness(&ended);
    eprintln!("daily logout {late:.3} s after its instant; LO-5 allows 2 s");
    assert!((0.0..20.0).contains(&late), "{late}");
    assert!(live(&mut sessions).await.is_empty());
}

/// DP-14.
#[tokio::test]
async fn lo_6_the_idle_limit_of_the_profile_bounds_the_session() {
    let site = Site::new();
    let server = site.start();
    let administrator = administrator(&site, &server).await;
    furnish(&server, &administrator, 1).await;
    let profile = format!(
        "kind: UserDeviceProfile\nname: {}\nsettings:\n  idleLimit: 600s\n  lines:\n  - lines: ['2000']\n",
        user(0)
    );
    let file = site.home().join("idle.yaml");
    std::fs::write(&file, profile).unwrap();
    site.json(&["apply", "-f", file.to_str().unwrap()]);
    let mut sessions = sessions(&server, &administrator);
    sessions.login(login(&user(0), &phone_name(0))).await.unwrap();
    let session = live(&mut sessions).await.remove(0);
    assert_eq!(session.next_logout_reason(), LogoutReason::Idle);
    let idle_for = session.next_logout_time.unwrap().seconds - session.login_time.unwrap().seconds;
    assert_eq!((idle_for, session.expire_time), (600, None));
}
