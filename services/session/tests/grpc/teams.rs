//! Supervisors: they see and end the sessions of their teams, and nobody else's.

use std::collections::BTreeMap;

use crate::harness::*;
use crate::watches::told;
use roamline_domain::parameters::{AgentStateGuard, ServiceParameters};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::session as wire;
use roamline_proto::session::LogoutReason;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_session::Teams;

const THIRD: &str = "SEP020000000003";

fn teams(of: &[&str], supervised: &[&str]) -> Teams {
    let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    Teams { of: named(of), supervised: named(supervised) }
}

/// `agent7` is in the team of `boss`, `agent8` in another; both are logged in, and so is `boss`.
async fn site() -> Cluster {
    let cluster = cluster().await;
    cluster.say(|script| {
        script.teams = Some(BTreeMap::from([
            ("agent7", teams(&["Sales", "Evening"], &[])),
            ("agent8", teams(&["Support"], &[])),
            ("boss", teams(&["Leads"], &["Sales"])),
        ]));
    });
    for (user, phone) in [("agent7", PHONE), ("agent8", OTHER), ("boss", THIRD)] {
        cluster.administrator().login(by_token(user, phone)).await.unwrap();
    }
    cluster
}

async fn listed(client: &mut Sessions, request: wire::ListSessionsRequest) -> (Vec<String>, String) {
    let answer = client.list_sessions(request).await.unwrap().into_inner();
    (answer.sessions.into_iter().map(|session| session.user_id).collect(), answer.next_page_token)
}

fn of_user(user_id: &str) -> wire::ListSessionsRequest {
    wire::ListSessionsRequest { user_id: user_id.into(), ..Default::default() }
}

fn get(phone: &str) -> wire::GetSessionRequest {
    wire::GetSessionRequest { target: Some(wire::get_session_request::Target::Phone(phone.into())) }
}

#[tokio::test]
async fn a_supervisor_sees_the_sessions_of_his_teams_and_his_own() {
    let cluster = site().await;
    let mut boss = cluster.team_supervisor("boss");
    assert_eq!(listed(&mut boss, Default::default()).await.0, ["agent7", "boss"]);
    assert_eq!(listed(&mut boss, of_user("agent7")).await.0, ["agent7"]);
    assert_eq!(listed(&mut boss, of_user("boss")).await.0, ["boss"]);
    let others = boss.list_sessions(of_user("agent8")).await;
    assert_eq!(metadata(others)["scope"], "session.read");
    boss.get_session(get(PHONE)).await.unwrap();
    assert_eq!(reason(boss.get_session(get(OTHER)).await), ErrorReason::NotLoggedIn);
    let page =
        |token: String| wire::ListSessionsRequest { page_size: 1, page_token: token, ..Default::default() };
    let (first, token) = listed(&mut boss, page(String::new())).await;
    let (second, end) = listed(&mut boss, page(token)).await;
    assert_eq!((first, second, end.as_str()), (vec!["agent7".to_owned()], vec!["boss".to_owned()], ""));
}

#[tokio::test]
async fn teams_without_the_role_of_a_supervisor_and_the_role_without_teams_reach_nobody_else() {
    let cluster = site().await;
    assert_eq!(listed(&mut cluster.agent("boss"), Default::default()).await.0, ["boss"]);
    assert_eq!(listed(&mut cluster.team_supervisor("agent8"), Default::default()).await.0, ["agent8"]);
    let refused = cluster.agent("boss").logout(logout(PHONE)).await;
    assert_eq!(metadata(refused)["scope"], "session.manage");
    let refused = cluster.agent("boss").logout_all(wire::LogoutAllRequest::default()).await;
    assert_eq!(metadata(refused)["scope"], "session.manage");
}

#[tokio::test]
async fn lo_1_a_supervisor_ends_sessions_of_his_teams_and_is_refused_others() {
    let cluster = site().await;
    let mut boss = cluster.team_supervisor("boss");
    let refused = boss.logout(logout(OTHER)).await;
    assert_eq!(metadata(refused)["scope"], "session.manage");
    let ended = boss.logout(logout(PHONE)).await.unwrap().into_inner().ended_session.unwrap();
    assert_eq!(ended.reason(), LogoutReason::Supervisor);
    assert_eq!(ended.actor.unwrap().name, "boss");
    let own = boss.logout(logout(THIRD)).await.unwrap().into_inner().ended_session.unwrap();
    assert_eq!(own.reason(), LogoutReason::User);
    assert_eq!(cluster.sessions().await.len(), 1);
}

#[tokio::test]
async fn cc_9_a_supervisor_may_force_the_logout_of_a_busy_agent_of_his_team() {
    let cluster = site().await;
    cluster.say(|script| {
        script.policy = ServiceParameters { agent_state_guard: AgentStateGuard::Block, ..Default::default() };
    });
    let talking = wire::ReportAgentStateRequest {
        user_id: "agent7".into(),
        agent_state: wire::AgentState::Talking.into(),
    };
    cluster.administrator().report_agent_state(talking).await.unwrap();
    let mut boss = cluster.team_supervisor("boss");
    assert_eq!(reason(boss.logout(logout(PHONE)).await), ErrorReason::AgentBusy);
    let forced = |phone| wire::LogoutRequest { force: true, note: "fire drill".into(), ..logout(phone) };
    assert_eq!(reason(boss.logout(forced(OTHER)).await), ErrorReason::ScopeMissing);
    boss.logout(forced(PHONE)).await.unwrap();
}

#[tokio::test]
async fn lo_8_a_supervisors_logout_of_all_ends_those_of_his_teams_alone() {
    let cluster = site().await;
    let mut boss = cluster.team_supervisor("boss");
    let others = wire::LogoutAllRequest { user_id: "agent8".into(), ..Default::default() };
    assert_eq!(metadata(boss.logout_all(others).await)["scope"], "session.manage");
    let all = wire::LogoutAllRequest { sessions_per_second: 1000, ..Default::default() };
    let mut progress = boss.logout_all(all).await.unwrap().into_inner();
    let mut last = wire::LogoutAllResponse::default();
    while let Some(message) = next(&mut progress).await {
        last = message.unwrap();
    }
    assert!(last.done && (last.total, last.ended) == (2, 2), "{last:?}");
    let left = cluster.sessions().await;
    assert_eq!(left.iter().map(|session| session.user_id.as_str()).collect::<Vec<_>>(), ["agent8"]);
}

#[tokio::test]
async fn ev_2_a_supervisor_follows_his_teams_as_they_are_when_it_happens() {
    let cluster = site().await;
    let mut watching = watch(&mut cluster.team_supervisor("boss"), "").await;
    let mut snapshot = Vec::new();
    while let (Message::Snapshot(session), _) = told(&mut watching).await {
        snapshot.push(session.user_id);
    }
    assert_eq!(snapshot, ["agent7", "boss"]);
    cluster.say(|script| {
        script.teams.as_mut().unwrap().insert("agent9", teams(&["Sales"], &[]));
    });
    for (user, phone) in [("agent6", "SEP020000000006"), ("agent9", "SEP020000000009")] {
        cluster.administrator().login(by_token(user, phone)).await.unwrap();
    }
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(session) if session.user_id == "agent9"));
    for phone in [OTHER, PHONE] {
        cluster.administrator().logout(logout(phone)).await.unwrap();
    }
    let (Message::LoggedOut(out), _) = told(&mut watching).await else { panic!("no logout") };
    assert_eq!(out.session.unwrap().user_id, "agent7");
}

#[tokio::test]
async fn without_the_directory_a_supervisor_reaches_his_own_session_only() {
    let cluster = site().await;
    cluster.say(|script| script.teams = None);
    let mut boss = cluster.team_supervisor("boss");
    assert_eq!(reason(boss.logout(logout(PHONE)).await), ErrorReason::ServiceUnavailable);
    assert_eq!(
        reason(boss.list_sessions(wire::ListSessionsRequest::default()).await),
        ErrorReason::ServiceUnavailable
    );
    boss.get_session(get(THIRD)).await.unwrap();
    boss.logout(logout(THIRD)).await.unwrap();
    assert_eq!(cluster.sessions().await.len(), 2);
}

#[tokio::test]
async fn li_1_a_users_token_with_the_proxy_right_logs_nobody_else_in() {
    let cluster = cluster().await;
    let mut user = cluster.with_scopes("agent8", PrincipalKind::User, &["session.own", "session.proxy"]);
    let refused = user.login(by_token("agent7", PHONE)).await;
    assert_eq!(metadata(refused)["scope"], "session.proxy");
    user.login(by_token("agent8", PHONE)).await.unwrap();
    let mut application = cluster.with_scopes("desktop", PrincipalKind::Application, &["session.read"]);
    let refused = application.login(by_token("agent7", OTHER)).await;
    assert_eq!(metadata(refused)["scope"], "session.proxy");
}
