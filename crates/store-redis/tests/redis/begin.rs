//! A store that Redis has lost, or that was never begun.

use std::sync::Arc;
use std::time::Duration;

use roamline_domain::phone_state::PhoneState;
use roamline_store::conformance::fixture::{acd_line, agent, at, change, log_in, phone, user};
use roamline_store::{About, CommitError, EventsError, Guard, SessionStore, StoreError};
use roamline_store_redis::{RedisOptions, RedisStore};
use tokio::task::JoinSet;

use crate::starter::Redis;
use crate::{begun, cluster};

/// Phones with these agents logged in, each on an ACD line of his own, for a minute.
fn phones(numbers: std::ops::RangeInclusive<u32>) -> Vec<PhoneState> {
    let state = |number: u32| {
        let held = PhoneState { epoch: 40, ..PhoneState::new(phone(number)) };
        let held = roamline_domain::login::Held { phone: held, others: Vec::new() };
        let read = roamline_store::Loaded { held, guards: Vec::new(), history: Arc::default() };
        agent(number).on_line(number).lasting(Duration::from_secs(60)).login(read).states.remove(0)
    };
    numbers.map(state).collect()
}

fn options() -> RedisOptions {
    RedisOptions::standalone(Redis::of_all().url())
}

/// As if Redis had lost this cluster alone.
fn lose(cluster: &roamline_domain::ClusterId) {
    let keys = "meta phones renderings shared holders vacant sessions live deadlines replies ends events touched gaps";
    let keys: Vec<_> = keys.split(' ').map(|key| format!("roamline:{{{cluster}}}:{key}")).collect();
    let command: Vec<_> = std::iter::once("DEL").chain(keys.iter().map(String::as_str)).collect();
    Redis::of_all().ask(&command);
}

async fn assert_lost(store: &RedisStore) {
    assert!(matches!(store.load(&About::phone(phone(1))).await, Err(StoreError::Lost)));
    assert!(matches!(store.tell(Vec::new(), at(0)).await, Err(StoreError::Lost)));
    assert!(matches!(store.snapshot(None).await, Err(StoreError::Lost)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_begun_with_phones_as_they_are_given() {
    let store = RedisStore::open(cluster(), options()).await.unwrap();
    let given = phones(1..=250);
    assert!(store.begin(given.clone(), 1_000).await.unwrap());
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!((snapshot.sequence, &snapshot.phones), (1_000, &given));
    let session = given[6].session.clone().unwrap();
    assert_eq!(store.session(&session.id).await.unwrap().as_ref(), Some(&given[6]));
    assert_eq!(store.list(Some(&user(7)), None, 10).await.unwrap(), [given[6].clone()]);
    let about = About { phone: phone(900), user: Some(user(7)), acd_line: Some(acd_line(8)) };
    assert_eq!(store.load(&about).await.unwrap().held.others, [given[6].clone(), given[7].clone()]);
    assert_eq!(store.due(at(60), 1_000).await.unwrap().len(), 250);
    assert!(matches!(store.events(999, 10).await, Err(EventsError::TooOld { oldest: 1_001, .. })));
    assert!(store.events(1_000, 10).await.unwrap().events.is_empty());
    let store = Arc::new(store);
    log_in(&store, 7, &agent(300)).await;
    let events = store.events(1_000, 10).await.unwrap().events;
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1_001, 1_002]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_8_that_begin_a_lost_store_one_does() {
    let cluster = cluster();
    let first = begun(cluster.clone(), options()).await;
    log_in(&first, 1, &agent(1)).await;
    log_in(&first, 2, &agent(2)).await;
    let stale = agent(9).login(first.load(&agent(9).about(9)).await.unwrap());
    lose(&cluster);
    assert!(!first.is_begun().await.unwrap());
    assert_lost(&first).await;

    let mut beginners = JoinSet::new();
    for number in 1..=8 {
        let (cluster, given) = (cluster.clone(), phones(number * 100..=number * 100 + 49));
        beginners.spawn(async move {
            let store = RedisStore::open(cluster, options()).await.unwrap();
            let begun = store.begin(given, 500).await.unwrap();
            (begun, store.snapshot(None).await.unwrap())
        });
    }
    let begun = beginners.join_all().await;
    assert_eq!(begun.iter().filter(|(begun, _)| *begun).count(), 1);
    assert!(begun.iter().all(|(_, snapshot)| *snapshot == begun[0].1 && snapshot.phones.len() == 50));

    let refused = first.commit(stale.clone()).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Lost) | CommitError::Moved)), "{refused:?}");
    let fenced = first.commit(stale).await;
    assert!(
        matches!(fenced, Err(CommitError::Moved)),
        "he had no record, and is not taken for new: {fenced:?}"
    );
    assert_eq!(first.snapshot(None).await.unwrap().phones.len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_the_loss_holds_no_more() {
    let cluster = cluster();
    let store = begun(cluster.clone(), options()).await;
    log_in(&store, 1, &agent(1)).await;
    let read = store.load(&agent(1).about(2)).await.unwrap();
    assert_eq!(read.guards, [(Guard::User(user(1)), 1)]);
    lose(&cluster);
    let mut again = read.held.others[0].clone();
    assert!(store.begin(vec![again.clone()], 0).await.unwrap());
    let before = store.snapshot(None).await.unwrap();
    let refused = store.commit(agent(1).login(read)).await;
    assert!(matches!(refused, Err(CommitError::Moved)), "{refused:?}");
    assert_eq!(store.snapshot(None).await.unwrap(), before);
    again.epoch += 1;
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    store.commit(change(read, again)).await.unwrap();
}

/// A process that knew the store before finds the new one by itself, after it was told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_begun_anew_behind_its_back_is_lost_once_and_then_found() {
    let cluster = cluster();
    let (one, other) = (
        begun(cluster.clone(), options()).await,
        RedisStore::open(cluster.clone(), options()).await.unwrap(),
    );
    let other = Arc::new(other);
    log_in(&other, 1, &agent(1)).await;
    lose(&cluster);
    assert!(one.begin(Vec::new(), 10).await.unwrap());
    assert!(matches!(other.phone(&phone(1)).await, Err(StoreError::Lost)));
    assert_eq!(other.phone(&phone(1)).await.unwrap(), None);
    log_in(&other, 1, &agent(2)).await;
    assert_eq!(one.phone(&phone(1)).await.unwrap().unwrap().session.unwrap().user, user(2));
}

/// What a process that died left half made is cleared, once it is clear that it is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beginning_that_was_broken_off_is_cleared() {
    let (server, cluster) = (Redis::of_all(), cluster());
    let key = |name: &str| format!("roamline:{{{cluster}}}:new:{name}");
    server.ask(&["HSET", &key("meta"), "owner", "somebody"]);
    server.ask(&["PEXPIRE", &key("meta"), "200"]);
    server.ask(&["HSET", &key("phones"), "\0\0\0\0\0\u{5}", "junk"]);
    server.ask(&["ZADD", &key("live"), "0", "\0\0\0\0\0\u{5}"]);
    let store = RedisStore::open(cluster.clone(), options()).await.unwrap();
    assert!(!store.is_begun().await.unwrap());
    assert!(store.begin(phones(1..=1), 0).await.unwrap());
    assert_eq!(store.list(None, None, 10).await.unwrap(), phones(1..=1));
    assert!(server.ask(&["EXISTS", &key("phones"), &key("meta"), &key("live")]).starts_with(":0"));
}
