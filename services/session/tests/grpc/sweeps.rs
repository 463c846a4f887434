//! Very many sessions that fall due together, on several replicas (LO-5).

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use roamline_domain::phone_state::{LogoutReason, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_store::{Sequence, SessionStore};

use crate::harness::*;

const MINUTE: Duration = Duration::from_secs(60);
/// Phones in one question to the directory.
const BATCH: usize = 100;

/// Logs so many users in for a minute, each at his own phone.
async fn log_in(cluster: &Cluster, number: usize) {
    let logins = (0..number).map(|n| {
        let mut client = cluster.administrator();
        let duration = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let login = by_token(&format!("user{n}"), &format!("SEP03000000{n:04X}"));
        async move { client.login(wire::LoginRequest { duration, ..login }).await.unwrap() }
    });
    assert_eq!(stream::iter(logins).buffer_unordered(16).count().await, number);
}

/// The ids of all sessions that have ended by themselves, as often as they did.
async fn ended(cluster: &Cluster) -> Vec<String> {
    let (mut after, mut ended) = (Sequence::default(), Vec::new());
    loop {
        let page = cluster.store.events(after, 1_000).await.unwrap();
        let Some(last) = page.events.last() else { return ended };
        after = last.sequence;
        ended.extend(page.events.into_iter().filter_map(|stored| match stored.event {
            SessionEvent::LoggedOut(ended) if ended.reason == LogoutReason::MaximumTime => {
                Some(ended.session.id.to_string())
            }
            _ => None,
        }));
    }
}

#[tokio::test]
async fn lo_5_two_thousand_sessions_end_once_on_two_replicas_that_ask_the_directory_seldom() {
    const NUMBER: usize = 2_000;
    let one = cluster().await;
    let two = replica(one.store.clone(), one.script.clone(), one.clock.clone(), one.hand.clone()).await;
    log_in(&one, NUMBER).await;
    one.hand.advance(MINUTE);
    let (a, b) = tokio::join!(one.session.sweep_once(), two.session.sweep_once());
    assert!(a + b <= NUMBER, "the background sweeps have ended the others");
    one.without_sessions().await;
    let ended = ended(&one).await;
    assert_eq!((ended.len(), ended.iter().collect::<HashSet<_>>().len()), (NUMBER, NUMBER));
    let asked = one.batches();
    assert!(asked.iter().all(|phones| *phones <= BATCH), "{asked:?}");
    assert!(asked.len() <= NUMBER / 10, "{} questions", asked.len());
}

#[tokio::test]
async fn lo_5_phones_that_the_directory_does_not_know_end_with_the_others() {
    let cluster = cluster().await;
    log_in(&cluster, BATCH + 20).await;
    cluster.say(|script| script.logout = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    cluster.hand.advance(MINUTE);
    cluster.session.sweep_once().await;
    cluster.without_sessions().await;
    assert_eq!(ended(&cluster).await.len(), BATCH + 20);
}
