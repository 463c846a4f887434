//! How long imports take, of 60,000 profiles or as many as `PROFILES` says:
//! `cargo test -p roamline-store-sql --release -- --ignored --nocapture speed`.
#![allow(clippy::print_stdout, reason = "what was measured is for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use roamline_domain::directory::Resource;
use roamline_store::conformance::fixture::{at, create, line, profile, replace};
use roamline_store::{Change, DirectoryStore, ImportStore};
use roamline_store_sql::{SqlStore, SqliteOptions};
use tokio::task::JoinSet;

use crate::OPTIONS;
use crate::server::database;

fn lines(profile: u32) -> Vec<String> {
    (0..6).map(|button| format!("{:07}", profile * 6 + button)).collect()
}

fn agent(number: u32) -> Resource {
    let lines = lines(number);
    profile(&format!("agent {number:05}"), &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Imports so many changes, in chunks of 1,000, and prints how long that took.
async fn import(store: &SqlStore, name: &str, number: u32, change: impl Fn(u32) -> Change) {
    let began = Instant::now();
    let import = store.open_import(name, name, at(0)).await.unwrap();
    for from in (0..number).step_by(1_000) {
        let rows = (from..number.min(from + 1_000)).map(|row| (u64::from(row), change(row))).collect();
        let (from, next) = (u64::from(from) + 1, u64::from(number.min(from + 1_000)) + 1);
        store.stage(&import.id, from, rows, next, at(0)).await.unwrap();
    }
    let staged = began.elapsed();
    let began = Instant::now();
    store.commit_import(&import.id, at(1), true).await.unwrap();
    let checked = began.elapsed();
    let began = Instant::now();
    let committed = store.commit_import(&import.id, at(1), false).await.unwrap();
    assert_eq!(committed.created + committed.updated, u64::from(number));
    let committed = began.elapsed();
    println!(
        "{name}: {number}: staged {staged:.1?}, checked {checked:.2?}, committed and cleared {committed:.2?}"
    );
}

/// The longest time that others have to wait for their turn until the profiles are there again.
async fn longest_wait(store: &SqlStore) -> Duration {
    let mut longest = Duration::ZERO;
    for version in 0.. {
        let change = if version == 0 { create(line("9999999")) } else { replace(line("9999999"), version) };
        let began = Instant::now();
        DirectoryStore::commit(store, vec![change], at(0)).await.unwrap();
        longest = longest.max(began.elapsed());
        let first = store.find(&[agent(0).key()]).await.unwrap().remove(0);
        if first.is_some_and(|first| first.version == 2) {
            break;
        }
    }
    longest
}

async fn measure(database: &str, store: SqlStore) {
    let profiles = std::env::var("PROFILES").ok().and_then(|number| number.parse().ok()).unwrap_or(60_000);
    let store = Arc::new(store);
    let line_of = |row: u32| create(line(&lines(row / 6)[row as usize % 6]));
    import(&store, &format!("{database}, lines"), profiles * 6, line_of).await;
    let mut tasks = JoinSet::new();
    let other = Arc::clone(&store);
    tasks.spawn(async move { longest_wait(&other).await });
    import(&store, &format!("{database}, profiles of 6 lines"), profiles, |row| create(agent(row))).await;
    import(&store, &format!("{database}, the same again"), profiles, |row| replace(agent(row), 1)).await;
    let longest = tasks.join_next().await.unwrap().unwrap();
    println!("{database}: the longest that another writer waited: {longest:.2?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_imports_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let store =
        SqlStore::open_sqlite(&path, "main".parse().unwrap(), SqliteOptions::default()).await.unwrap();
    measure("SQLite", store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_imports_on_postgresql() {
    let store = SqlStore::open_postgres(&database().await, "main".parse().unwrap(), OPTIONS).await.unwrap();
    measure("PostgreSQL", store).await;
}
