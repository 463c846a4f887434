//! Redis keeps what the trait promises: one server, one behind Sentinel, a Redis Cluster, with replicas that must have
//! each change, and where two processes use one Redis.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test is given must be there"
)]

mod begin;
mod durable;
mod fault;
mod loss;
mod open;
mod pair;
mod recalled;
mod rendering;
mod snapshot;
mod speed;
mod starter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_store::{SessionStore, session_begin_suite, session_conformance_suite};
use roamline_store_redis::{Durability, RedisOptions, RedisServers, RedisStore};

use crate::pair::Pair;
use crate::starter::{Cluster, MASTER, Redis, Replicated};

/// A cluster that is new to every Redis.
fn cluster() -> ClusterId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("case-{}", NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

/// A store that was begun with nothing.
async fn begun(cluster: ClusterId, options: RedisOptions) -> Arc<RedisStore> {
    let store = RedisStore::open(cluster, options).await.unwrap();
    assert!(store.begin(Vec::new(), 0).await.unwrap());
    Arc::new(store)
}

async fn standalone() -> (Arc<RedisStore>, ()) {
    (begun(cluster(), RedisOptions::standalone(Redis::of_all().url())).await, ())
}

async fn two() -> (Arc<Pair>, ()) {
    let (cluster, options) = (cluster(), RedisOptions::standalone(Redis::of_all().url()));
    let one = begun(cluster.clone(), options.clone()).await;
    let other = Arc::new(RedisStore::open(cluster, options).await.unwrap());
    (Arc::new(Pair::new([one, other])), ())
}

fn behind_sentinel(servers: &Replicated) -> RedisOptions {
    RedisOptions::of(RedisServers::Sentinel {
        urls: servers.sentinel_urls(),
        master: MASTER.into(),
        username: None,
        password: None,
    })
}

/// With these many replicas that must have each change.
fn durable(mut options: RedisOptions, replicas: u32) -> RedisOptions {
    options.durability = Durability { replicas, timeout: Duration::from_secs(2) };
    options
}

async fn sentinel() -> (Arc<RedisStore>, ()) {
    (begun(cluster(), behind_sentinel(Replicated::of_all())).await, ())
}

async fn replicated() -> (Arc<RedisStore>, ()) {
    (begun(cluster(), durable(behind_sentinel(Replicated::of_all()), 1)).await, ())
}

async fn redis_cluster() -> (Arc<RedisStore>, ()) {
    (begun(cluster(), RedisOptions::of(RedisServers::Cluster { urls: Cluster::of_all().urls() })).await, ())
}

/// A store that is not begun.
async fn unbegun() -> (Arc<RedisStore>, ()) {
    let options = RedisOptions::standalone(Redis::of_all().url());
    (Arc::new(RedisStore::open(cluster(), options).await.unwrap()), ())
}

session_begin_suite!(redis_that_is_lost, unbegun());
session_conformance_suite!(redis, standalone());
session_conformance_suite!(redis_of_two_processes, two());
session_conformance_suite!(redis_behind_sentinel, sentinel());
session_conformance_suite!(redis_with_durable_commits, replicated());
session_conformance_suite!(redis_in_a_cluster, redis_cluster());
