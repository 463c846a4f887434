//! Automatic logouts: after the idle limit, at daily times, and during calls (LO-4 to LO-7, SP-10).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::parameters::{OccupiedPhone, ServiceParameters};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{self as wire, HookState, LogoutReason};
use tokio::sync::Semaphore;

use crate::harness::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Everybody is logged out at these times.
fn daily(times: &[&str], zone: &str) -> ServiceParameters {
    ServiceParameters {
        daily_logout_times: times.iter().map(|time| time.parse().unwrap()).collect(),
        time_zone: zone.into(),
        ..Default::default()
    }
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the only session ends by itself, and why.
async fn next_logout(cluster: &Cluster) -> Option<(Timestamp, LogoutReason)> {
    let sessions = cluster.sessions().await;
    assert_eq!(sessions.len(), 1);
    let session = sessions.first().unwrap();
    let at = session.next_logout_time.as_ref()?;
    Some((Timestamp::new(at.seconds, at.nanos).unwrap(), session.next_logout_reason()))
}

/// A cluster with a session of agent7 on a phone that is linked.
async fn with_session(change: impl FnOnce(&mut Script), seconds: Option<i64>) -> Cluster {
    let cluster = cluster().await;
    cluster.say(change);
    cluster.phones().watch_phone(wire::WatchPhoneRequest { phone: PHONE.into() }).await.unwrap();
    let duration = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let request = wire::LoginRequest { duration, ..by_token("agent7", PHONE) };
    cluster.administrator().login(request).await.unwrap();
    cluster
}

async fn hook(cluster: &Cluster, state: HookState) {
    let report =
        wire::ReportPhoneRequest { phone: PHONE.into(), hook_state: state.into(), ..Default::default() };
    cluster.phones().report_phone(report).await.unwrap();
}

/// The reasons of all logouts that a watch was told of, up to the login of agent9 on another phone.
async fn logouts(
    cluster: &Cluster,
    watching: &mut tonic::Streaming<wire::WatchSessionsResponse>,
) -> Vec<LogoutReason> {
    cluster.administrator().login(by_token("agent9", OTHER)).await.unwrap();
    let mut found = Vec::new();
    loop {
        match next(watching).await.unwrap().unwrap().message {
            Some(Message::LoggedOut(ended)) => found.push(ended.reason()),
            Some(Message::LoggedIn(session)) if session.user_id == "agent9" => return found,
            _ => {}
        }
    }
}

#[tokio::test]
async fn lo_7_and_sp_10_a_session_ends_at_a_daily_time_once_whatever_the_number_of_replicas() {
    let one = with_session(|script| script.policy = daily(&["18:00", "06:00"], "Europe/Berlin"), None).await;
    let two = replica(one.store.clone(), one.script.clone(), one.clock.clone(), one.hand.clone()).await;
    let evening = utc("2026-03-02T17:00:00Z");
    assert_eq!(next_logout(&one).await, Some((evening, LogoutReason::TimeOfDay)));
    let mut watching = watch(&mut one.administrator(), "").await;
    one.hand.set(evening - Duration::from_millis(1));
    assert_eq!(one.session.sweep_once().await + two.session.sweep_once().await, 0, "not before its time");
    assert_eq!(one.sessions().await.len(), 1);
    one.hand.set(evening);
    let (a, b) = tokio::join!(one.session.sweep_once(), two.session.sweep_once());
    assert!(a + b <= 1, "the background sweep may have been first; nobody is second");
    assert_eq!(logouts(&one, &mut watching).await, [LogoutReason::TimeOfDay]);
    let tomorrow = utc("2026-03-03T05:00:00Z");
    assert_eq!(next_logout(&one).await, Some((tomorrow, LogoutReason::TimeOfDay)), "agent9's");
}

#[tokio::test]
async fn sp_21_a_change_of_the_daily_times_or_the_zone_holds_for_sessions_that_are_live() {
    let cluster = with_session(|_| {}, None).await;
    assert_eq!(next_logout(&cluster).await, None);
    let cases = [
        (daily(&["10:00"], "UTC"), Some("2026-03-02T10:00:00Z")),
        (daily(&["10:00"], "Europe/Berlin"), Some("2026-03-02T09:00:00Z")),
        // It has passed today: that makes nobody due.
        (daily(&["07:00"], "UTC"), Some("2026-03-03T07:00:00Z")),
        (daily(&["24:00", "23:00", "22:00"], "UTC"), Some("2026-03-02T22:00:00Z")),
        (daily(&[], "UTC"), None),
    ];
    for (policy, expected) in cases {
        cluster.say(|script| script.policy = policy);
        cluster.heard().await;
        assert_eq!(cluster.session.sweep_once().await, 0);
        let expected = expected.map(|at| (utc(at), LogoutReason::TimeOfDay));
        assert_eq!(next_logout(&cluster).await, expected);
    }
}

#[tokio::test]
async fn sp_21_a_daily_time_that_was_abolished_at_the_last_moment_ends_nobodys_session() {
    let cluster = with_session(|script| script.policy = daily(&["18:00"], "UTC"), None).await;
    cluster.session.sweep_once().await;
    cluster.say(|script| {
        script.policy = daily(&["19:00"], "UTC");
        script.silent = true;
    });
    cluster.hand.set(utc("2026-03-02T18:00:00Z"));
    assert_eq!(cluster.session.sweep_once().await, 0, "the directory is asked at the logout itself");
    let evening = utc("2026-03-02T19:00:00Z");
    assert_eq!(next_logout(&cluster).await, Some((evening, LogoutReason::TimeOfDay)));
}

#[tokio::test]
async fn sp_21_a_login_that_is_in_work_while_the_daily_times_change_ends_at_the_new_ones() {
    let cluster = cluster().await;
    let gate = Arc::new(Semaphore::new(0));
    cluster.say(|script| {
        script.policy = daily(&["18:00"], "UTC");
        script.gate = Some(Arc::clone(&gate));
    });
    cluster.heard().await;
    let mut stranger = cluster.stranger();
    let ((), answer) = tokio::join!(
        async {
            cluster.verifying(1).await;
            cluster.say(|script| script.policy = daily(&["12:00"], "UTC"));
            cluster.heard().await;
            cluster.session.sweep_once().await;
            gate.add_permits(1);
        },
        stranger.login(login("agent7", PHONE)),
    );
    answer.unwrap();
    let noon = utc("2026-03-02T12:00:00Z");
    assert_eq!(next_logout(&cluster).await, Some((noon, LogoutReason::TimeOfDay)));
}

/// LO-6, LO-7.
#[tokio::test]
async fn lo_5_what_was_due_while_the_cluster_was_down_is_done_at_its_start() {
    let late = [
        (daily(&["18:00"], "UTC"), None, LogoutReason::TimeOfDay),
        (daily(&[], "UTC"), Some(10 * MINUTE), LogoutReason::Idle),
        (daily(&["18:00"], "UTC"), Some(10 * MINUTE), LogoutReason::Idle),
    ];
    for (policy, idle_limit, reason) in late {
        let change = |script: &mut Script| {
            script.policy = policy;
            script.idle_limit = idle_limit;
        };
        let mut before = with_session(change, None).await;
        let mut watching = watch(&mut before.administrator(), "").await;
        before.stop.take().unwrap().send(()).unwrap();
        while let Some(Ok(_)) = next(&mut watching).await {}
        before.hand.set(utc("2026-03-03T07:00:00Z"));
        let after =
            replica(before.store.clone(), before.script.clone(), before.clock.clone(), before.hand.clone())
                .await;
        let mut watching = watch(&mut after.administrator(), "begin-0").await;
        after.session.sweep_once().await;
        assert_eq!(logouts(&after, &mut watching).await, [reason]);
        assert_eq!(after.sessions().await.len(), 1, "agent9 came later");
    }
}

#[tokio::test]
async fn lo_6_the_idle_clock_stands_during_calls_and_begins_anew_after_them() {
    let cluster = with_session(|script| script.idle_limit = Some(10 * MINUTE), None).await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    let began = cluster.now();
    assert_eq!(next_logout(&cluster).await, Some((began + 10 * MINUTE, LogoutReason::Idle)));
    cluster.hand.advance(9 * MINUTE);
    hook(&cluster, HookState::OffHook).await;
    assert_eq!(next_logout(&cluster).await, None, "nobody is idle with the handset up");
    cluster.hand.advance(120 * MINUTE);
    assert_eq!(cluster.session.sweep_once().await, 0);
    hook(&cluster, HookState::OnHook).await;
    cluster.hand.advance(10 * MINUTE - Duration::from_secs(1));
    assert_eq!(cluster.session.sweep_once().await, 0);
    assert_eq!(cluster.sessions().await.len(), 1);
    cluster.hand.advance(Duration::from_secs(1));
    cluster.session.sweep_once().await;
    assert_eq!(logouts(&cluster, &mut watching).await, [LogoutReason::Idle]);
}

#[tokio::test]
async fn lo_4_a_logout_during_a_call_waits_until_the_handset_is_down() {
    let policy = ServiceParameters { occupied_phone: OccupiedPhone::Always, ..Default::default() };
    let cluster = with_session(|script| script.policy = policy, Some(60)).await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    hook(&cluster, HookState::OffHook).await;
    cluster.hand.advance(MINUTE);
    assert_eq!(cluster.session.sweep_once().await, 0);
    assert_eq!(cluster.session.sweep_once().await, 0);
    assert!(cluster.sessions().await[0].logout_pending);
    let told = metadata(cluster.administrator().login(by_token("agent8", PHONE)).await);
    assert_eq!((told["userId"].as_str(), told["logout"].as_str()), ("agent7", "pending"));
    let refused = cluster.administrator().login(by_token("agent8", PHONE)).await;
    assert_eq!(reason(refused), ErrorReason::PhoneOccupied);

    cluster.hand.advance(MINUTE);
    hook(&cluster, HookState::OnHook).await;
    assert!(cluster.sessions().await.is_empty(), "at once");
    let mut told = Vec::new();
    while told.len() < 2 {
        let message = next(&mut watching).await.unwrap().unwrap();
        match message.message {
            Some(Message::LogoutPending(session)) => told.push((session.user_id, LogoutReason::Unspecified)),
            Some(Message::LoggedOut(ended)) => {
                let reason = ended.reason();
                told.push((ended.session.unwrap().user_id, reason));
            }
            _ => {}
        }
    }
    let agent7 = String::from("agent7");
    assert_eq!(told, [(agent7.clone(), LogoutReason::Unspecified), (agent7, LogoutReason::MaximumTime)]);
    assert!(logouts(&cluster, &mut watching).await.is_empty(), "each is told once");
    cluster.administrator().login(by_token("agent8", PHONE)).await.unwrap();
}

#[tokio::test]
async fn lo_4_a_call_that_does_not_end_puts_a_logout_off_for_four_hours_at_most() {
    let cluster = with_session(|script| script.policy = daily(&["09:00"], "UTC"), None).await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    hook(&cluster, HookState::OffHook).await;
    cluster.hand.set(utc("2026-03-02T09:00:00Z"));
    cluster.session.sweep_once().await;
    // What was put off stays so, whatever becomes of the daily times.
    cluster.say(|script| script.policy = daily(&[], "UTC"));
    cluster.heard().await;
    cluster.hand.set(utc("2026-03-02T12:59:59Z"));
    assert_eq!(cluster.session.sweep_once().await, 0);
    let end = utc("2026-03-02T13:00:00Z");
    assert_eq!(next_logout(&cluster).await, Some((end, LogoutReason::TimeOfDay)));
    cluster.hand.set(end);
    cluster.session.sweep_once().await;
    assert_eq!(logouts(&cluster, &mut watching).await, [LogoutReason::TimeOfDay]);
}

#[tokio::test]
async fn lo_4_the_same_user_logs_in_again_while_his_logout_waits() {
    let cluster = with_session(|_| {}, Some(60)).await;
    hook(&cluster, HookState::OffHook).await;
    cluster.hand.advance(MINUTE);
    cluster.session.sweep_once().await;
    assert!(cluster.sessions().await[0].logout_pending);
    let again = cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap().into_inner();
    assert_eq!(again.ended_sessions[0].reason(), LogoutReason::User);
    hook(&cluster, HookState::OnHook).await;
    let sessions = cluster.sessions().await;
    assert_eq!(sessions.len(), 1);
    assert!(!sessions[0].logout_pending);
}

/// More calls than a sweep looks at in one go do not keep it from those that are idle.
#[tokio::test]
async fn lo_4_logouts_that_wait_hold_up_no_others() {
    let cluster = cluster().await;
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    for n in 0..120 {
        let (user, phone) = (format!("busy{n}"), format!("SEP0300000000{n:02X}"));
        cluster.phones().watch_phone(wire::WatchPhoneRequest { phone: phone.clone() }).await.unwrap();
        let request = wire::LoginRequest { duration: seconds(60), ..by_token(&user, &phone) };
        cluster.administrator().login(request).await.unwrap();
        let report =
            wire::ReportPhoneRequest { phone, hook_state: HookState::OffHook.into(), ..Default::default() };
        cluster.phones().report_phone(report).await.unwrap();
    }
    let request = wire::LoginRequest { duration: seconds(90), ..by_token("agent7", PHONE) };
    cluster.administrator().login(request).await.unwrap();
    cluster.hand.advance(2 * MINUTE);
    cluster.session.sweep_once().await;
    let sessions = cluster.sessions().await;
    assert!(sessions.iter().all(|session| session.phone != PHONE), "nobody waits for a call of others");
}
