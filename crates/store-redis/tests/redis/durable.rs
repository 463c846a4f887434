//! A commit is acknowledged when as many replicas as are asked for have it, and all that may take over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roamline_store::conformance::fixture::{agent, at, log_in, reply, request_id};
use roamline_store::{CommitError, SessionStore, StoreError};
use roamline_store_redis::{OpenError, RedisOptions, RedisServers, RedisStore};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fault::{commit_at_last, hasty, login};
use crate::loss::{Fault, admit_others, failed_over_for_all};
use crate::starter::{Cluster, MASTER, PASSWORD, Redis, Replicated};
use crate::{begun, behind_sentinel, cluster, durable};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_no_commit_that_replicas_have() {
    let mut servers = Replicated::start(2).watched();
    let mut options = durable(behind_sentinel(&servers), 1);
    options.command_timeout = Duration::from_millis(500);
    let cluster = cluster();
    let store = begun(cluster.clone(), options.clone()).await;
    let other = Arc::new(RedisStore::open(cluster, options).await.unwrap());
    for number in 1..=50 {
        log_in(&store, number, &agent(number)).await;
    }
    servers.servers[0].kill();
    let began = Instant::now();
    commit_at_last(&store, 51).await;
    let took = began.elapsed();
    println!("commits were made again {took:.1?} after the master was killed (down-after 0.5 s)");
    commit_at_last(&other, 52).await;
    assert_eq!(other.list(None, None, 100).await.unwrap().len(), 52);
    let events = other.events(0, 100).await.unwrap().events;
    assert!(events.windows(2).all(|pair| pair[0].sequence < pair[1].sequence) && events.len() >= 52);
    // The old master comes back as one, and stays it until the sentinels are sure: it stops no commit meanwhile.
    servers.servers[0].start_again();
    let is_whole = || {
        let said = |server: &Redis| server.ask(&["INFO", "replication"]).matches("state=online").count();
        servers.servers[1..].iter().any(|server| said(server) == 2)
    };
    let (mut number, mut made) = (52, 0);
    while !is_whole() {
        number += 1;
        let Ok(read) = store.load(&agent(number).about(number)).await else { continue };
        match store.commit(agent(number).login(read)).await {
            Ok(_) => made += 1,
            // On a busy machine sentinels may choose once more, and connections end.
            Err(error) => assert!(!format!("{error:?}").contains("TooFewReplicas"), "{error:?}"),
        }
    }
    println!("{made} of {} commits were made until the old master followed", number - 52);
    assert!(made > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_replicas_leave_a_commit_in_doubt_and_the_reply_too() {
    let server = Redis::start(&[]);
    let mut options = durable(hasty(&server), 1);
    options.durability.timeout = Duration::from_millis(50);
    let cluster = cluster();
    let fast = begun(cluster.clone(), hasty(&server)).await;
    let store = RedisStore::open(cluster, options).await.unwrap();
    let mut commit = login(&store, 1).await;
    commit.reply = Some(reply("r", 100));
    let doubtful = store.commit(commit.clone()).await;
    assert!(matches!(doubtful, Err(CommitError::Store(StoreError::InDoubt(_)))), "{doubtful:?}");
    assert!(matches!(store.commit(commit).await, Err(CommitError::Moved)), "it holds");
    assert!(matches!(store.reply(&request_id("r"), at(0)).await, Err(StoreError::InDoubt(_))));
    assert_eq!(fast.reply(&request_id("r"), at(0)).await.unwrap(), Some(reply("r", 100)));
    assert!(matches!(store.tell(login(&store, 2).await.events, at(0)).await, Err(StoreError::InDoubt(_))));
    assert!(matches!(store.phone(&"SEP000000000001".parse().unwrap()).await, Ok(Some(_))), "reads go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_11_a_reply_that_a_master_found_is_not_given_where_another_one_has_taken_over_without_it() {
    let servers = Fault::Partition.start();
    let mut options = Fault::Partition.options(&servers, 1);
    options.durability.timeout = Duration::from_millis(100);
    let store = begun(cluster(), options).await;
    log_in(&store, 1, &agent(1)).await;
    let mut commit = login(&store, 2).await;
    commit.reply = Some(reply("r", 100));
    admit_others(&servers.servers[0], false);
    let doubtful = store.commit(commit).await;
    assert!(matches!(doubtful, Err(CommitError::Store(StoreError::InDoubt(_)))), "{doubtful:?}");
    let (stop, stopped) = watch::channel(false);
    let asking = (0..8).map(|_| {
        let (store, stopped) = (Arc::clone(&store), stopped.clone());
        async move {
            let (mut given, mut asked) = (0, 0);
            while !*stopped.borrow() {
                given += usize::from(matches!(store.reply(&request_id("r"), at(0)).await, Ok(Some(_))));
                asked += 1;
            }
            (given, asked)
        }
    });
    let asking: JoinSet<_> = asking.collect();
    tokio::task::block_in_place(|| failed_over_for_all(&servers));
    commit_at_last(&store, 3).await;
    stop.send_replace(true);
    let (given, asked): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().unzip();
    assert!(asked.iter().all(|asked| *asked > 1), "{asked:?}");
    assert_eq!(given, [0; 8]);
    assert!(!matches!(store.reply(&request_id("r"), at(0)).await, Ok(Some(_))));
}

/// Waits until these many replicas must have each change.
async fn needs(store: &RedisStore, needed: u32) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        pace.tick().await;
        let about = store.about().await;
        if about.as_ref().is_ok_and(|about| about.needed == needed) {
            return;
        }
        assert!(Instant::now() < deadline, "{needed} are needed at last: {about:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_that_sentinels_see_must_have_a_commit_and_a_dead_one_stops_none() {
    // A busy machine must not make the master look dead.
    let mut servers = Replicated::start(2).watched_by(2_000);
    let mut options = durable(behind_sentinel(&servers), 1);
    options.durability.timeout = Duration::from_secs(30);
    let store = begun(cluster(), options).await;
    needs(&store, 2).await;
    servers.servers[2].kill();
    log_in(&store, 1, &agent(1)).await;
    needs(&store, 1).await;
    servers.servers[2].start_again();
    needs(&store, 2).await;
    // It stands still, so that no connection ends.
    servers.servers[1].pause();
    log_in(&store, 2, &agent(2)).await;
    needs(&store, 1).await;
    servers.servers[1].resume();
    needs(&store, 2).await;
    log_in(&store, 3, &agent(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_that_a_cluster_does_not_hold_for_failed_must_have_a_commit() {
    let nodes = Cluster::start();
    let cluster = cluster();
    let options = RedisOptions::of(RedisServers::Cluster { urls: nodes.urls() });
    let mut options = durable(options, 1);
    options.durability.timeout = Duration::from_secs(30);
    let owner = nodes.owner(&format!("roamline:{{{cluster}}}:events"));
    let mut replicas: Vec<_> = (0..2).map(|_| nodes.replica_of(owner)).collect();
    let store = begun(cluster, options).await;
    needs(&store, 2).await;
    log_in(&store, 1, &agent(1)).await;
    replicas[0].kill();
    log_in(&store, 2, &agent(2)).await;
    needs(&store, 1).await;
    replicas[0].start_again();
    needs(&store, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sentinels_that_do_not_tell_of_replicas_are_told_of() {
    let servers = Replicated::start(1).watched();
    let secret = format!(">{PASSWORD}");
    for sentinel in &servers.sentinels {
        let rules = ["-@all", "+@connection", "+sentinel|get-master-addr-by-name", "+sentinel|master"];
        let answer = sentinel.ask(&[&["ACL", "SETUSER", "roamline", "on", &secret][..], &rules].concat());
        assert!(answer.starts_with("+OK"), "{answer}");
    }
    let options = RedisOptions::of(RedisServers::Sentinel {
        urls: servers.sentinel_urls(),
        master: MASTER.into(),
        username: Some("roamline".into()),
        password: Some(PASSWORD.into()),
    });
    RedisStore::open(cluster(), options.clone()).await.expect("no replica must have anything");
    let refused = RedisStore::open(cluster(), durable(options, 1)).await;
    let Err(OpenError::NotPermitted { commands, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(commands, ["sentinel|replicas"]);
}
