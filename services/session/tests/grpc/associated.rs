//! Applications that are associated with profiles follow the sessions in which these are worn, and control their phones
//! without having them themselves (EV-4).

use std::sync::Arc;
use std::time::Duration;

use crate::harness::*;
use crate::watches::{news, told};
use roamline_domain::parameters::{AgentStateGuard, MultipleLogin, ServiceParameters};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::session as wire;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{LogoutReason, refresh_session_request};
use roamline_serve::Clock;
use roamline_session::{SessionConfig, Stores};
use roamline_store::memory::MemoryStore;

const THIRD: &str = "SEP020000000003";

/// `recorder` is associated with the profiles of `agent7` and `agent9`, `dialler` with that of `agent8`; `agent7` and
/// `agent8` are logged in.
async fn site() -> Cluster {
    let cluster = cluster().await;
    cluster.say(|script| {
        script.associated = Some(vec![("recorder", "agent7"), ("recorder", "agent9"), ("dialler", "agent8")]);
    });
    for (user, phone) in [("agent7", PHONE), ("agent8", OTHER)] {
        cluster.administrator().login(by_token(user, phone)).await.unwrap();
    }
    cluster
}

async fn listed(client: &mut Sessions, request: wire::ListSessionsRequest) -> Vec<String> {
    let answer = client.list_sessions(request).await.unwrap().into_inner();
    answer.sessions.into_iter().map(|session| session.user_id).collect()
}

fn wearing(profile: &str) -> wire::ListSessionsRequest {
    wire::ListSessionsRequest { profile: profile.into(), ..Default::default() }
}

fn get(phone: &str) -> wire::GetSessionRequest {
    wire::GetSessionRequest { target: Some(wire::get_session_request::Target::Phone(phone.into())) }
}

fn refresh(phone: &str) -> wire::RefreshSessionRequest {
    wire::RefreshSessionRequest { target: Some(refresh_session_request::Target::Phone(phone.into())) }
}

fn talking(user_id: &str) -> wire::ReportAgentStateRequest {
    wire::ReportAgentStateRequest { user_id: user_id.into(), agent_state: wire::AgentState::Talking.into() }
}

#[tokio::test]
async fn ev_4_an_application_is_told_where_its_profiles_are_worn_and_of_no_others() {
    let cluster = site().await;
    let mut recorder = cluster.cti("recorder");
    assert_eq!(listed(&mut recorder, Default::default()).await, ["agent7"]);
    assert_eq!(listed(&mut recorder, wearing("agent7")).await, ["agent7"]);
    assert!(listed(&mut recorder, wearing("agent8")).await.is_empty(), "not there for it");
    let of_user = wire::ListSessionsRequest { user_id: "agent8".into(), ..Default::default() };
    assert!(listed(&mut recorder, of_user).await.is_empty());
    recorder.get_session(get(PHONE)).await.unwrap();
    assert_eq!(reason(recorder.get_session(get(OTHER)).await), ErrorReason::NotLoggedIn);
    cluster.administrator().login(by_token("agent9", THIRD)).await.unwrap();
    assert_eq!(listed(&mut recorder, Default::default()).await, ["agent7", "agent9"]);
    cluster.administrator().logout(logout(PHONE)).await.unwrap();
    assert_eq!(reason(recorder.get_session(get(PHONE)).await), ErrorReason::NotLoggedIn);
}

#[tokio::test]
async fn ev_4_an_application_follows_a_profile_from_phone_to_phone() {
    let cluster = site().await;
    let profile = wire::WatchSessionsRequest { profile: "agent7".into(), ..Default::default() };
    let mut all = watch(&mut cluster.cti("recorder"), "").await;
    let mut one = cluster.cti("recorder").watch_sessions(profile.clone()).await.unwrap().into_inner();
    let mut none = cluster.cti("dialler").watch_sessions(profile).await.unwrap().into_inner();
    for watching in [&mut all, &mut one] {
        assert!(matches!(told(watching).await.0, Message::Snapshot(session) if session.user_id == "agent7"));
        assert!(matches!(told(watching).await.0, Message::SnapshotDone(_)));
    }
    assert!(matches!(told(&mut none).await.0, Message::SnapshotDone(_)));
    let mut admin = cluster.administrator();
    admin.logout(logout(OTHER)).await.unwrap();
    admin.login(by_token("agent8", OTHER)).await.unwrap();
    admin.logout(logout(PHONE)).await.unwrap();
    admin.login(by_token("agent7", THIRD)).await.unwrap();
    for watching in [&mut all, &mut one] {
        let (Message::LoggedOut(out), _) = told(watching).await else { panic!("no logout") };
        assert_eq!(out.session.unwrap().phone, PHONE);
        assert!(matches!(told(watching).await.0, Message::LoggedIn(session) if session.phone == THIRD));
    }
    admin.login(by_token("agent9", "SEP020000000009")).await.unwrap();
    assert!(matches!(told(&mut all).await.0, Message::LoggedIn(session) if session.user_id == "agent9"));
}

#[tokio::test]
async fn ev_4_an_application_is_told_of_a_profile_from_when_it_is_associated_on() {
    let cluster = site().await;
    let mut watching = watch(&mut cluster.cti("wallboard"), "").await;
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    cluster.say(|script| script.associated.as_mut().unwrap().push(("wallboard", "agent9")));
    cluster.administrator().login(by_token("agent9", THIRD)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(session) if session.user_id == "agent9"));
    assert_eq!(listed(&mut cluster.cti("wallboard"), Default::default()).await, ["agent9"]);
}

#[tokio::test]
async fn ev_4_an_open_watch_is_told_where_a_profile_is_worn_when_it_is_associated_and_when_it_is_not_any_more()
 {
    let config = SessionConfig { heartbeat_every: Duration::from_secs(1), ..Default::default() };
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let store = Arc::new(MemoryStore::new());
    let stores = Stores { sessions: store.clone(), audit: store };
    let cluster = replica_over(stores, config, Scripted::default(), clock, hand).await;
    cluster.say(|script| script.associated = Some(vec![("recorder", "agent7")]));
    for (user, phone) in [("agent7", PHONE), ("agent8", OTHER)] {
        cluster.administrator().login(by_token(user, phone)).await.unwrap();
    }
    let mut watching = watch(&mut cluster.cti("recorder"), "").await;
    assert!(matches!(news(&mut watching).await.0, Message::Snapshot(session) if session.user_id == "agent7"));
    let (Message::SnapshotDone(_), place) = news(&mut watching).await else { panic!("one alone") };
    cluster.say(|script| script.associated = Some(vec![("recorder", "agent8")]));
    let mut heard = vec![news(&mut watching).await.0, news(&mut watching).await.0];
    heard.sort_by_key(|message| matches!(message, Message::InReach(_)));
    let [Message::OutOfReach(gone), Message::InReach(come)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((gone.phone.as_str(), come.phone.as_str()), (PHONE, OTHER));
    assert_eq!(come.user_id, "agent8");
    // Neither is told again, and of the one that is out of reach nothing is.
    let mut admin = cluster.administrator();
    admin.logout(logout(PHONE)).await.unwrap();
    admin.logout(logout(OTHER)).await.unwrap();
    let (Message::LoggedOut(out), _) = news(&mut watching).await else { panic!("no logout") };
    assert_eq!(out.session.unwrap().phone, OTHER);
    // Whoever resumes is told what he reaches now, whatever he knew.
    admin.login(by_token("agent8", THIRD)).await.unwrap();
    let mut resumed = watch(&mut cluster.cti("recorder"), &place).await;
    let mut phones = Vec::new();
    while phones.last().is_none_or(|phone| phone != THIRD) {
        match news(&mut resumed).await.0 {
            Message::LoggedIn(session) | Message::InReach(session) => phones.push(session.phone),
            Message::LoggedOut(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn ev_4_an_application_controls_the_phones_where_its_profiles_are_worn_and_no_others() {
    let cluster = site().await;
    let mut recorder = cluster.cti("recorder");
    for (phone, user) in [(OTHER, "agent8"), (THIRD, "nobody")] {
        let expected = if phone == OTHER { ErrorReason::ScopeMissing } else { ErrorReason::NotLoggedIn };
        assert_eq!(reason(recorder.logout(logout(phone)).await), expected);
        assert_eq!(reason(recorder.refresh_session(refresh(phone)).await), expected);
        let reported = recorder.report_agent_state(talking(user)).await;
        assert_eq!(reason(reported), ErrorReason::SessionNotFound, "it is not there for it");
    }
    assert_eq!(cluster.sessions().await.iter().filter(|live| live.agent_state != 0).count(), 0);
    let reported = recorder.report_agent_state(talking("agent7")).await.unwrap().into_inner();
    assert_eq!(reported.sessions.len(), 1);
    cluster.say(|script| script.worn = Some("changed"));
    assert!(recorder.refresh_session(refresh(PHONE)).await.unwrap().into_inner().changed);
    let ended = recorder.logout(logout(PHONE)).await.unwrap().into_inner().ended_session.unwrap();
    assert_eq!((ended.reason(), ended.actor.unwrap().name.as_str()), (LogoutReason::Application, "recorder"));
    assert_eq!(reason(recorder.logout(logout(PHONE)).await), ErrorReason::NotLoggedIn);
    cluster.administrator().login(by_token("agent6", PHONE)).await.unwrap();
    assert_eq!(reason(recorder.logout(logout(PHONE)).await), ErrorReason::ScopeMissing, "the right is gone");
}

#[tokio::test]
async fn ev_4_what_is_reported_of_an_agent_is_noted_where_the_application_is_associated_alone() {
    let cluster = site().await;
    cluster.say(|script| {
        script.policy =
            ServiceParameters { multiple_login: MultipleLogin::Allowed, ..ServiceParameters::default() };
    });
    let support = wire::LoginRequest { profile: "support".into(), ..by_token("agent7", THIRD) };
    cluster.administrator().login(support).await.unwrap();
    let reported = cluster.cti("recorder").report_agent_state(talking("agent7")).await.unwrap().into_inner();
    assert_eq!(reported.sessions.iter().map(|live| live.phone.as_str()).collect::<Vec<_>>(), [PHONE]);
    let noted = cluster.sessions().await.into_iter().filter(|live| live.agent_state != 0);
    assert_eq!(noted.map(|live| live.phone).collect::<Vec<_>>(), [PHONE]);
}

#[tokio::test]
async fn cc_9_an_associated_application_forces_no_logout_of_an_agent_at_work() {
    let cluster = site().await;
    cluster.say(|script| {
        script.policy = ServiceParameters { agent_state_guard: AgentStateGuard::Block, ..Default::default() };
    });
    let mut recorder = cluster.cti("recorder");
    recorder.report_agent_state(talking("agent7")).await.unwrap();
    assert_eq!(reason(recorder.logout(logout(PHONE)).await), ErrorReason::AgentBusy);
    let forced = wire::LogoutRequest { force: true, note: "fire drill".into(), ..logout(PHONE) };
    assert_eq!(metadata(recorder.logout(forced).await)["scope"], "session.manage");
}

#[tokio::test]
async fn ev_4_the_right_is_an_applications_and_gives_no_more_than_it_says() {
    let cluster = site().await;
    cluster.say(|script| script.associated.as_mut().unwrap().push(("agent8", "agent7")));
    for kind in [PrincipalKind::User, PrincipalKind::Administrator, PrincipalKind::PhoneLink] {
        let mut other = cluster.with_scopes("recorder", kind, &["session.associated"]);
        assert_eq!(reason(other.get_session(get(PHONE)).await), ErrorReason::NotLoggedIn, "{kind:?}");
        assert_eq!(reason(other.logout(logout(PHONE)).await), ErrorReason::ScopeMissing, "{kind:?}");
    }
    let mut recorder = cluster.cti("recorder");
    assert_eq!(metadata(recorder.login(by_token("agent9", THIRD)).await)["scope"], "session.proxy");
    let all = recorder.logout_all(wire::LogoutAllRequest::default()).await;
    assert_eq!(metadata(all)["scope"], "session.manage");
    let located = recorder.locate_number(wire::LocateNumberRequest { line: "2101".into() }).await;
    assert_eq!(metadata(located)["scope"], "session.read");
    assert_eq!(cluster.sessions().await.len(), 2);
}

#[tokio::test]
async fn ev_4_without_the_directory_an_application_reaches_nothing_that_it_did_not_just_now() {
    let cluster = site().await;
    cluster.say(|script| script.associated = None);
    let mut recorder = cluster.cti("recorder");
    assert_eq!(reason(recorder.logout(logout(PHONE)).await), ErrorReason::ServiceUnavailable);
    assert_eq!(reason(recorder.get_session(get(PHONE)).await), ErrorReason::ServiceUnavailable);
    let all = recorder.list_sessions(wire::ListSessionsRequest::default()).await;
    assert_eq!(reason(all), ErrorReason::ServiceUnavailable);
    assert_eq!(cluster.sessions().await.len(), 2);
}
