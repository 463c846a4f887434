//! Agents at work: what their desktops report, and which logouts that is in the way of (CC-9).

use roamline_domain::parameters::{AgentStateGuard, MultipleLogin, ServiceParameters};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::session::{self as wire, AgentState, LogoutReason};
use roamline_store::SessionStore;

use crate::harness::*;

fn guarded(agent_state_guard: AgentStateGuard) -> ServiceParameters {
    ServiceParameters { agent_state_guard, ..Default::default() }
}

fn report(user: &str, state: AgentState) -> wire::ReportAgentStateRequest {
    wire::ReportAgentStateRequest { user_id: user.into(), agent_state: state.into() }
}

fn forced(phone: &str, note: &str) -> wire::LogoutRequest {
    wire::LogoutRequest { force: true, note: note.into(), ..logout(phone) }
}

/// A cluster where agent7 is on a call at a phone.
async fn at_work(guard: AgentStateGuard) -> Cluster {
    let cluster = cluster().await;
    cluster.say(|script| script.policy = guarded(guard));
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let answer = cluster.agent("agent7").report_agent_state(report("", AgentState::Talking)).await.unwrap();
    let noted = answer.into_inner().sessions.first().map(wire::Session::agent_state);
    assert_eq!(noted, Some(AgentState::Talking));
    cluster
}

#[tokio::test]
async fn cc_9_the_state_is_noted_in_every_session_of_the_agent_and_nobody_else_is_told() {
    let cluster = cluster().await;
    cluster.say(|script| script.policy.multiple_login = MultipleLogin::Allowed);
    for phone in [PHONE, OTHER] {
        cluster.administrator().login(by_token("agent7", phone)).await.unwrap();
    }
    cluster.administrator().login(by_token("agent8", "SEP020000000003")).await.unwrap();
    let (epoch, events) = (cluster.epoch(PHONE).await, *cluster.store.latest().borrow());
    let mut desktop = cluster.as_("desktop", PrincipalKind::Application);
    for _ in 0..2 {
        let answer = desktop.report_agent_state(report("agent7", AgentState::WrapUp)).await.unwrap();
        assert_eq!(answer.into_inner().sessions.len(), 2);
        assert_eq!(cluster.epoch(PHONE).await, epoch + 1, "a repeat changes nothing");
    }
    assert_eq!(*cluster.store.latest().borrow(), events);
    let states: Vec<_> = cluster.sessions().await.iter().map(wire::Session::agent_state).collect();
    let expected = [AgentState::WrapUp, AgentState::WrapUp, AgentState::Unspecified];
    assert!(expected.iter().all(|state| states.contains(state)), "{states:?}");
}

#[tokio::test]
async fn cc_9_an_agent_reports_for_himself_and_only_with_a_scope_for_others() {
    let cluster = at_work(AgentStateGuard::Allow).await;
    let mut other = cluster.agent("agent8");
    let told = metadata(other.report_agent_state(report("agent7", AgentState::Ready)).await);
    assert_eq!(told["scope"], "session.manage");
    let told = metadata(other.report_agent_state(report("", AgentState::Ready)).await);
    assert_eq!(told["userId"], "agent8", "he has no session");
    let mut admin = cluster.administrator();
    for wrong in [
        report("", AgentState::Ready),
        report("agent7", AgentState::Unspecified),
        report("A", AgentState::Ready),
    ] {
        assert_eq!(reason(admin.report_agent_state(wrong).await), ErrorReason::InvalidRequest);
    }
    let unknown = wire::ReportAgentStateRequest { user_id: "agent7".into(), agent_state: 77 };
    assert_eq!(reason(admin.report_agent_state(unknown).await), ErrorReason::InvalidRequest);
    let nobody = admin.report_agent_state(report("nobody", AgentState::Ready)).await;
    assert_eq!(reason(nobody), ErrorReason::SessionNotFound);
}

#[tokio::test]
async fn cc_9_a_logout_of_an_agent_at_work_is_refused_where_the_policy_blocks_it() {
    let cluster = at_work(AgentStateGuard::Block).await;
    let desktop = cluster.as_("desktop", PrincipalKind::Application);
    for mut asker in [cluster.agent("agent7"), cluster.administrator(), desktop] {
        let told = metadata(asker.logout(logout(PHONE)).await);
        assert_eq!((told["agentState"].as_str(), told["phone"].as_str()), ("TALKING", PHONE));
        assert_eq!(told["userId"], "agent7");
    }
    assert_eq!(reason(cluster.agent("agent7").logout(logout(PHONE)).await), ErrorReason::AgentBusy);
    let take_over = wire::LoginRequest { take_over: true, ..by_token("agent8", PHONE) };
    assert_eq!(reason(cluster.administrator().login(take_over).await), ErrorReason::AgentBusy);
    cluster.say(|script| script.policy.multiple_login = MultipleLogin::AutoLogout);
    let elsewhere = cluster.administrator().login(by_token("agent7", OTHER)).await;
    assert_eq!(reason(elsewhere), ErrorReason::AgentBusy);
    assert_eq!(cluster.sessions().await.len(), 1);
    cluster.agent("agent7").report_agent_state(report("", AgentState::NotReady)).await.unwrap();
    cluster.agent("agent7").logout(logout(PHONE)).await.unwrap();
}

#[tokio::test]
async fn cc_9_a_logout_of_an_agent_at_work_is_reported_where_the_policy_warns() {
    let cluster = at_work(AgentStateGuard::Warn).await;
    let answer = cluster.agent("agent7").logout(logout(PHONE)).await.unwrap().into_inner();
    let rules: Vec<_> = answer.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["CC-9"]);
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    cluster.administrator().report_agent_state(report("agent7", AgentState::Reserved)).await.unwrap();
    let take_over = wire::LoginRequest { take_over: true, ..by_token("agent8", PHONE) };
    let answer = cluster.administrator().login(take_over).await.unwrap().into_inner();
    assert_eq!(answer.findings[0].rule, "CC-9");
    assert_eq!(answer.session.unwrap().agent_state(), AgentState::Unspecified);
    assert!(cluster.agent("agent8").logout(logout(PHONE)).await.unwrap().into_inner().findings.is_empty());
}

#[tokio::test]
async fn cc_9_it_is_forced_by_who_may_with_a_note_that_is_kept() {
    let cluster = at_work(AgentStateGuard::Block).await;
    for wrong in [
        forced(PHONE, ""),
        forced(PHONE, &"x".repeat(201)),
        wire::LogoutRequest { note: "why".into(), ..logout(PHONE) },
    ] {
        let fields = violations(cluster.administrator().logout(wrong).await);
        assert_eq!(fields, ["note"]);
    }
    let told = metadata(cluster.agent("agent7").logout(forced(PHONE, "why")).await);
    assert_eq!(told["scope"], "session.manage");
    let answer = cluster.administrator().logout(forced(PHONE, "fire drill")).await.unwrap().into_inner();
    let ended = answer.ended_session.unwrap();
    assert_eq!((ended.note.as_str(), ended.reason()), ("fire drill", LogoutReason::Administrator));
    assert_eq!(ended.session.unwrap().agent_state(), AgentState::Talking);
    assert_eq!(answer.findings[0].rule, "CC-9");
}

#[tokio::test]
async fn cc_9_neither_the_clock_nor_a_service_is_held_up() {
    let cluster = at_work(AgentStateGuard::Block).await;
    cluster.service().logout(logout(PHONE)).await.unwrap();
    let timed = wire::LoginRequest {
        duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..by_token("agent7", PHONE)
    };
    cluster.administrator().login(timed).await.unwrap();
    cluster.administrator().report_agent_state(report("agent7", AgentState::Talking)).await.unwrap();
    cluster.hand.advance(std::time::Duration::from_secs(60));
    cluster.session.sweep_once().await;
    cluster.without_sessions().await;
}

#[tokio::test]
async fn a_logout_for_an_earlier_session_on_the_phone_is_refused_as_stale() {
    let cluster = cluster().await;
    let mut admin = cluster.administrator();
    let first = admin.login(by_token("agent7", PHONE)).await.unwrap().into_inner().session.unwrap();
    let late = wire::LogoutRequest { phone_epoch: first.phone_epoch, ..logout(PHONE) };
    admin.login(by_token("agent7", PHONE)).await.unwrap();
    let told = metadata(admin.logout(late.clone()).await);
    assert_eq!(told["phoneEpoch"], cluster.epoch(PHONE).await.to_string());
    assert_eq!(reason(admin.logout(late).await), ErrorReason::PhoneEpochStale);
    let known = cluster.epoch(PHONE).await;
    admin.logout(wire::LogoutRequest { phone_epoch: known, ..logout(PHONE) }).await.unwrap();
}

#[tokio::test]
async fn lo_8_everybody_is_logged_out_with_progress_and_only_by_who_may() {
    let cluster = at_work(AgentStateGuard::Block).await;
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    let denied = cluster.agent("agent7").logout_all(wire::LogoutAllRequest::default()).await;
    assert_eq!(reason(denied), ErrorReason::ScopeMissing);
    let mut admin = cluster.administrator();
    let wrong = wire::LogoutAllRequest {
        user_id: "A B".into(),
        sessions_per_second: 1001,
        note: "why".into(),
        ..Default::default()
    };
    assert_eq!(violations(admin.logout_all(wrong).await), ["user_id", "note", "sessions_per_second"]);

    let fast = wire::LogoutAllRequest { sessions_per_second: 1000, ..Default::default() };
    let mut stream = admin.logout_all(fast.clone()).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(message) = next(&mut stream).await {
        told.push(message.unwrap());
    }
    assert!(told[0].session.is_none() && told[0].total == 2);
    let last = told.last().unwrap();
    assert_eq!((told.len(), last.ended, last.busy, last.done), (4, 1, 1, true));
    assert_eq!(cluster.sessions().await[0].user_id, "agent7");

    let only = wire::LogoutAllRequest { user_id: "agent7".into(), force: true, note: "fire".into(), ..fast };
    let mut stream = admin.logout_all(only).await.unwrap().into_inner();
    while let Some(message) = next(&mut stream).await {
        message.unwrap();
    }
    assert!(cluster.sessions().await.is_empty());
}

#[tokio::test]
async fn lo_1_a_user_with_the_scope_who_ends_anothers_session_is_a_supervisor() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let mut lead = cluster.supervisor("lead");
    let ended = lead.logout(logout(PHONE)).await.unwrap().into_inner().ended_session.unwrap();
    assert_eq!(ended.reason(), LogoutReason::Supervisor);
    assert_eq!(ended.actor.unwrap().name, "lead");
}
