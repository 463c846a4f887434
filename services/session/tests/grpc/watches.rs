//! Watches and the phone link over gRPC.

use std::time::Duration;

use crate::harness::*;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::SessionState;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_store::{Keep, Sequence, SessionStore};
use tonic::Code;

pub(crate) async fn told(stream: &mut tonic::Streaming<wire::WatchSessionsResponse>) -> (Message, String) {
    let message = next(stream).await.expect("the watch goes on").expect("no refusal");
    (message.message.expect("a message"), message.resume_token)
}

/// The next message that is no heartbeat, with its token.
pub(crate) async fn news(stream: &mut tonic::Streaming<wire::WatchSessionsResponse>) -> (Message, String) {
    loop {
        match told(stream).await {
            (Message::Heartbeat(_), _) => {}
            news => return news,
        }
    }
}

#[tokio::test]
async fn ev_2_a_watch_gives_a_snapshot_and_then_what_happens_in_order() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let mut watching = watch(&mut cluster.administrator(), "").await;
    let (first, token) = told(&mut watching).await;
    assert!(matches!(first, Message::Snapshot(session) if session.user_id == "agent7"));
    assert_eq!(token, "", "a snapshot cannot be resumed half-way");
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    cluster.administrator().logout(logout(PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(session) if session.user_id == "agent8"));
    assert!(matches!(told(&mut watching).await.0, Message::LoggedOut(_)));
}

#[tokio::test]
async fn ev_2_a_watch_that_resumes_misses_nothing_and_repeats_nothing() {
    let cluster = cluster().await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    let (_, mut token) = told(&mut watching).await;
    drop(watching);
    for n in 0..20 {
        let phone = format!("SEP0300000000{n:02}");
        cluster.administrator().login(by_token(&format!("user{n}"), &phone)).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let mut watching = watch(&mut cluster.administrator(), &token).await;
        for _ in 0..3.min(20 - seen.len()) {
            let (message, next) = told(&mut watching).await;
            let Message::LoggedIn(session) = message else { panic!("no login: {message:?}") };
            seen.push(session.user_id);
            token = next;
        }
    }
    let expected: Vec<_> = (0..20).map(|n| format!("user{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn ev_2_a_token_that_is_too_old_or_made_up_is_told_so() {
    let cluster = cluster().await;
    for user in ["agent1", "agent2", "agent3"] {
        cluster
            .administrator()
            .login(wire::LoginRequest { take_over: true, ..by_token(user, PHONE) })
            .await
            .unwrap();
    }
    let keep = Keep { since: cluster.now() + Duration::from_secs(1), after: Sequence::MAX };
    cluster.store.trim(cluster.now(), keep).await.unwrap();
    let mut admin = cluster.administrator();
    for (token, expected) in [
        ("begin-0", ErrorReason::ResumeTokenTooOld),
        ("begin-1", ErrorReason::ResumeTokenTooOld),
        ("after-999999-0123456789abcdef", ErrorReason::ResumeTokenTooOld),
        ("after-5-0123456789abcdef", ErrorReason::ResumeTokenTooOld),
        ("after-0-0123456789abcdef", ErrorReason::ResumeTokenTooOld),
        ("after-5-0123456789ABCDEF", ErrorReason::ResumeTokenInvalid),
        ("after-5-+123456789abcdef", ErrorReason::ResumeTokenInvalid),
        ("after-05-0123456789abcdef", ErrorReason::ResumeTokenInvalid),
        ("after-5", ErrorReason::ResumeTokenInvalid),
        ("yesterday", ErrorReason::ResumeTokenInvalid),
    ] {
        let request = wire::WatchSessionsRequest { resume_token: token.into(), ..Default::default() };
        let status = admin.watch_sessions(request).await.unwrap_err();
        assert_eq!(Refusal::from_status(&status).unwrap().reason, expected, "{token}");
    }
}

#[tokio::test]
async fn ev_2_an_agent_follows_his_own_sessions_only() {
    let cluster = cluster().await;
    let mut watching = watch(&mut cluster.agent("agent7"), "").await;
    told(&mut watching).await;
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(session) if session.user_id == "agent7"));
}

#[tokio::test]
async fn a_stopping_server_tells_its_streams_and_ends() {
    let mut cluster = cluster().await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    told(&mut watching).await;
    cluster.stop.take().unwrap().send(()).unwrap();
    let status = next(&mut watching).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(Refusal::from_status(&status).unwrap().reason, ErrorReason::ServiceUnavailable);
}

async fn link(cluster: &Cluster, phone: &str) -> tonic::Streaming<wire::WatchPhoneResponse> {
    cluster.phones().watch_phone(wire::WatchPhoneRequest { phone: phone.into() }).await.unwrap().into_inner()
}

async fn update(link: &mut tonic::Streaming<wire::WatchPhoneResponse>) -> wire::PhoneUpdate {
    match next(link).await.unwrap().unwrap().message.unwrap() {
        wire::watch_phone_response::Message::Update(update) => update,
        wire::watch_phone_response::Message::Heartbeat(_) => panic!("a heartbeat instead of an update"),
    }
}

async fn acknowledge(cluster: &Cluster, generation: u64) -> Result<u64, tonic::Status> {
    let request = wire::AcknowledgePhoneRequest { phone: PHONE.into(), generation };
    Ok(cluster.phones().acknowledge_phone(request).await?.into_inner().generation)
}

#[tokio::test]
async fn ev_3_a_phone_follows_what_it_shall_be_and_its_session_becomes_active_when_it_says_so() {
    let cluster = cluster().await;
    let mut phone = link(&cluster, PHONE).await;
    let idle = update(&mut phone).await;
    assert_eq!(idle.configuration.unwrap().worn_name, "logout profile 1");
    assert!(idle.session.is_none());
    acknowledge(&cluster, idle.generation).await.unwrap();

    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let worn = update(&mut phone).await;
    assert_eq!(worn.generation, idle.generation + 1);
    assert_eq!(worn.session.unwrap().user_id, "agent7");
    assert!(worn.actions.unwrap().restart);
    assert_eq!(cluster.sessions().await[0].state(), SessionState::Pending);
    acknowledge(&cluster, worn.generation).await.unwrap();
    assert_eq!(cluster.sessions().await[0].state(), SessionState::Active);

    let again = update(&mut link(&cluster, PHONE).await).await;
    assert_eq!(again.generation, worn.generation, "a phone that reconnects is told its present state");
    assert!(!again.actions.unwrap().restart, "what is acknowledged is not asked for again");
}

#[tokio::test]
async fn ev_3_what_was_to_be_done_adds_up_until_it_is_acknowledged() {
    let cluster = cluster().await;
    let idle = update(&mut link(&cluster, PHONE).await).await;
    acknowledge(&cluster, idle.generation).await.unwrap();
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    cluster.administrator().logout(logout(PHONE)).await.unwrap();
    cluster.administrator().login(by_token("agent8", PHONE)).await.unwrap();
    let update = update(&mut link(&cluster, PHONE).await).await;
    assert_eq!(update.session.unwrap().user_id, "agent8");
    let actions = update.actions.unwrap();
    assert!(actions.clear_call_history && actions.cancel_call_back, "agent7's logout is not forgotten");
}

#[tokio::test]
async fn a_generation_that_was_never_given_is_refused_and_an_old_one_changes_nothing() {
    let cluster = cluster().await;
    let idle = update(&mut link(&cluster, PHONE).await).await;
    acknowledge(&cluster, idle.generation).await.unwrap();
    assert_eq!(acknowledge(&cluster, 0).await.unwrap(), idle.generation);
    assert_eq!(reason(acknowledge(&cluster, idle.generation + 1).await), ErrorReason::GenerationUnknown);
}

#[tokio::test]
async fn an_idle_phone_gets_the_logout_profile_that_the_directory_has_now() {
    let cluster = cluster().await;
    let first = update(&mut link(&cluster, PHONE).await).await;
    cluster.say(|script| script.logout_name = "logout profile 2");
    let second = update(&mut link(&cluster, PHONE).await).await;
    assert_eq!(second.configuration.unwrap().worn_name, "logout profile 2");
    assert_eq!(second.generation, first.generation + 1);
}

#[tokio::test]
async fn a_phone_the_directory_does_not_know_is_refused() {
    let cluster = cluster().await;
    cluster.say(|script| script.logout = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    let request = wire::WatchPhoneRequest { phone: PHONE.into() };
    let status = cluster.phones().watch_phone(request).await.unwrap_err();
    assert_eq!(Refusal::from_status(&status).unwrap().reason, ErrorReason::PhoneNotFound);
}

#[tokio::test]
async fn a_phone_says_where_its_handset_is() {
    let cluster = cluster().await;
    update(&mut link(&cluster, PHONE).await).await;
    let report = |hook_state: wire::HookState| wire::ReportPhoneRequest {
        phone: PHONE.into(),
        hook_state: hook_state.into(),
        ..Default::default()
    };
    cluster.phones().report_phone(report(wire::HookState::OffHook)).await.unwrap();
    let state = cluster.store.phone(&PHONE.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(state.hook, roamline_domain::phone_state::HookState::OffHook);
    let refused = cluster.phones().report_phone(report(wire::HookState::Unspecified)).await;
    assert_eq!(reason(refused), ErrorReason::InvalidRequest);
}
