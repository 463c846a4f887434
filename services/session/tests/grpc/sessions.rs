//! Logins and logouts over gRPC: every refusal with its reason, and what is left behind, which is nothing.

use std::time::Duration;

use crate::harness::*;
use roamline_domain::parameters::{MultipleLogin, ServiceParameters};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::{LogoutReason, SessionState};
use tonic::Code;

#[tokio::test]
async fn li_1_a_login_by_credential_makes_a_session_that_can_be_seen() {
    let cluster = cluster().await;
    let answer = cluster.stranger().login(login("agent7", "00:0d:ed:ab:35:66")).await.unwrap().into_inner();
    let session = answer.session.unwrap();
    assert_eq!((session.phone.as_str(), session.user_id.as_str()), (PHONE, "agent7"));
    assert_eq!(session.state(), SessionState::Pending, "the phone has not said that it wears the profile");
    assert_eq!(answer.configuration.unwrap().worn_name, "agent7");
    assert_eq!(session.actor.as_ref().unwrap().name, "agent7");
    assert_eq!(cluster.sessions().await, [session]);
}

#[tokio::test]
async fn li_1_a_token_of_the_user_or_of_a_proxy_will_do_and_no_other() {
    let cluster = cluster().await;
    assert_eq!(reason(cluster.stranger().login(by_token("agent7", PHONE)).await), ErrorReason::TokenMissing);
    assert_eq!(
        reason(cluster.agent("agent8").login(by_token("agent7", PHONE)).await),
        ErrorReason::ScopeMissing
    );
    assert!(cluster.sessions().await.is_empty());
    cluster.agent("agent7").login(by_token("agent7", PHONE)).await.unwrap();
    let mut desktop = cluster.as_("desktop", PrincipalKind::Application);
    let answer = desktop.login(by_token("agent8", OTHER)).await.unwrap().into_inner();
    assert_eq!(answer.session.unwrap().actor.unwrap().name, "desktop");
}

#[tokio::test]
async fn li_2_a_malformed_request_is_refused_with_every_violation() {
    let cluster = cluster().await;
    let request = wire::LoginRequest {
        phone: "SEP00".into(),
        user_id: String::new(),
        profile: "x".repeat(51),
        duration: Some(prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN }),
        request_id: "a b".into(),
        credential: Some(Default::default()),
        ..Default::default()
    };
    let status = cluster.stranger().login(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let refusal = Refusal::from_status(&status).unwrap();
    assert_eq!(refusal.reason, ErrorReason::InvalidRequest);
    let fields: Vec<_> = refusal.violations.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["phone", "user_id", "profile", "duration", "request_id", "credential"]);
}

/// Everything that can refuse is set to refuse; then one after the other is lifted, in the order of LI-2. None leaves a
/// session, a hold or a command behind (LI-10).
#[tokio::test]
async fn li_2_refusals_come_in_their_order_and_leave_nothing_behind() {
    let cluster = cluster().await;
    let refusal = |reason| Some(Refusal::new(reason, "scripted"));
    let mut admin = cluster.administrator();
    cluster.say(|script| script.acd_line = Some("2101"));
    admin.login(by_token("agent8", PHONE)).await.unwrap();
    admin.login(by_token("agent7", OTHER)).await.unwrap_err();
    cluster.say(|script| script.acd_line = None);
    admin.login(by_token("agent7", OTHER)).await.unwrap();
    let third = "SEP020000000009";
    let mut link = cluster.phones();
    link.watch_phone(wire::WatchPhoneRequest { phone: third.into() }).await.unwrap();
    let up = wire::ReportPhoneRequest {
        phone: third.into(),
        hook_state: wire::HookState::OffHook.into(),
        ..Default::default()
    };
    link.report_phone(up).await.unwrap();
    let before = cluster.sessions().await;

    cluster.say(|script| {
        script.policy = ServiceParameters { enforce_maximum_login_time: true, ..Default::default() };
        script.before = refusal(ErrorReason::PhoneNotEnabled);
        script.verify = refusal(ErrorReason::CredentialRefused);
        script.prepared = refusal(ErrorReason::ProfileMissing);
        script.owner = refusal(ErrorReason::PhoneReserved);
        script.refuse_off_hook = true;
        script.contact_centre = refusal(ErrorReason::ContactCentrePolicy);
        script.acd_line = Some("2101");
        script.policy.validate_ip_address = true;
    });
    cluster.heard().await;
    let mut request = login("agent7", PHONE);
    request.duration = Some(prost_types::Duration { seconds: 9 * 3600, nanos: 0 });
    let mut seen = Vec::new();
    for step in 0..11 {
        seen.push(reason(cluster.stranger().login(request.clone()).await));
        assert_eq!(cluster.sessions().await, before, "a refusal leaves nothing behind (LI-10)");
        match step {
            0 => {
                cluster.say(|script| script.policy.validate_ip_address = false);
                cluster.heard().await;
            }
            1 => cluster.say(|script| script.before = None),
            2 => cluster.say(|script| script.verify = None),
            3 => cluster.say(|script| script.prepared = None),
            4 => cluster.say(|script| script.owner = None),
            5 => request.duration = None,
            6 => request.phone = third.into(),
            7 => cluster.say(|script| script.policy.multiple_login = MultipleLogin::Allowed),
            8 => cluster.say(|script| script.acd_line = None),
            9 => cluster.say(|script| script.refuse_off_hook = false),
            _ => {}
        }
    }
    assert_eq!(
        seen,
        [
            ErrorReason::SourceNotTrusted,
            ErrorReason::PhoneNotEnabled,
            ErrorReason::CredentialRefused,
            ErrorReason::ProfileMissing,
            ErrorReason::PhoneReserved,
            ErrorReason::DurationTooLong,
            ErrorReason::PhoneOccupied,
            ErrorReason::LoggedInElsewhere,
            ErrorReason::LineInUse,
            ErrorReason::PhoneOffHook,
            ErrorReason::ContactCentrePolicy,
        ]
    );
}

#[tokio::test]
async fn li_9_the_refusal_names_the_other_phone_and_the_em_api_code() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent7", OTHER)).await.unwrap();
    let told = metadata(cluster.administrator().login(by_token("agent7", PHONE)).await);
    assert_eq!(told["phone"], OTHER);
    assert_eq!(told["emApiCode"], "25");
}

#[tokio::test]
async fn li_9_auto_logout_ends_the_other_session_in_the_same_step() {
    let cluster = cluster().await;
    cluster.say(|script| script.policy.multiple_login = MultipleLogin::AutoLogout);
    cluster.administrator().login(by_token("agent7", OTHER)).await.unwrap();
    let answer = cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap().into_inner();
    assert_eq!(answer.ended_sessions[0].reason(), LogoutReason::LoggedInElsewhere);
    let sessions = cluster.sessions().await;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].phone, PHONE);
}

#[tokio::test]
async fn sp_13_a_phone_is_taken_over_on_request() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent8", PHONE)).await.unwrap();
    let told = metadata(cluster.administrator().login(by_token("agent7", PHONE)).await);
    assert_eq!((told["userId"].as_str(), told["takeOver"].as_str()), ("agent8", "possible"));
    let request = wire::LoginRequest { take_over: true, ..by_token("agent7", PHONE) };
    let answer = cluster.administrator().login(request).await.unwrap().into_inner();
    assert_eq!(answer.ended_sessions[0].reason(), LogoutReason::NextUser);
}

#[tokio::test]
async fn li_11_the_same_request_id_gets_the_same_answer_and_happens_once() {
    let cluster = cluster().await;
    let request = wire::LoginRequest { request_id: "r1".into(), ..login("agent7", PHONE) };
    let first = cluster.stranger().login(request.clone()).await.unwrap().into_inner();
    let again = cluster.stranger().login(request.clone()).await.unwrap().into_inner();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.session, first.session);
    let other = wire::LoginRequest { phone: OTHER.into(), ..request.clone() };
    assert_eq!(reason(cluster.stranger().login(other).await), ErrorReason::RequestIdReused);
    cluster.say(|script| script.verify = Some(Refusal::new(ErrorReason::CredentialRefused, "scripted")));
    assert_eq!(
        reason(cluster.stranger().login(request.clone()).await),
        ErrorReason::CredentialRefused,
        "a replay is for who can prove himself"
    );
    cluster.say(|script| script.verify = None);
    cluster.hand.advance(Duration::from_secs(601));
    let later = cluster.stranger().login(request).await.unwrap().into_inner();
    assert!(!later.replayed, "it is remembered for ten minutes");
}

#[tokio::test]
async fn lo_2_after_a_logout_the_phone_shall_wear_its_logout_profile() {
    let cluster = cluster().await;
    cluster.agent("agent7").login(by_token("agent7", PHONE)).await.unwrap();
    let answer = cluster.agent("agent7").logout(logout(PHONE)).await.unwrap().into_inner();
    assert_eq!(answer.ended_session.unwrap().reason(), LogoutReason::User);
    let mut link = cluster
        .phones()
        .watch_phone(wire::WatchPhoneRequest { phone: PHONE.into() })
        .await
        .unwrap()
        .into_inner();
    let update = update(&mut link).await;
    assert_eq!(update.configuration.unwrap().worn_name, "logout profile 1");
    let actions = update.actions.unwrap();
    assert!(actions.restart && actions.clear_call_history && actions.cancel_call_back, "LO-2, LO-3");
}

#[tokio::test]
async fn lo_1_who_ends_a_session_is_the_reason() {
    let cluster = cluster().await;
    for (kind, expected) in [
        (PrincipalKind::User, LogoutReason::User),
        (PrincipalKind::Administrator, LogoutReason::Administrator),
        (PrincipalKind::Application, LogoutReason::Application),
    ] {
        cluster.agent("agent7").login(by_token("agent7", PHONE)).await.unwrap();
        let answer = cluster.as_("agent7", kind).logout(logout(PHONE)).await.unwrap().into_inner();
        assert_eq!(answer.ended_session.unwrap().reason(), expected);
    }
}

#[tokio::test]
async fn lo_8_logout_of_an_empty_phone_is_an_error_of_its_own() {
    let cluster = cluster().await;
    assert_eq!(reason(cluster.administrator().logout(logout(PHONE)).await), ErrorReason::NotLoggedIn);
    cluster.say(|script| script.logout = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    assert_eq!(reason(cluster.administrator().logout(logout(PHONE)).await), ErrorReason::PhoneNotFound);
    let by_id = wire::LogoutRequest {
        target: Some(wire::logout_request::Target::SessionId("01JD0000000000000000000001".into())),
        ..Default::default()
    };
    assert_eq!(reason(cluster.administrator().logout(by_id).await), ErrorReason::SessionNotFound);
    assert_eq!(
        reason(cluster.administrator().logout(wire::LogoutRequest::default()).await),
        ErrorReason::InvalidRequest
    );
}

#[tokio::test]
async fn an_agent_sees_and_ends_his_own_session_only() {
    let cluster = cluster().await;
    cluster.agent("agent7").login(by_token("agent7", PHONE)).await.unwrap();
    cluster.agent("agent8").login(by_token("agent8", OTHER)).await.unwrap();
    let seen = cluster.agent("agent8").list_sessions(wire::ListSessionsRequest::default()).await.unwrap();
    assert_eq!(seen.into_inner().sessions.len(), 1);
    let get =
        wire::GetSessionRequest { target: Some(wire::get_session_request::Target::Phone(PHONE.into())) };
    assert_eq!(reason(cluster.agent("agent8").get_session(get.clone()).await), ErrorReason::NotLoggedIn);
    assert!(cluster.agent("agent7").get_session(get).await.is_ok());
    let told = metadata(cluster.agent("agent8").logout(logout(PHONE)).await);
    assert_eq!(told["scope"], "session.manage");
    let all = wire::ListSessionsRequest { user_id: "agent7".into(), ..Default::default() };
    assert_eq!(reason(cluster.agent("agent8").list_sessions(all).await), ErrorReason::ScopeMissing);
    assert_eq!(reason(cluster.stranger().logout(logout(PHONE)).await), ErrorReason::TokenMissing);
}

#[tokio::test]
async fn lo_5_a_session_ends_at_its_time_once_whatever_the_number_of_replicas() {
    let one = cluster().await;
    let two = replica(one.store.clone(), one.script.clone(), one.clock.clone(), one.hand.clone()).await;
    let mut watching = watch(&mut one.administrator(), "").await;
    let request = wire::LoginRequest {
        duration: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..by_token("agent7", PHONE)
    };
    one.administrator().login(request).await.unwrap();
    one.hand.advance(Duration::from_secs(3599));
    assert_eq!(one.session.sweep_once().await, 0, "not before its time");
    assert_eq!(one.sessions().await.len(), 1);
    one.hand.advance(Duration::from_secs(1));
    let (a, b) = tokio::join!(one.session.sweep_once(), two.session.sweep_once());
    assert!(a + b <= 1, "the background sweep may have been first; nobody is second");
    let mut logouts = 0;
    one.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    loop {
        match next(&mut watching).await.unwrap().unwrap().message.unwrap() {
            wire::watch_sessions_response::Message::LoggedOut(ended) => {
                assert_eq!(ended.reason(), LogoutReason::MaximumTime);
                logouts += 1;
            }
            wire::watch_sessions_response::Message::LoggedIn(session) if session.user_id == "agent8" => break,
            _ => {}
        }
    }
    assert_eq!(logouts, 1);
}

#[tokio::test]
async fn lo_5_the_clock_needs_no_directory() {
    let cluster = cluster().await;
    let request = wire::LoginRequest {
        duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..by_token("agent7", PHONE)
    };
    cluster.administrator().login(request).await.unwrap();
    let down = Refusal::new(ErrorReason::ServiceUnavailable, "scripted");
    cluster.say(|script| script.logout = Some(down));
    cluster.hand.advance(Duration::from_secs(61));
    cluster.session.sweep_once().await;
    let mut link = cluster
        .phones()
        .watch_phone(wire::WatchPhoneRequest { phone: PHONE.into() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(update(&mut link).await.configuration.unwrap().worn_name, "as of login");
}

#[tokio::test]
async fn ev_2_sessions_are_listed_in_pages() {
    let cluster = cluster().await;
    for n in 0..25 {
        let phone = format!("SEP0300000000{n:02}");
        cluster.administrator().login(by_token(&format!("user{n}"), &phone)).await.unwrap();
    }
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = wire::ListSessionsRequest { page_size: 10, page_token: token, ..Default::default() };
        let page = cluster.administrator().list_sessions(request).await.unwrap().into_inner();
        seen.extend(page.sessions.into_iter().map(|session| session.phone));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
    let broken = wire::ListSessionsRequest { page_token: "7".into(), ..Default::default() };
    assert_eq!(reason(cluster.administrator().list_sessions(broken).await), ErrorReason::PageTokenInvalid);
}

async fn update(link: &mut tonic::Streaming<wire::WatchPhoneResponse>) -> wire::PhoneUpdate {
    match next(link).await.unwrap().unwrap().message.unwrap() {
        wire::watch_phone_response::Message::Update(update) => update,
        wire::watch_phone_response::Message::Heartbeat(_) => panic!("a heartbeat instead of an update"),
    }
}
