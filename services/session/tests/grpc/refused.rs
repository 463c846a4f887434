//! What was refused is told of, so that the audit trail has it (EV-1), and who asked, with which program, in which trace.

use std::time::Duration;

use roamline_domain::phone_state::{Asked, Refused, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::Actor;
use roamline_store::SessionStore;
use tokio::time::timeout;
use tonic::Request;

use crate::harness::*;

async fn told(cluster: &Cluster) -> Vec<Refused> {
    let events = cluster.store.events(0, 1000).await.unwrap().events.into_iter();
    let refused = events.filter_map(|event| match event.event {
        SessionEvent::Refused(refused) => Some(refused),
        _ => None,
    });
    refused.collect()
}

#[tokio::test]
async fn ev_1_a_refused_login_and_a_refused_logout_are_told_of_with_what_was_sent() {
    let cluster = cluster().await;
    cluster.say(|script| script.verify = Some(Refusal::new(ErrorReason::CredentialRefused, "scripted")));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut request = Request::new(login("agent7", PHONE));
    request.metadata_mut().insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap());
    assert_eq!(reason(cluster.stranger().login(request).await), ErrorReason::CredentialRefused);
    assert_eq!(reason(cluster.administrator().logout(logout(PHONE)).await), ErrorReason::NotLoggedIn);
    assert_eq!(
        reason(cluster.stranger().login(login("agent7", "no phone")).await),
        ErrorReason::InvalidRequest
    );
    let [first, second] = told(&cluster).await.try_into().expect("what names no phone is not told of");
    assert_eq!((first.what, first.phone.as_str(), first.user.as_str()), (Asked::Login, PHONE, "agent7"));
    assert_eq!(first.reason, "CREDENTIAL_REFUSED");
    assert_eq!((first.actor.name.as_str(), first.actor.source.as_str()), ("", "127.0.0.1"));
    assert!(first.actor.application.contains("tonic"), "{}", first.actor.application);
    assert_eq!(first.actor.trace_id, trace);
    assert_eq!((second.what, second.reason.as_str()), (Asked::Logout, "NOT_LOGGED_IN"));
    assert_eq!(second.actor.name, "admin");
}

#[tokio::test]
async fn ev_1_of_too_many_refusals_a_second_the_next_that_is_told_carries_the_rest() {
    let cluster = cluster().await;
    cluster.say(|script| script.before = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    let mut admin = cluster.administrator();
    for _ in 0..60 {
        assert_eq!(reason(admin.login(by_token("agent7", PHONE)).await), ErrorReason::PhoneNotFound);
    }
    assert_eq!(told(&cluster).await.len(), 50);
    cluster.hand.advance(Duration::from_secs(1));
    admin.login(by_token("agent7", PHONE)).await.unwrap_err();
    let told = told(&cluster).await;
    assert_eq!((told.len(), told.last().unwrap().more), (51, 10));
}

#[tokio::test]
async fn ev_1_what_a_source_was_refused_beyond_that_is_told_of_in_a_sum_though_nothing_follows() {
    let mut cluster = cluster().await;
    cluster.say(|script| script.before = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    let mut admin = cluster.administrator();
    for number in 0..63 {
        admin.login(by_token(&format!("agent{number}"), PHONE)).await.unwrap_err();
    }
    let mut latest = cluster.store.latest();
    cluster.hand.advance(Duration::from_secs(10));
    timeout(Duration::from_secs(10), latest.wait_for(|latest| *latest > 50)).await.expect("in time").unwrap();
    let sum = told(&cluster).await.pop().unwrap();
    assert_eq!((sum.user.as_str(), sum.more), ("agent62", 12), "the last of them, and how many beside it");
    assert_eq!(sum.actor.source, "127.0.0.1");

    for _ in 0..60 {
        admin.login(by_token("agent7", PHONE)).await.unwrap_err();
    }
    let before = told(&cluster).await;
    let sequence = *latest.borrow();
    cluster.stop.take().unwrap().send(()).unwrap();
    timeout(Duration::from_secs(10), latest.wait_for(|latest| *latest > sequence)).await.unwrap().unwrap();
    let refusals = |told: &[Refused]| told.iter().map(|told| told.more + 1).sum::<u64>();
    let after = told(&cluster).await;
    assert!(after.len() > before.len());
    assert_eq!(refusals(&after), 63 + 60, "none is forgotten when the process stops");
}

#[tokio::test]
async fn ev_1_a_session_says_with_which_program_it_was_begun_and_ended() {
    let cluster = cluster().await;
    cluster.agent("agent7").login(by_token("agent7", PHONE)).await.unwrap();
    let actor = cluster.sessions().await[0].actor.clone().unwrap();
    assert!(actor.application.contains("tonic"), "{}", actor.application);
    let ended = cluster.agent("agent7").logout(logout(PHONE)).await.unwrap().into_inner().ended_session;
    let ended = ended.unwrap().actor.unwrap();
    // A request that came without a trace has begun one.
    assert!(
        [&actor, &ended].iter().all(|actor| actor.trace_id.len() == 32) && ended.trace_id != actor.trace_id
    );
    assert_eq!(Actor { trace_id: actor.trace_id.clone(), ..ended }, actor);
}
