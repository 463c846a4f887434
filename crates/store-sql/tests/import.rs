//! Imports outlive the process that staged them, and leave nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what a test is given must be there")]

use std::path::Path;

use roamline_store::conformance::fixture::{at, create, keep, line, person, profile};
use roamline_store::{Change, Committed, DirectoryStore, ImportStore};
use roamline_store_sql::{SqlStore, SqliteOptions, Synchronous};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

async fn open(path: &Path) -> SqlStore {
    let options = SqliteOptions { synchronous: Synchronous::Normal };
    SqlStore::open_sqlite(path, "main".parse().unwrap(), options).await.unwrap()
}

async fn raw(path: &Path) -> DatabaseConnection {
    Database::connect(format!("sqlite://{}", path.display())).await.unwrap()
}

/// Rows of the tables that belong to imports.
async fn left(db: &DatabaseConnection) -> i64 {
    let mut left = 0;
    for table in ["import", "staged_resource", "staged_claim", "staged_reference", "staged_guard"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
        left += row.try_get_by_index::<i64>(0).unwrap();
    }
    left
}

fn rows() -> Vec<(u64, Change)> {
    let changes =
        [create(profile("p", &["1"])), create(person("amy", &["p"], Some("1"))), keep(&line("2"), None)];
    (1..).zip(changes).collect()
}

#[tokio::test]
async fn dp_19_an_import_goes_on_after_the_store_was_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let store = open(&path).await;
    let import = store.open_import("file", "id", at(0)).await.unwrap();
    store.stage(&import.id, 1, rows(), 4, at(0)).await.unwrap();
    drop(store);

    let store = open(&path).await;
    let import = store.open_import("file", "another id", at(9)).await.unwrap();
    assert_eq!((import.id.as_str(), import.next_row, import.staged), ("id", 4, 2));
    assert_eq!(store.staged("id", 0, 10).await.unwrap().len(), 2);
    assert_eq!(store.find(&[profile("p", &[]).key()]).await.unwrap(), [None]);
    store.stage("id", 4, vec![(4, create(line("1")))], 5, at(9)).await.unwrap();
    drop(store);

    let store = open(&path).await;
    let committed = store.commit_import("id", at(9), false).await.unwrap();
    assert_eq!(committed, Committed { created: 3, updated: 0, deleted: 0 });
    drop(store);
    assert!(open(&path).await.find(&[line("1").key()]).await.unwrap()[0].is_some());
    assert_eq!(left(&raw(&path).await).await, 0);
}

#[tokio::test]
async fn what_imports_leave_behind_is_cleared_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let (store, db) = (open(&path).await, raw(&path).await);
    store.open_import("file", "id", at(0)).await.unwrap();
    let mut many = rows();
    many.extend((4..=12_000).map(|row| (row, create(line(&format!("{row}"))))));
    store.stage("id", 1, many, 12_001, at(0)).await.unwrap();
    assert!(store.discard_import("id").await.unwrap());
    assert_eq!(left(&db).await, 0);

    store.open_import("file", "id", at(0)).await.unwrap();
    store.stage("id", 1, rows(), 4, at(0)).await.unwrap();
    db.execute_unprepared("UPDATE import SET token = NULL").await.unwrap();
    assert_eq!(store.find_import("id").await.unwrap(), None);
    assert!(store.staged("id", 0, 10).await.unwrap().is_empty());
    assert_eq!(store.discard_imports_before(at(0)).await.unwrap(), 0);
    assert_eq!(left(&db).await, 0);
}
