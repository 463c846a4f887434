//! Logins at a phone whose handset is up: pending until it is down, for a limited time (LI-8).

use std::time::Duration;

use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{self as wire, HookState, LogoutReason};
use roamline_store::SessionStore;

use crate::harness::*;

/// A cluster where agent7 has logged in at a phone whose handset is up.
async fn waiting() -> Cluster {
    let cluster = cluster().await;
    cluster.phones().watch_phone(wire::WatchPhoneRequest { phone: PHONE.into() }).await.unwrap();
    hook(&cluster, HookState::OffHook).await;
    let answer = cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap().into_inner();
    let deadline = answer.session.unwrap().apply_deadline.unwrap();
    assert_eq!(deadline.seconds, cluster.now().as_second() + 30 * 60);
    cluster
}

async fn hook(cluster: &Cluster, state: HookState) {
    let hook_state = state.into();
    let report = wire::ReportPhoneRequest { phone: PHONE.into(), hook_state, ..Default::default() };
    cluster.phones().report_phone(report).await.unwrap();
}

#[tokio::test]
async fn li_8_a_login_that_the_phone_cannot_wear_in_time_is_dropped_once_with_its_hold_on_the_phone() {
    let one = waiting().await;
    let two = replica(one.store.clone(), one.script.clone(), one.clock.clone(), one.hand.clone()).await;
    let mut watching = watch(&mut one.administrator(), "").await;
    one.hand.advance(Duration::from_secs(30 * 60 - 1));
    assert_eq!(one.session.sweep_once().await + two.session.sweep_once().await, 0);
    assert_eq!(one.sessions().await.len(), 1);
    one.hand.advance(Duration::from_secs(1));
    tokio::join!(one.session.sweep_once(), two.session.sweep_once());
    one.without_sessions().await;
    let state = one.store.phone(&PHONE.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(state.wears, configuration("logout profile 1", ""), "back in its logout wear");
    one.administrator().login(by_token("agent8", PHONE)).await.expect("nothing is in the way");
    let mut reasons = Vec::new();
    loop {
        match next(&mut watching).await.unwrap().unwrap().message {
            Some(Message::LoggedOut(ended)) => reasons.push(ended.reason()),
            Some(Message::LoggedIn(session)) if session.user_id == "agent8" => break,
            _ => {}
        }
    }
    assert_eq!(reasons, [LogoutReason::Policy]);
}

#[tokio::test]
async fn li_8_a_login_whose_phone_was_put_on_hook_in_time_stays() {
    let cluster = waiting().await;
    cluster.hand.advance(Duration::from_secs(60));
    hook(&cluster, HookState::OnHook).await;
    hook(&cluster, HookState::OffHook).await;
    cluster.hand.advance(Duration::from_secs(24 * 3600));
    assert_eq!(cluster.session.sweep_once().await, 0);
    assert!(cluster.sessions().await[0].apply_deadline.is_none());
}
