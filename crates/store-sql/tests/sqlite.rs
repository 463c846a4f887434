//! SQLite keeps what the traits promise.
#![allow(clippy::expect_used, reason = "what a test is given must be there")]

use std::sync::Arc;

use roamline_store::conformance_suite;
use roamline_store_sql::{SqlStore, SqliteOptions, Synchronous};
use tempfile::TempDir;

/// An empty store in a directory of its own. Power failures are no matter of these tests.
async fn store() -> (Arc<SqlStore>, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = SqliteOptions { synchronous: Synchronous::Normal };
    let path = directory.path().join("roamline.db");
    let opened = SqlStore::open_sqlite(&path, "main".parse().expect("a cluster id"), options).await;
    (Arc::new(opened.expect("an open store")), directory)
}

conformance_suite!(sqlite, store());
