//! Snapshots that take many steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use roamline_domain::phone_state::SessionEvent;
use roamline_store::conformance::fixture::{agent, change, log_in, log_out, phone};
use roamline_store::{About, SessionStore};
use roamline_store_redis::RedisOptions;
use tokio::task::JoinSet;

use crate::starter::Redis;
use crate::{begun, cluster};

const PHONES: u32 = 450;

/// What changes while its pages are read is in it, told or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_snapshot_is_as_of_one_instant_while_phones_change() {
    let store = begun(cluster(), RedisOptions::standalone(Redis::of_all().url())).await;
    for number in 1..=PHONES {
        log_in(&store, number, &agent(number)).await;
    }
    let mut churn = JoinSet::new();
    for worker in 0..4 {
        let store = Arc::clone(&store);
        churn.spawn(async move {
            for number in (1..=PHONES).filter(|number| number % 4 == worker) {
                log_out(&store, number).await;
                log_in(&store, number, &agent(number)).await;
                let read = store.load(&About::phone(phone(number))).await.unwrap();
                let state = read.held.phone.acknowledged(read.held.phone.generation).unwrap().unwrap();
                store.commit(change(read, state)).await.unwrap();
            }
        });
    }
    let mut snapshots = Vec::new();
    while !churn.is_empty() {
        snapshots.push(store.snapshot(None).await.unwrap());
        while churn.try_join_next().is_some() {}
    }
    let present = store.snapshot(None).await.unwrap();
    assert_eq!(present.phones.len(), PHONES as usize);
    assert_eq!(present.phones, store.list(None, None, 10_000).await.unwrap());
    assert!(snapshots.len() > 3);
    for snapshot in snapshots {
        let live = |state: &roamline_domain::phone_state::PhoneState| {
            state.session.clone().map(|s| (state.phone.clone(), s.told()))
        };
        let mut seen: BTreeMap<_, _> = snapshot.phones.iter().filter_map(live).collect();
        for event in store.events(snapshot.sequence, 10_000).await.unwrap().events {
            match event.event {
                SessionEvent::LoggedIn(session) => {
                    assert!(seen.insert(session.phone.clone(), session).is_none());
                }
                SessionEvent::LoggedOut(ended) => {
                    assert_eq!(seen.remove(&ended.session.phone), Some(ended.session));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, present.phones.iter().filter_map(live).collect());
    }
}
