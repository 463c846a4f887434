//! How a database is opened, and what is found there.

mod tls;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use roamline_store::SessionStore;
use roamline_store::conformance::fixture::{agent, everything, log_in};
use roamline_store_sql::{OpenError, PostgresOptions, SqlDatabase, SqlStore};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::OPTIONS;
use crate::server::{PASSWORD, database, raw};

async fn open(url: &str) -> Result<SqlStore, OpenError> {
    SqlStore::open_postgres(url, "main".parse().unwrap(), OPTIONS).await
}

fn look(url: &str) -> SqlDatabase {
    SqlDatabase::postgres(url, OPTIONS).unwrap()
}

async fn error(url: &str) -> OpenError {
    open(url).await.map(drop).unwrap_err()
}

async fn count(db: &DatabaseConnection, from: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {from}");
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_that_open_a_new_database_at_once_all_find_it_made() {
    let url = database().await;
    let migrations = look(&url).pending().await.unwrap().len();
    let opened = join_all((0..8).map(|_| open(&url))).await;
    let stores: Vec<_> = opened.into_iter().map(|store| Arc::new(store.unwrap())).collect();
    for (number, store) in (1..).zip(&stores) {
        log_in(store, number, &agent(number)).await;
    }
    assert_eq!(stores[0].list(None, None, 100).await.unwrap().len(), 8);
    assert_eq!(count(&raw(&url).await, "seaql_migrations").await, migrations as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_that_migrate_a_new_database_at_once_one_does_and_the_others_find_it_done() {
    let url = database().await;
    let pending = look(&url).pending().await.unwrap();
    let applied = join_all((0..8).map(|_| async { look(&url).migrate().await.unwrap() })).await;
    assert_eq!(applied.iter().filter(|applied| **applied == pending).count(), 1, "{applied:?}");
    assert_eq!(applied.iter().filter(|applied| applied.is_empty()).count(), 7, "{applied:?}");
    assert!(look(&url).pending().await.unwrap().is_empty());
    assert_eq!(count(&raw(&url).await, "seaql_migrations").await, pending.len() as i64);
}

#[tokio::test]
async fn looking_at_a_new_database_or_opening_it_as_it_is_changes_nothing() {
    let url = database().await;
    let pending = look(&url).pending().await.unwrap();
    assert_eq!(pending.first().map(String::as_str), Some("m0001_first"));
    let refused = look(&url).open("main".parse().unwrap()).await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Pending { migrations, .. } if *migrations == pending),
        "{refused:?}"
    );
    assert_eq!(count(&raw(&url).await, "information_schema.tables WHERE table_schema = 'public'").await, 0);
}

/// Migrations are for a user who may make tables; a server need not be one.
#[tokio::test]
async fn a_user_who_may_not_make_tables_can_open_and_use_them() {
    let url = database().await;
    let modest = format!("{url}&user=modest");
    let admin = raw(&url).await;
    admin.execute_unprepared("CREATE ROLE modest LOGIN").await.unwrap();
    look(&url).migrate().await.unwrap();
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO modest";
    admin.execute_unprepared(grant).await.unwrap();
    assert!(look(&modest).pending().await.unwrap().is_empty());
    let store = Arc::new(look(&modest).open("main".parse().unwrap()).await.unwrap());
    log_in(&store, 1, &agent(1)).await;
    assert_eq!(store.list(None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_a_database_that_is_not() {
    let url = database().await;
    let gone = error(&url.replace("host=", "host=/nonexistent")).await;
    assert!(matches!(gone, OpenError::Unreachable { .. }), "{gone:?}");
    let refused = error("postgres://postgres@127.0.0.1:1/x").await;
    assert!(matches!(refused, OpenError::Unreachable { .. }), "{refused:?}");
    let nowhere = error(&format!("{url}&dbname=nowhere")).await;
    assert!(matches!(nowhere, OpenError::Unusable { .. }), "{nowhere:?}");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let url = database().await;
    let store = Arc::new(open(&url).await.unwrap());
    log_in(&store, 1, &agent(1).on_line(1)).await;
    let before = everything(&store).await;
    drop(store);
    let store = Arc::new(open(&url).await.unwrap());
    assert_eq!(everything(&store).await, before);
}

#[tokio::test]
async fn an_event_of_another_process_is_learnt_of_without_asking() {
    let url = database().await;
    let options = PostgresOptions::default();
    let open = || SqlStore::open_postgres(&url, "main".parse().unwrap(), options);
    let (one, two) = (Arc::new(open().await.unwrap()), open().await.unwrap());
    let mut latest = two.latest();
    assert_eq!(*latest.borrow_and_update(), 0);
    log_in(&one, 1, &agent(1)).await;
    tokio::time::timeout(Duration::from_secs(30), latest.changed()).await.expect("it is learnt of").unwrap();
    assert_eq!(*latest.borrow(), 1);
}

#[tokio::test]
async fn one_connection_for_reading_is_kept_however_few_are_allowed() {
    let url = database().await;
    let options = PostgresOptions { max_connections: 0, look_every: Duration::ZERO };
    let store = Arc::new(SqlStore::open_postgres(&url, "main".parse().unwrap(), options).await.unwrap());
    log_in(&store, 1, &agent(1)).await;
    assert_eq!(store.list(None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_by_what_it_knows() {
    let url = database().await;
    drop(open(&url).await.unwrap());
    let other = raw(&url).await;
    other.execute_unprepared("INSERT INTO seaql_migrations VALUES ('m9999_later', 0)").await.unwrap();
    let refused = error(&url).await;
    assert!(
        matches!(&refused, OpenError::Newer { migration, .. } if migration == "m9999_later"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let url = database().await;
    let other = raw(&url).await;
    other.execute_unprepared("CREATE TABLE principal (x TEXT)").await.unwrap();
    let refused = error(&url).await;
    assert!(matches!(refused, OpenError::Migrate { .. }), "{refused:?}");
    assert_eq!(count(&other, "information_schema.tables WHERE table_schema = 'public'").await, 1);
}

/// The database's own order is that of a language.
#[tokio::test]
async fn every_text_is_in_the_order_of_bytes() {
    let url = database().await;
    drop(open(&url).await.unwrap());
    let texts = "information_schema.columns WHERE table_schema = 'public' AND data_type = 'text'";
    let db = raw(&url).await;
    assert!(count(&db, texts).await > 30);
    assert_eq!(count(&db, &format!("{texts} AND collation_name IS DISTINCT FROM 'C'")).await, 0);
}

#[tokio::test]
async fn no_error_tells_the_password() {
    let url = database().await;
    let elsewhere = format!("postgres://postgres:{PASSWORD}@localhost/x?host=/nonexistent");
    let refused = [
        format!("mysql://root:{PASSWORD}@localhost/x"),
        format!("postgres://postgres:{PASSWORD}@[::1/x"),
        format!("postgres://postgres:{PASSWORD}@localhost:port/x"),
        format!("{elsewhere}&sslmode=perhaps"),
        elsewhere,
        format!("{url}&dbname=nowhere"),
        format!("{url}&user=nobody"),
        format!("{url}&sslmode=verify-full"),
    ];
    for url in refused {
        let refused = error(&url).await;
        let mut told = format!("{refused:?} {refused}");
        let mut cause = refused.source();
        while let Some(because) = cause {
            told.push_str(&format!(" {because}"));
            cause = because.source();
        }
        assert!(!told.contains(PASSWORD), "{told}");
        let is_address = url.contains("host=") && !url.contains("perhaps");
        assert_eq!(matches!(refused, OpenError::Url { .. }), !is_address, "{told}");
    }
    assert!(!format!("{:?}", open(&url).await.unwrap()).contains(PASSWORD));
    assert!(!format!("{:?} {}", look(&url), look(&url)).contains(PASSWORD));
}
