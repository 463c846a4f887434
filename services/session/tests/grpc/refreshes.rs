//! Sessions that are brought up to date with their profiles (DP-10), and what goes the other way (LI-12).

use roamline_domain::phone_state::SessionEvent;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::refresh_session_request::Target;
use roamline_proto::session::{self as wire};
use roamline_store::SessionStore;

use crate::harness::*;

fn refresh(target: Target) -> wire::RefreshSessionRequest {
    wire::RefreshSessionRequest { target: Some(target) }
}

fn at_phone() -> wire::RefreshSessionRequest {
    refresh(Target::Phone(PHONE.into()))
}

#[tokio::test]
async fn dp_10_a_refresh_dresses_the_phone_in_what_the_profile_is_now_and_leaves_the_session() {
    let cluster = cluster().await;
    let before = cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap().into_inner();
    let before = before.session.unwrap();
    let epoch = cluster.epoch(PHONE).await;
    let same = cluster.agent("agent7").refresh_session(at_phone()).await.unwrap().into_inner();
    assert!(!same.changed);
    assert_eq!((same.session.as_ref(), cluster.epoch(PHONE).await), (Some(&before), epoch));

    cluster.say(|script| {
        script.worn = Some("changed");
        script.reset = true;
        script.acd_line = Some("2101");
    });
    let by_id = refresh(Target::SessionId(before.session_id.clone()));
    let answer = cluster.administrator().refresh_session(by_id).await.unwrap().into_inner();
    assert!(answer.changed);
    assert_eq!(answer.configuration.unwrap().worn_name, "changed");
    let after = answer.session.unwrap();
    assert_eq!((&after.session_id, after.login_time), (&before.session_id, before.login_time));
    let state = cluster.store.phone(&PHONE.parse().unwrap()).await.unwrap().unwrap();
    assert!(state.actions.restart && state.actions.reset, "LI-7");
    let event = cluster.store.events(0, 100).await.unwrap().events.pop().unwrap().event;
    assert_eq!(event, SessionEvent::Refreshed(state.session.unwrap().told()));
    assert!(!cluster.agent("agent7").refresh_session(at_phone()).await.unwrap().into_inner().changed);
}

#[tokio::test]
async fn dp_10_a_refresh_is_refused_with_its_reason_and_the_session_goes_on() {
    let cluster = cluster().await;
    let mut admin = cluster.administrator();
    assert_eq!(reason(admin.refresh_session(at_phone()).await), ErrorReason::NotLoggedIn);
    let unknown = refresh(Target::SessionId("01JD0000000000000000000009".into()));
    assert_eq!(reason(admin.refresh_session(unknown).await), ErrorReason::SessionNotFound);
    let nothing = wire::RefreshSessionRequest::default();
    assert_eq!(reason(admin.refresh_session(nothing).await), ErrorReason::InvalidRequest);

    admin.login(by_token("agent7", PHONE)).await.unwrap();
    let others = cluster.agent("agent8").refresh_session(at_phone()).await;
    assert_eq!(metadata(others)["scope"], "session.manage");
    cluster.say(|script| script.acd_line = Some("2101"));
    admin.login(by_token("agent9", OTHER)).await.unwrap();
    let told = metadata(admin.refresh_session(at_phone()).await);
    assert_eq!((told["phone"].as_str(), told["userId"].as_str()), (OTHER, "agent9"), "CC-7");
    cluster.say(|script| {
        script.acd_line = None;
        script.contact_centre = Some(Refusal::new(ErrorReason::ContactCentrePolicy, "scripted"));
    });
    assert_eq!(reason(admin.refresh_session(at_phone()).await), ErrorReason::ContactCentrePolicy);
    cluster.say(|script| script.prepared = Some(Refusal::new(ErrorReason::ProfileNotOwned, "scripted")));
    assert_eq!(reason(admin.refresh_session(at_phone()).await), ErrorReason::ProfileNotOwned);
    assert_eq!(cluster.sessions().await.len(), 2);
}

#[tokio::test]
async fn li_12_do_not_disturb_goes_to_the_profile_that_is_worn_and_stays_with_an_empty_phone() {
    let cluster = cluster().await;
    let mut link = cluster.phones();
    link.watch_phone(wire::WatchPhoneRequest { phone: PHONE.into() }).await.unwrap();
    let report =
        |on| wire::ReportPhoneRequest { phone: PHONE.into(), do_not_disturb: Some(on), ..Default::default() };
    link.report_phone(report(true)).await.unwrap();
    let profile = wire::LoginRequest { profile: "support".into(), ..by_token("agent7", PHONE) };
    cluster.administrator().login(profile).await.unwrap();
    for on in [true, false] {
        link.report_phone(report(on)).await.unwrap();
    }
    cluster.say(|script| {
        assert_eq!(script.disturbed, [("support".to_owned(), true), ("support".to_owned(), false)]);
    });
}
