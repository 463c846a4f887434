//! What other services may do with sessions: see them all, and end them with a reason (DP-9).

use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::LogoutReason;

use crate::harness::*;

fn ending(phone: &str, reason: LogoutReason) -> wire::LogoutRequest {
    wire::LogoutRequest { reason: reason.into(), ..logout(phone) }
}

#[tokio::test]
async fn dp_9_a_service_ends_anybodys_session_and_says_why() {
    let cluster = cluster().await;
    for (said, told) in [
        (LogoutReason::PhoneRemoved, LogoutReason::PhoneRemoved),
        (LogoutReason::Administrator, LogoutReason::Administrator),
        (LogoutReason::Policy, LogoutReason::Policy),
        (LogoutReason::Unspecified, LogoutReason::Policy),
    ] {
        cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
        let answer = cluster.service().logout(ending(PHONE, said)).await.unwrap().into_inner();
        assert_eq!(answer.ended_session.unwrap().reason(), told);
    }
}

#[tokio::test]
async fn lo_1_nobody_but_a_service_says_why_and_not_every_reason_can_be_said() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    for mut other in [cluster.administrator(), cluster.agent("agent7")] {
        let told = metadata(other.logout(ending(PHONE, LogoutReason::PhoneRemoved)).await);
        assert_eq!(told["scope"], "session.end");
    }
    for wrong in [LogoutReason::User, LogoutReason::MaximumTime, LogoutReason::LoggedInElsewhere] {
        let answer = cluster.service().logout(ending(PHONE, wrong)).await;
        assert_eq!(reason(answer), ErrorReason::InvalidRequest, "{wrong:?}");
    }
    let unknown = wire::LogoutRequest { reason: 77, ..logout(PHONE) };
    assert_eq!(reason(cluster.service().logout(unknown).await), ErrorReason::InvalidRequest);
    assert_eq!(cluster.sessions().await.len(), 1);
}

#[tokio::test]
async fn li_1_a_service_logs_nobody_in() {
    let cluster = cluster().await;
    let told = metadata(cluster.service().login(by_token("agent7", PHONE)).await);
    assert_eq!(told["scope"], "session.proxy");
}

#[tokio::test]
async fn lo_2_a_session_on_a_phone_that_the_directory_has_no_more_can_be_ended() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    cluster.say(|script| script.logout = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    let answer = cluster.service().logout(ending(PHONE, LogoutReason::PhoneRemoved)).await.unwrap();
    assert_eq!(answer.into_inner().ended_session.unwrap().reason(), LogoutReason::PhoneRemoved);
    assert!(cluster.sessions().await.is_empty());
}

#[tokio::test]
async fn dp_9_sessions_are_listed_by_the_profile_that_they_wear() {
    let cluster = cluster().await;
    for n in 0..25 {
        let profile = if n % 5 == 0 { "sales" } else { "service" };
        let phone = format!("SEP0300000000{n:02}");
        let request = wire::LoginRequest { profile: profile.into(), ..by_token(&format!("user{n}"), &phone) };
        cluster.administrator().login(request).await.unwrap();
    }
    let mut service = cluster.service();
    let (mut page_token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = wire::ListSessionsRequest {
            page_size: 2,
            page_token,
            profile: "sales".into(),
            ..Default::default()
        };
        let page = service.list_sessions(request).await.unwrap().into_inner();
        assert!(page.sessions.len() <= 2);
        seen.extend(page.sessions.into_iter().map(|session| session.user_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["user0", "user5", "user10", "user15", "user20"]);
    let nobodys = wire::ListSessionsRequest { profile: "nobodys".into(), ..Default::default() };
    assert!(service.list_sessions(nobodys).await.unwrap().into_inner().sessions.is_empty());
    let malformed = wire::ListSessionsRequest { profile: "x".repeat(51), ..Default::default() };
    assert_eq!(reason(service.list_sessions(malformed).await), ErrorReason::InvalidRequest);
    let own = wire::ListSessionsRequest { profile: "sales".into(), ..Default::default() };
    let own = cluster.agent("user6").list_sessions(own).await.unwrap().into_inner();
    assert!(own.sessions.is_empty(), "an agent sees his own alone, and his wears another");
}
