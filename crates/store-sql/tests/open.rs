//! How a store is opened, and what it finds there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what a test is given must be there")]

use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use roamline_store::SessionStore;
use roamline_store::conformance::fixture::{agent, everything, log_in, log_out};
use roamline_store_sql::{OpenError, SqlDatabase, SqlStore, SqliteOptions};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

async fn open(path: &Path) -> Result<SqlStore, OpenError> {
    SqlStore::open_sqlite(path, "main".parse().unwrap(), SqliteOptions::default()).await
}

async fn raw(path: &Path) -> DatabaseConnection {
    Database::connect(format!("sqlite://{}", path.display())).await.unwrap()
}

async fn error(path: &Path) -> OpenError {
    open(path).await.map(drop).unwrap_err()
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("roamline.db");
    let store = Arc::new(open(&path).await.unwrap());
    log_in(&store, 1, &agent(1)).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let store = Arc::new(open(&path).await.unwrap());
    log_in(&store, 1, &agent(1).on_line(1)).await;
    log_in(&store, 2, &agent(2)).await;
    log_out(&store, 2).await;
    let before = everything(&store).await;
    drop(store);
    let store = Arc::new(open(&path).await.unwrap());
    assert_eq!(everything(&store).await, before);
    assert_eq!(*store.latest().borrow(), 3);
}

#[tokio::test]
async fn two_that_open_a_new_file_at_once_both_find_it_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let (one, two) = tokio::join!(open(&path), open(&path));
    one.unwrap();
    two.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_that_migrate_a_new_file_at_once_one_does_and_the_others_find_it_done() {
    let directory = tempfile::tempdir().unwrap();
    let database = SqlDatabase::sqlite(&directory.path().join("roamline.db"), SqliteOptions::default());
    let pending = database.pending().await.unwrap();
    let applied = join_all((0..8).map(|_| async { database.migrate().await.unwrap() })).await;
    assert_eq!(applied.iter().filter(|applied| **applied == pending).count(), 1, "{applied:?}");
    assert_eq!(applied.iter().filter(|applied| applied.is_empty()).count(), 7, "{applied:?}");
    assert!(database.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn looking_for_a_file_or_opening_it_as_it_is_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let database = SqlDatabase::sqlite(&path, SqliteOptions::default());
    let pending = database.pending().await.unwrap();
    assert_eq!(pending.first().map(String::as_str), Some("m0001_first"));
    let refused = database.open("main".parse().unwrap()).await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Pending { migrations, .. } if *migrations == pending),
        "{refused:?}"
    );
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert_eq!(database.pending().await.unwrap(), pending);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
}

#[tokio::test]
async fn a_file_of_random_bytes_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let bytes: Vec<u8> = (0..8192_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let refused = error(&path).await;
    assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused:?}");
    assert!(refused.to_string().contains("roamline.db"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_path_that_cannot_be_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = error(&file.join("roamline.db")).await;
    assert!(matches!(refused, OpenError::CreateDirectory { .. }), "{refused:?}");
    let refused = error(directory.path()).await;
    assert!(matches!(refused, OpenError::CreateFile { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_by_what_it_knows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    drop(open(&path).await.unwrap());
    let other = raw(&path).await;
    other.execute_unprepared("INSERT INTO seaql_migrations VALUES ('m9999_later', 0)").await.unwrap();
    let refused = error(&path).await;
    assert!(
        matches!(&refused, OpenError::Newer { migration, .. } if migration == "m9999_later"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    std::fs::write(&path, "").unwrap();
    let other = raw(&path).await;
    other.execute_unprepared("CREATE TABLE principal (x TEXT)").await.unwrap();
    let refused = error(&path).await;
    assert!(matches!(refused, OpenError::Migrate { .. }), "{refused:?}");
    assert_eq!(schema(&other).await.trim(), "CREATE TABLE principal (x TEXT);");
}

/// Released migrations are frozen: a change of the tables is a new migration, after which this file is made anew.
#[tokio::test]
async fn the_migrations_make_the_tables_that_are_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let store = open(&path).await.unwrap();
    let made = schema(&raw(&path).await).await;
    drop(store);
    assert_eq!(made, include_str!("schema.sql"), "the tables are now:\n{made}");
}

/// The text of every migration, as it was when it was frozen. One that is there may have been applied somewhere: it is
/// never changed again, not even where the tables stay the same, because nobody could tell the two apart.
const FROZEN: &[(&str, &str)] = &[
    ("m0001_first.rs", "bc18fc0c994487b1"),
    ("m0002_imports.rs", "52043d7de141f224"),
    ("m0003_audit.rs", "d057b8036c6c8143"),
    ("m0004_credentials.rs", "57467e63213851eb"),
    ("m0005_tokens.rs", "2c1d2aa1b070b1cc"),
    ("m0006_credential_policy.rs", "cc840fc28e99898b"),
    ("m0007_federation.rs", "cd5f96abf6e31d51"),
];

#[test]
fn a_migration_is_not_changed_once_it_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migration");
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let found: Vec<_> = found
        .iter()
        .map(|path| (path.file_name().unwrap().to_str().unwrap(), fingerprint(&std::fs::read(path).unwrap())))
        .collect();
    let found: Vec<_> = found.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(found, FROZEN, "a changed one is to be changed back, a new one to be added to the list");
}

/// FNV-1a.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

async fn schema(db: &DatabaseConnection) -> String {
    let sql = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    rows.into_iter().map(|row| row.try_get::<String>("", "sql").unwrap() + ";\n").collect()
}
