//! What happens when the disk, the file or a row is not as it should be.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark};
use roamline_domain::phone_state::Configuration;
use roamline_store::conformance::fixture::{agent, at, everything, line, log_in, log_out, phone, since};
use roamline_store::{About, Change, Commit, CommitError, DirectoryError, Expect, TokenStore};
use roamline_store::{AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore};
use roamline_store::{KeyRecord, SessionStore, StoreError};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, QueryFilter, QueryTrait};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::entity::phone_state;
use crate::{SqlStore, SqliteOptions, Synchronous};

async fn open() -> (Arc<SqlStore>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { synchronous: Synchronous::Normal };
    let path = directory.path().join("roamline.db");
    let store = SqlStore::open_sqlite(&path, "main".parse().unwrap(), options).await.unwrap();
    (Arc::new(store), directory)
}

/// On the connection that writes.
async fn on_writer(store: &SqlStore, sql: &str) {
    store.writers.sessions.connection().execute_unprepared(sql).await.unwrap();
}

async fn login(store: &SqlStore, number: u32) -> Commit {
    agent(number).login(store.load(&agent(number).about(number)).await.unwrap())
}

fn is_unavailable<T>(result: &Result<T, CommitError>) -> bool {
    matches!(result, Err(CommitError::Store(StoreError::Unavailable(_))))
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_works_again_when_there_is_room() {
    let (store, _directory) = open().await;
    log_in(&store, 1, &agent(1)).await;
    let before = everything(&store).await;
    on_writer(&store, "PRAGMA max_page_count = 1").await;
    let mut large = login(&store, 2).await;
    large.states[0].wears = Configuration(vec![7; 1 << 20].into());
    let small = login(&store, 3).await;
    let refused = store.commit(large.clone()).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    assert_eq!(everything(&store).await, before);

    on_writer(&store, "PRAGMA max_page_count = 1000000").await;
    store.commit(large).await.unwrap();
    store.commit(small).await.unwrap();
    assert_eq!(store.list(None, None, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn all_commits_of_a_step_that_fails_are_told_so() {
    let (store, _directory) = open().await;
    let mut commits = Vec::new();
    for number in 1..=20 {
        let mut commit = login(&store, number).await;
        commit.states[0].wears = Configuration(vec![7; 1 << 18].into());
        commits.push(commit);
    }
    on_writer(&store, "PRAGMA max_page_count = 1").await;
    let refused = join_all(commits.iter().cloned().map(|commit| store.commit(commit))).await;
    assert!(refused.iter().all(is_unavailable), "{refused:?}");
    assert!(store.list(None, None, 100).await.unwrap().is_empty());
    on_writer(&store, "PRAGMA max_page_count = 1000000").await;
    for made in join_all(commits.into_iter().map(|commit| store.commit(commit))).await {
        made.unwrap();
    }
}

#[tokio::test]
async fn a_read_only_file_is_unavailable_and_can_be_read() {
    let (store, _directory) = open().await;
    log_in(&store, 1, &agent(1)).await;
    let before = everything(&store).await;
    let next = login(&store, 2).await;
    on_writer(&store, "PRAGMA query_only = 1").await;
    let refused = store.commit(next.clone()).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    let create = Change::Put { resource: line("1"), expect: Expect::Absent };
    let refused = roamline_store::DirectoryStore::commit(&*store, vec![create], at(0)).await;
    assert!(matches!(refused, Err(DirectoryError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    let key =
        KeyRecord { kid: "k".into(), pkcs8: vec![1], created_at: at(0), signs_from: None, retired_at: None };
    let refused = store.swap_keys(&[], vec![key]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.trim(at(0), since(at(0))).await, Err(StoreError::Unavailable(_))));
    assert_eq!(everything(&store).await, before);

    on_writer(&store, "PRAGMA query_only = 0").await;
    store.commit(next).await.unwrap();
}

#[tokio::test]
async fn a_file_that_another_process_writes_is_unavailable_until_it_is_free() {
    let (store, directory) = open().await;
    let url = format!("sqlite://{}", directory.path().join("roamline.db").display());
    let mut options = sea_orm::ConnectOptions::new(url);
    let other = sea_orm::Database::connect(options.max_connections(1).clone()).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    on_writer(&store, "PRAGMA busy_timeout = 10").await;
    let commit = login(&store, 1).await;
    let refused = store.commit(commit.clone()).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    other.execute_unprepared("ROLLBACK").await.unwrap();
    store.commit(commit).await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_the_commits_that_need_it_alone() {
    let (store, _directory) = open().await;
    log_in(&store, 1, &agent(1)).await;
    let mut commits = Vec::new();
    for number in 1..=10 {
        commits.push(login(&store, number).await);
    }
    on_writer(&store, "UPDATE phone_state SET epoch = 'one'").await;
    let made = join_all(commits.into_iter().map(|commit| store.commit(commit))).await;
    let [first, rest @ ..] = made.as_slice() else { panic!("ten answers") };
    assert!(matches!(first, Err(CommitError::Store(StoreError::Corrupt { .. }))), "{first:?}");
    assert!(rest.iter().all(Result::is_ok), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_whole_commits() {
    let (store, _directory) = open().await;
    let mut tasks = JoinSet::new();
    for number in 1..=100 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let limit = Duration::from_micros(u64::from(number) * 50);
            let _ = tokio::time::timeout(limit, log_in(&store, number, &agent(number))).await;
        });
    }
    tasks.join_all().await;
    log_in(&store, 200, &agent(200)).await;
    let snapshot = store.snapshot(None).await.unwrap();
    let events = store.events(0, 1_000).await.unwrap().events;
    assert_eq!(snapshot.phones.len(), events.len());
    assert_eq!(snapshot.sequence, events.len() as u64);
}

fn audit_step(from: &AuditPlace, body: &str) -> AuditStep {
    let to = AuditPlace {
        sequence: from.sequence + 1,
        fingerprint: vec![1],
        number: from.number + 1,
        hash: from.hash.then(body),
    };
    let record = AuditRecord {
        number: to.number,
        at: at(0),
        kind: AuditKind::Login,
        phone: phone(1).to_string(),
        user: "agent1".into(),
        body: body.into(),
        event: Some(EventMark { sequence: to.sequence, fingerprint: vec![1] }),
        hash: to.hash,
    };
    AuditStep { from: from.clone(), to, records: vec![record], live: Vec::new(), ended: Vec::new() }
}

async fn trail(store: &SqlStore) -> (AuditPlace, Vec<AuditRecord>) {
    let records = store.records(&AuditQuery::default(), 0, 100).await.unwrap();
    (AuditStore::place(store).await.unwrap(), records)
}

#[tokio::test]
async fn ev_1_a_full_disk_leaves_the_trail_as_it_was() {
    let (store, _directory) = open().await;
    store.append(audit_step(&AuditPlace::default(), "{}")).await.unwrap();
    let before = trail(&store).await;
    on_writer(&store, "PRAGMA max_page_count = 1").await;
    let large = audit_step(&before.0, &"x".repeat(1 << 20));
    let refused = store.append(large.clone()).await;
    assert!(matches!(refused, Err(AuditError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    assert_eq!(trail(&store).await, before);
    on_writer(&store, "PRAGMA max_page_count = 1000000").await;
    store.append(large).await.unwrap();
    assert_eq!(trail(&store).await.1.len(), 2);
}

#[tokio::test]
async fn ev_1_a_record_that_is_there_already_keeps_the_whole_step_from_being_made() {
    let (store, _directory) = open().await;
    let first = audit_step(&AuditPlace::default(), "{}");
    store.append(first.clone()).await.unwrap();
    let before = trail(&store).await;
    let mut next = audit_step(&first.to, "{}");
    next.records.extend(first.records);
    let refused = store.append(next).await;
    assert!(matches!(refused, Err(AuditError::Store(_))), "{refused:?}");
    assert_eq!(trail(&store).await, before);
}

#[tokio::test]
async fn ev_1_the_trail_of_another_cluster_is_not_seen() {
    let (store, directory) = open().await;
    store.append(audit_step(&AuditPlace::default(), "{}")).await.unwrap();
    let path = directory.path().join("roamline.db");
    let other =
        SqlStore::open_sqlite(&path, "other".parse().unwrap(), SqliteOptions::default()).await.unwrap();
    assert_eq!(trail(&other).await, (AuditPlace::default(), Vec::new()));
    assert!(other.recorded(0, 10).await.unwrap().is_empty());
    other.append(audit_step(&AuditPlace::default(), "other")).await.unwrap();
    assert_eq!(trail(&store).await.1.len(), 1);
}

#[tokio::test]
async fn sessions_of_another_cluster_are_not_seen() {
    let (store, directory) = open().await;
    log_in(&store, 1, &agent(1)).await;
    let path = directory.path().join("roamline.db");
    let other =
        SqlStore::open_sqlite(&path, "other".parse().unwrap(), SqliteOptions::default()).await.unwrap();
    let other = Arc::new(other);
    assert_eq!(*other.latest().borrow(), 0);
    assert_eq!(other.phone(&phone(1)).await.unwrap(), None);
    log_in(&other, 1, &agent(2)).await;
    log_out(&other, 1).await;
    other.trim(at(1_000), since(at(1_000))).await.unwrap();
    assert_eq!(store.list(None, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.events(0, 10).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn what_a_login_reads_is_found_by_indexes() {
    let (store, _directory) = open().await;
    let lone = About::phone(phone(1));
    for select in [
        store.about(&lone),
        store.about(&agent(1).about(1)),
        store.about(&agent(1).on_line(1).about(1)),
        store.live(Some(&agent(1).user)).filter(phone_state::Column::Phone.gt("SEP")),
    ] {
        let mut plan = select.build(DbBackend::Sqlite);
        plan.sql = format!("EXPLAIN QUERY PLAN {}", plan.sql);
        for row in store.readers.query_all_raw(plan).await.unwrap() {
            let step: String = row.try_get("", "detail").unwrap();
            assert!(!step.contains("SCAN") && !step.ends_with("(cluster_id=?)"), "{step}");
        }
    }
}
