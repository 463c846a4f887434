//! Snapshots that take many steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_store::conformance::fixture::{agent, change, log_in, log_out, phone};
use roamline_store::{About, CommitError, SessionStore};
use roamline_store_redis::{RedisOptions, RedisStore};
use tokio::task::JoinSet;

use crate::loss::{Fault, admit_others, failed_over_for_all};
use crate::starter::Redis;
use crate::{begun, cluster, durable};

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

async fn log_in_all(store: &Arc<RedisStore>, numbers: std::ops::RangeInclusive<u32>) {
    let mut logins = JoinSet::new();
    for number in numbers {
        let store = Arc::clone(store);
        logins.spawn(async move { log_in(&store, number, &agent(number)).await });
    }
    logins.join_all().await;
}

/// The first page is read from a master that is cut off, and has logins that nobody else has; the next ones from the
/// replica that has taken over, and counts as many changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_between_two_pages_of_a_snapshot_begins_it_anew() {
    let servers = Fault::Partition.start();
    let mut options = Fault::Partition.options(&servers, 0);
    options.command_timeout = Duration::from_secs(30);
    let cluster = cluster();
    let store = begun(cluster.clone(), options.clone()).await;
    log_in_all(&store, 1_001..=1_000 + PHONES).await;
    let everywhere = RedisStore::open(cluster.clone(), durable(options.clone(), 2)).await.unwrap();
    log_in(&Arc::new(everywhere), 1_000, &agent(1_000)).await;

    let old = &servers.servers[0];
    admit_others(old, false);
    log_in_all(&store, 1..=100).await;
    old.pause();
    let mut read = JoinSet::new();
    read.spawn({
        let store = Arc::clone(&store);
        async move { store.snapshot(None).await }
    });
    failed_over_for_all(&servers);
    let other = Arc::new(RedisStore::open(cluster, options).await.unwrap());
    log_in_all(&other, 5_001..=5_120).await;
    let there = other.phone(&phone(5_001)).await.unwrap().unwrap();
    comes_over(&store, &there).await;
    old.resume();
    let snapshot = read.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(snapshot, other.snapshot(None).await.unwrap());
    assert_eq!(snapshot.phones.len() as u32, PHONES + 1 + 120, "and none of what only the old master had");
}

/// Waits until the store has come to the server that has a phone so.
async fn comes_over(store: &RedisStore, there: &PhoneState) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_over = || tokio::time::timeout(Duration::from_millis(100), store.phone(&there.phone));
    while !matches!(is_over().await, Ok(Ok(Some(state))) if state == *there) {
        assert!(Instant::now() < deadline, "the store does not come over");
    }
}

/// What was read of a master whose last changes are lost is no ground for a change at the replica that has taken over,
/// though the phone was changed as often there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_9_what_was_read_before_a_failover_is_not_committed_after_it() {
    let servers = Fault::Partition.start();
    let mut options = Fault::Partition.options(&servers, 0);
    options.command_timeout = Duration::from_secs(30);
    let cluster = cluster();
    let store = begun(cluster.clone(), options.clone()).await;
    let everywhere = RedisStore::open(cluster.clone(), durable(options.clone(), 2)).await.unwrap();
    log_in(&Arc::new(everywhere), 1, &agent(1)).await;

    let old = &servers.servers[0];
    admit_others(old, false);
    log_out(&store, 1).await;
    log_in(&store, 1, &agent(1)).await;
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    old.pause();
    failed_over_for_all(&servers);
    let other = Arc::new(RedisStore::open(cluster, options).await.unwrap());
    log_out(&other, 1).await;
    log_in(&other, 1, &agent(2)).await;
    let there = other.phone(&phone(1)).await.unwrap().unwrap();
    assert_eq!(there.epoch, read.held.phone.epoch, "both count as many changes");

    let state = PhoneState { epoch: there.epoch + 1, ..read.held.phone.clone() };
    let commit = change(read, state);
    comes_over(&store, &there).await;
    let made = store.commit(commit).await;
    assert!(
        matches!(made, Err(CommitError::Moved)),
        "a lost session would take the place of another: {made:?}"
    );
    old.resume();
    assert_eq!(other.phone(&phone(1)).await.unwrap().unwrap(), there);
}
