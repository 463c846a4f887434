//! What a process recalls of its own commits.

use std::sync::Arc;

use roamline_store::conformance::fixture::{agent, change, log_in, log_out, phone};
use roamline_store::{About, CommitError, SessionStore};
use roamline_store_redis::{RedisOptions, RedisStore};

use crate::starter::Redis;
use crate::{begun, cluster};

async fn two() -> (Arc<RedisStore>, Arc<RedisStore>) {
    let (cluster, options) = (cluster(), RedisOptions::standalone(Redis::of_all().url()));
    let one = begun(cluster.clone(), options.clone()).await;
    (one, Arc::new(RedisStore::open(cluster, options).await.unwrap()))
}

fn about(number: u32) -> About {
    agent(number).about(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_has_committed_is_recalled_as_it_is_loaded() {
    let (store, _) = two().await;
    assert_eq!(store.recall(&about(1)), None, "nothing was committed");
    for _ in 0..3 {
        log_in(&store, 1, &agent(1)).await;
        assert_eq!(store.recall(&about(1)), Some(store.load(&about(1)).await.unwrap()));
        log_in(&store, 2, &agent(1)).await;
        assert_eq!(
            store.recall(&about(1)),
            Some(store.load(&about(1)).await.unwrap()),
            "he is on two phones"
        );
        log_out(&store, 2).await;
        log_out(&store, 1).await;
        assert_eq!(store.recall(&about(1)), Some(store.load(&about(1)).await.unwrap()));
    }
    let other = About { user: Some("somebody".parse().unwrap()), ..about(1) };
    assert_eq!(store.recall(&other), None, "of him nothing is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_9_what_is_recalled_and_old_is_refused_and_forgotten() {
    let (store, other) = two().await;
    log_in(&store, 1, &agent(1)).await;
    log_in(&other, 2, &agent(1)).await;
    let old = store.recall(&about(1)).unwrap();
    assert_eq!(old.held.others, [], "it has not heard of the other phone");
    let state = agent(1).login(old.clone()).states.remove(0);
    assert!(matches!(store.commit(change(old, state)).await, Err(CommitError::Moved)));
    assert_eq!(store.recall(&about(1)), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_tell_of_is_forgotten_and_what_it_told_itself_is_not() {
    let (store, other) = two().await;
    log_in(&store, 1, &agent(1)).await;
    log_in(&store, 2, &agent(2)).await;
    log_out(&other, 1).await;
    store.events(0, 100).await.unwrap();
    assert_eq!(store.recall(&About::phone(phone(1))), None);
    assert_eq!(store.recall(&about(2)), Some(store.load(&about(2)).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_recalled_over_another_connection() {
    let redis = Redis::start(&[]);
    let store = begun(cluster(), RedisOptions::standalone(redis.url())).await;
    log_in(&store, 1, &agent(1)).await;
    assert!(store.recall(&about(1)).is_some());
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    // The first call after it may find the connection gone; the next one has another.
    let _ = store.load(&about(1)).await;
    let loaded = store.load(&about(1)).await.unwrap();
    assert_eq!(store.recall(&about(1)), None);
    store.commit(change(loaded.clone(), agent(1).login(loaded).states.remove(0))).await.unwrap();
    assert!(store.recall(&about(1)).is_some());
}
