//! What happens when a server or a connection is not as it should be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roamline_store::conformance::fixture::{agent, at, everything, log_in, reply, request_id};
use roamline_store::{Commit, CommitError, EventsError, SessionStore, StoreError};
use roamline_store_redis::{RedisOptions, RedisStore};

use crate::starter::{Redis, Replicated, wait_until};
use crate::{begun, cluster, durable};

/// Commands fail soon.
pub(crate) fn hasty(server: &Redis) -> RedisOptions {
    RedisOptions { command_timeout: Duration::from_millis(500), ..RedisOptions::standalone(server.url()) }
}

pub(crate) async fn login(store: &RedisStore, number: u32) -> Commit {
    agent(number).login(store.load(&agent(number).about(number)).await.unwrap())
}

fn is_unavailable<T>(result: &Result<T, CommitError>) -> bool {
    matches!(result, Err(CommitError::Store(StoreError::Unavailable(_))))
}

/// Tries until the commit is made, decided anew each time.
pub(crate) async fn commit_at_last(store: &Arc<RedisStore>, number: u32) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        assert!(Instant::now() < deadline, "no commit is made any more");
        let Ok(read) = store.load(&agent(number).about(number)).await else { continue };
        if read.held.phone.session.is_some() || store.commit(agent(number).login(read)).await.is_ok() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_unavailable_until_it_is_back_with_its_append_only_file() {
    let mut server = Redis::start(&["appendonly yes", "appendfsync everysec"]);
    let store = begun(cluster(), hasty(&server)).await;
    for number in 1..=20 {
        log_in(&store, number, &agent(number)).await;
    }
    let next = login(&store, 30).await;
    let before = everything(&store).await;

    server.kill();
    let failed = store.commit(next.clone()).await;
    assert!(
        matches!(failed, Err(CommitError::Store(StoreError::Unavailable(_) | StoreError::InDoubt(_)))),
        "{failed:?}"
    );
    assert!(is_unavailable(&store.commit(next).await), "nothing can have been sent");
    assert!(matches!(
        store.phone(&"SEP000000000001".parse().unwrap()).await,
        Err(StoreError::Unavailable(_))
    ));

    server.start_again();
    commit_at_last(&store, 30).await;
    assert_eq!(store.list(None, None, 100).await.unwrap().len(), 21);
    let after = everything(&store).await;
    assert_ne!(before, after);

    let events = store.events(0, 100).await.unwrap().events;
    let places: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(places[..20], (1..=20).collect::<Vec<_>>());
    assert!(places.len() == 21 && places[20] > 1_000_000, "{places:?}");
    assert_eq!(store.events(20, 10).await.unwrap().events.len(), 1, "who was at the last one goes on");
    assert!(
        matches!(store.events(21, 10).await, Err(EventsError::TooOld { .. })),
        "a place that is in nobody's log"
    );
    let mut latest = store.latest();
    let known = tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|last| *last == places[20]));
    known.await.expect("it follows others again").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_in_doubt_and_its_reply_tells() {
    let server = Redis::start(&[]);
    let store = begun(cluster(), hasty(&server)).await;
    let mut commit = login(&store, 1).await;
    commit.reply = Some(reply("r", 100));
    server.pause();
    let doubtful = store.commit(commit).await;
    server.resume();
    assert!(matches!(doubtful, Err(CommitError::Store(StoreError::InDoubt(_)))), "{doubtful:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    let told = loop {
        assert!(Instant::now() < deadline, "the server is not found again");
        match store.reply(&request_id("r"), at(0)).await {
            Ok(told) => break told,
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
        }
    };
    let held = store.load(&agent(1).about(1)).await.unwrap().held.phone;
    assert_eq!(told.is_some(), held.session.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_are_made_anew() {
    let server = Redis::start(&[]);
    let (id, options) = (cluster(), hasty(&server));
    let store = begun(id.clone(), options.clone()).await;
    log_in(&store, 1, &agent(1)).await;
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    commit_at_last(&store, 2).await;
    let other = Arc::new(RedisStore::open(id, options).await.unwrap());
    log_in(&other, 3, &agent(3)).await;
    let mut latest = store.latest();
    let last = *other.latest().borrow();
    let known = tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|known| *known == last));
    known.await.expect("it follows others again").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_were_flushed_are_not_missed() {
    let servers = Replicated::start(1);
    for options in [hasty(&servers.servers[0]), durable(hasty(&servers.servers[0]), 1)] {
        let store = begun(cluster(), options).await;
        servers.servers[0].ask(&["SCRIPT", "FLUSH"]);
        let read = login(&store, 1).await;
        servers.servers[0].ask(&["SCRIPT", "FLUSH"]);
        store.commit(read).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_full_or_refuses_to_write_is_unavailable_and_nothing_changes() {
    let server = Redis::start(&[]);
    let store = begun(cluster(), hasty(&server)).await;
    log_in(&store, 1, &agent(1)).await;
    let next = login(&store, 2).await;
    let before = everything(&store).await;
    for (setting, bad, good) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "3", "0")] {
        server.ask(&["CONFIG", "SET", setting, bad]);
        let refused = store.commit(next.clone()).await;
        assert!(is_unavailable(&refused), "{setting}: {refused:?}");
        let Err(CommitError::Store(StoreError::Unavailable(source))) = refused else { unreachable!() };
        assert!(
            source.to_string().contains(if setting == "maxmemory" { "OOM" } else { "NOREPLICAS" }),
            "{source}"
        );
        server.ask(&["CONFIG", "SET", setting, good]);
        assert_eq!(everything(&store).await, before);
    }
    store.commit(next).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_used_no_more() {
    let servers = Replicated::start(1);
    let master = &servers.servers[0];
    let store = begun(cluster(), hasty(master)).await;
    let next = login(&store, 1).await;
    master.ask(&["REPLICAOF", &servers.servers[1].host(), &servers.servers[1].port.to_string()]);
    let refused = store.commit(next).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    master.ask(&["REPLICAOF", "NO", "ONE"]);
    commit_at_last(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_cannot_be_read_are_corrupt() {
    let server = Redis::start(&[]);
    let cluster = cluster();
    let store = begun(cluster.clone(), hasty(&server)).await;
    log_in(&store, 1, &agent(1)).await;
    let (phone, field) = ("SEP000000000001", "\0\0\0\0\0\u{1}");
    let key = |name: &str| format!("roamline:{{{cluster}}}:{name}");
    let (other, missing) = ("1:1:{}", "1:wnameofnothing!");
    for record in
        ["", "1", "1:", other, "1:x", "x:n", "-1:n", "1:w", missing, "1:n\u{8}", "1:n0", "1:anameofnothing!"]
    {
        server.ask(&["HSET", &key("phones"), field, record]);
        let read = store.phone(&phone.parse().unwrap()).await;
        assert!(
            matches!(&read, Err(StoreError::Corrupt { what, .. }) if what.contains(phone)),
            "{record}: {read:?}"
        );
        assert!(matches!(store.list(None, None, 1).await, Err(StoreError::Corrupt { .. })));
    }
    server.ask(&["XADD", &key("events"), "2-0", "a", "0", "e", "no event"]);
    server.ask(&["HSET", &key("meta"), "seq", "2"]);
    assert!(matches!(store.events(1, 10).await, Err(EventsError::Store(StoreError::Corrupt { .. }))));
    server.ask(&["HSET", &key("replies"), "r", "no reply"]);
    assert!(matches!(store.reply(&request_id("r"), at(0)).await, Err(StoreError::Corrupt { .. })));
    server.ask(&["DEL", &key("phones")]);
    server.ask(&["SET", &key("phones"), "somebody else's"]);
    assert!(matches!(store.phone(&phone.parse().unwrap()).await, Err(StoreError::Corrupt { .. })));
    wait_until("the server", || server.ask(&["PING"]).contains("PONG"));
}
