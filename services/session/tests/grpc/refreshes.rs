//! Sessions that are brought up to date with their profiles (DP-10), and what goes the other way (LI-12).

use std::sync::Arc;
use std::time::Duration;

use roamline_domain::audit::AuditKind;
use roamline_domain::phone_state::SessionEvent;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::refresh_session_request::Target;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{self as wire, SessionState};
use roamline_serve::Clock;
use roamline_session::{SessionConfig, Stores};
use roamline_store::memory::MemoryStore;
use roamline_store::{AuditQuery, AuditStore, SessionStore};

use crate::harness::*;
use crate::stalled::{Call, Stalled};
use crate::watches::told;

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
    let SessionEvent::Refreshed(told) = event else { panic!("no refresh: {event:?}") };
    assert_eq!(told.session, state.session.unwrap().told());
    assert_eq!((told.actor.name.as_str(), told.actor.source.as_str()), ("admin", "127.0.0.1"), "EV-1");
    assert!(!cluster.agent("agent7").refresh_session(at_phone()).await.unwrap().into_inner().changed);
}

#[tokio::test]
async fn ev_1_the_record_of_a_refresh_names_who_asked_for_it() {
    let cluster = cluster().await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    cluster.say(|script| script.associated = Some(vec![("recorder", "agent7")]));
    for (mut client, worn) in [
        (cluster.administrator(), "as the administrator wants"),
        (cluster.agent("agent7"), "as he himself wants"),
        (cluster.cti("recorder"), "as the application wants"),
    ] {
        cluster.say(|script| script.worn = Some(worn));
        assert!(client.refresh_session(at_phone()).await.unwrap().into_inner().changed);
    }
    let query = AuditQuery { kinds: vec![AuditKind::Refresh], ..AuditQuery::default() };
    let recorded = async {
        loop {
            let records = cluster.store.records(&query, 0, 10).await.unwrap();
            if records.len() == 3 {
                return records;
            }
            tokio::task::yield_now().await;
        }
    };
    let records = tokio::time::timeout(Duration::from_secs(20), recorded).await.expect("in time");
    let names = records.iter().map(|record| {
        let body: serde_json::Value = serde_json::from_str(&record.body).unwrap();
        (record.user.clone(), body["actor"]["name"].as_str().unwrap().to_owned())
    });
    let expected = ["admin", "agent7", "recorder"].map(|name| ("agent7".to_owned(), name.to_owned()));
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn dp_10_a_refresh_that_another_overtakes_does_not_put_the_older_rendering_back() {
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    for call in [Call::Load, Call::Commit] {
        let store = Stalled::new();
        let stores = Stores { sessions: store.clone(), audit: Arc::new(MemoryStore::new()) };
        let (script, clock, hand) = (Scripted::default(), clock.clone(), hand.clone());
        let cluster = replica_over(stores, SessionConfig::default(), script, clock, hand).await;
        cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
        cluster.say(|script| script.worn = Some("older"));
        store.stall_next(call);
        let (mut first, mut second) = (cluster.administrator(), cluster.administrator());
        let (first, second) = tokio::join!(first.refresh_session(at_phone()), async {
            store.has_stalled().await;
            cluster.say(|script| script.worn = Some("newer"));
            let answer = second.refresh_session(at_phone()).await;
            store.go_on();
            answer
        });
        let (first, second) = (first.unwrap().into_inner(), second.unwrap().into_inner());
        assert!(second.changed && !first.changed, "{call:?}: the first finds it done");
        assert_eq!(first.configuration.unwrap().worn_name, "newer", "{call:?}");
        let state = store.phone(&PHONE.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(state.wears, configuration("newer", "agent7"), "{call:?}");
    }
}

#[tokio::test]
async fn dp_10_a_refresh_is_told_to_watches_as_what_the_phone_wears() {
    let cluster = cluster().await;
    let mut admin = cluster.administrator();
    admin.login(by_token("agent7", PHONE)).await.unwrap();
    let acknowledge = || async {
        let generation = cluster.store.phone(&PHONE.parse().unwrap()).await.unwrap().unwrap().generation;
        let request = wire::AcknowledgePhoneRequest { phone: PHONE.into(), generation };
        cluster.phones().acknowledge_phone(request).await.unwrap();
    };
    acknowledge().await;
    let mut watches = [watch(&mut admin, "").await, watch(&mut admin, "").await];
    for watching in &mut watches {
        assert!(matches!(told(watching).await.0, Message::Snapshot(_)));
        assert!(matches!(told(watching).await.0, Message::SnapshotDone(_)));
    }
    for (idle, worn, expected) in [
        (60, "agent7", SessionState::Active),
        (60, "changed", SessionState::Pending),
        (120, "changed", SessionState::Pending),
    ] {
        cluster.say(|script| {
            script.idle_limit = Some(Duration::from_secs(idle));
            script.worn = Some(worn);
        });
        admin.refresh_session(at_phone()).await.unwrap();
        for watching in &mut watches {
            let Message::Refreshed(session) = told(watching).await.0 else { panic!("no refresh") };
            assert_eq!(session.state(), expected, "{idle} {worn}");
        }
    }
    acknowledge().await;
    cluster.say(|script| script.idle_limit = None);
    admin.refresh_session(at_phone()).await.unwrap();
    let Message::Refreshed(session) = told(&mut watches[0]).await.0 else { panic!("no refresh") };
    assert_eq!(session.state(), SessionState::Active);
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
