//! What happens when the server or a connection is not as it should be.

use std::sync::Arc;
use std::time::Duration;

use roamline_store::conformance::fixture::{agent, at, everything, line, log_in};
use roamline_store::{
    AuditError, AuditPlace, AuditStep, AuditStore, Change, Commit, CommitError, DirectoryError,
    DirectoryStore, Expect, KeyRecord, SessionStore, StoreError, TokenStore,
};
use roamline_store_sql::SqlStore;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use crate::OPTIONS;
use crate::server::{Server, database, raw};

async fn open(url: &str) -> Arc<SqlStore> {
    Arc::new(SqlStore::open_postgres(url, "main".parse().unwrap(), OPTIONS).await.unwrap())
}

async fn login(store: &SqlStore, number: u32) -> Commit {
    agent(number).login(store.load(&agent(number).about(number)).await.unwrap())
}

fn put(number: &str) -> Vec<Change> {
    vec![Change::Put { resource: line(number), expect: Expect::Absent }]
}

fn is_unavailable<T>(result: &Result<T, CommitError>) -> bool {
    matches!(result, Err(CommitError::Store(StoreError::Unavailable(_))))
}

/// Ends every other connection to the database that is in that state; how many there were.
async fn terminate(admin: &DatabaseConnection, which: &str) -> usize {
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    );
    admin.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_unavailable_until_it_is_back_and_has_lost_nothing() {
    let mut server = Server::start();
    let store = open(&server.url("postgres")).await;
    log_in(&store, 1, &agent(1)).await;
    let next = login(&store, 2).await;
    let before = everything(&store).await;

    server.kill();
    let about = agent(1).about(1);
    let key =
        KeyRecord { kid: "k".into(), pkcs8: vec![1], created_at: at(0), signs_from: None, retired_at: None };
    let (committed, loaded, put_in, keys) = tokio::join!(
        SessionStore::commit(&*store, next.clone()),
        store.load(&about),
        DirectoryStore::commit(&*store, put("1"), at(0)),
        store.swap_keys(&[], vec![key]),
    );
    assert!(is_unavailable(&committed), "{committed:?}");
    assert!(matches!(loaded, Err(StoreError::Unavailable(_))), "{loaded:?}");
    assert!(matches!(put_in, Err(DirectoryError::Store(StoreError::Unavailable(_)))), "{put_in:?}");
    assert!(matches!(keys, Err(StoreError::Unavailable(_))), "{keys:?}");

    server.start_again();
    assert_eq!(everything(&store).await, before);
    SessionStore::commit(&*store, next).await.unwrap();
    DirectoryStore::commit(&*store, put("1"), at(0)).await.unwrap();
    let mut latest = store.latest();
    log_in(&open(&server.url("postgres")).await, 3, &agent(3)).await;
    let learnt = tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|last| *last == 3));
    learnt.await.expect("it follows others again").unwrap();
}

#[tokio::test]
async fn connections_that_were_ended_while_they_rested_are_not_missed() {
    let url = database().await;
    let store = open(&url).await;
    log_in(&store, 1, &agent(1)).await;
    let admin = raw(&url).await;
    assert!(terminate(&admin, "true").await > 0);
    log_in(&store, 2, &agent(2)).await;
    assert_eq!(SessionStore::list(&*store, None, None, 10).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_ended_in_a_commit_is_unavailable_and_nothing_changes() {
    let url = database().await;
    let store = open(&url).await;
    log_in(&store, 1, &agent(1)).await;
    let before = everything(&store).await;
    let next = login(&store, 2).await;

    let (blocker, admin) = (raw(&url).await, raw(&url).await);
    let blocking = blocker.begin().await.unwrap();
    blocking.execute_unprepared("LOCK TABLE phone_state IN EXCLUSIVE MODE").await.unwrap();
    let ended = async { while terminate(&admin, "wait_event_type = 'Lock'").await == 0 {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended);
    let (refused, ended) = tokio::join!(SessionStore::commit(&*store, next.clone()), ended);
    ended.expect("the commit waits");
    assert!(is_unavailable(&refused), "{refused:?}");
    blocking.rollback().await.unwrap();
    assert_eq!(everything(&store).await, before);
    SessionStore::commit(&*store, next).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_1_a_connection_that_is_ended_in_a_step_of_the_trail_leaves_it_as_it_was() {
    let url = database().await;
    let store = open(&url).await;
    let to = AuditPlace { sequence: 1, fingerprint: vec![1], ..AuditPlace::default() };
    let step = AuditStep {
        from: AuditPlace::default(),
        to: to.clone(),
        records: Vec::new(),
        live: Vec::new(),
        ended: Vec::new(),
    };
    let (blocker, admin) = (raw(&url).await, raw(&url).await);
    let blocking = blocker.begin().await.unwrap();
    blocking.execute_unprepared("LOCK TABLE audit_place IN EXCLUSIVE MODE").await.unwrap();
    let ended = async { while terminate(&admin, "wait_event_type = 'Lock'").await == 0 {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended);
    let (refused, ended) = tokio::join!(store.append(step.clone()), ended);
    ended.expect("the step waits");
    assert!(matches!(refused, Err(AuditError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    blocking.rollback().await.unwrap();
    assert_eq!(AuditStore::place(&*store).await.unwrap(), AuditPlace::default());
    store.append(step).await.unwrap();
    assert_eq!(AuditStore::place(&*store).await.unwrap(), to);
}

/// A process that has its turn and is cut off does not hold up the others for ever: they are told, and can go on.
#[tokio::test]
async fn a_turn_that_does_not_come_is_unavailable() {
    let url = database().await;
    let store = open(&url).await;
    let next = login(&store, 1).await;
    let other = raw(&url).await;
    let has_turn = other.begin().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('roamline sessions of main', 0))";
    has_turn.execute_unprepared(lock).await.unwrap();
    let refused = SessionStore::commit(&*store, next.clone()).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    DirectoryStore::commit(&*store, put("1"), at(0)).await.expect("other stores have turns of their own");
    has_turn.rollback().await.unwrap();
    SessionStore::commit(&*store, next).await.unwrap();
}

#[tokio::test]
async fn what_the_server_says_is_understood_by_its_sqlstate() {
    let url = database().await;
    let store = open(&url).await;
    let admin = raw(&url).await;
    let next = login(&store, 1).await;
    let full =
        ["53100", "53200", "53300", "25006", "57P01", "57P03", "57014", "08006", "55P03", "40P01", "22027"];
    for state in full.into_iter().chain(["XX001", "XX002"]) {
        let refuse = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$; \
             CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON session_event EXECUTE FUNCTION refuse()"
        );
        admin.execute_unprepared(&refuse).await.unwrap();
        let refused = SessionStore::commit(&*store, next.clone()).await;
        let corrupt = matches!(refused, Err(CommitError::Store(StoreError::Corrupt { .. })));
        assert_eq!(corrupt, state.starts_with("XX"), "{state}: {refused:?}");
        assert_eq!(is_unavailable(&refused), !corrupt, "{state}: {refused:?}");
    }
    admin.execute_unprepared("DROP TRIGGER refuse ON session_event").await.unwrap();
    SessionStore::commit(&*store, next).await.unwrap();
}
