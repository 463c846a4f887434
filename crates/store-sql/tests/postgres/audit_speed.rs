//! How fast the audit trail takes records, and how many bytes one costs, of 100,000 or as many as `RECORDS` says:
//! `cargo test -p roamline-store-sql --test postgres -- --ignored --nocapture speed_of_the_trail`.
#![allow(clippy::print_stdout, reason = "what was measured is for people")]

use std::time::Instant;

use roamline_domain::audit::{AuditKind, AuditRecord, EventMark};
use roamline_store::conformance::fixture::{at, phone};
use roamline_store::{AuditPlace, AuditQuery, AuditStep, AuditStore};
use roamline_store_sql::{SqlStore, SqliteOptions};
use sea_orm::{DbBackend, Statement};

use crate::OPTIONS;
use crate::server::{database, raw};

/// As a login of the demo site is written, with its session, and as a logout is.
const BODIES: [usize; 2] = [1_200, 520];

fn step(from: &AuditPlace, number: u64) -> AuditStep {
    let mut to = from.clone();
    let mut records = Vec::new();
    for _ in 0..number {
        let login = to.number.is_multiple_of(2);
        let body = "x".repeat(BODIES[usize::from(!login)]);
        to = AuditPlace {
            sequence: to.sequence + 1,
            fingerprint: vec![7; 8],
            number: to.number + 1,
            hash: to.hash.then(&body),
        };
        records.push(AuditRecord {
            number: to.number,
            at: at(to.number as i64 / 100),
            kind: if login { AuditKind::Login } else { AuditKind::Logout },
            phone: phone(to.number as u32 % 5_000).to_string(),
            user: format!("agent{}", to.number % 5_000),
            body,
            event: Some(EventMark { sequence: to.sequence, fingerprint: to.fingerprint.clone() }),
            hash: to.hash,
        });
    }
    AuditStep { from: from.clone(), to, records, live: Vec::new(), ended: Vec::new() }
}

/// Feeds the trail as the session service does, in steps of that many; how many there are then.
async fn feed(name: &str, store: &SqlStore, size: u64, records: u64) -> u64 {
    let began = Instant::now();
    let mut fed = 0;
    while fed < records {
        let place = store.place().await.unwrap();
        assert!(store.recorded(place.sequence, place.sequence + size).await.unwrap().is_empty());
        store.append(step(&place, size)).await.unwrap();
        fed += size;
    }
    let rate = fed as f64 / began.elapsed().as_secs_f64();
    println!("{name}: steps of {size}: {rate:.0} records/s");
    store.place().await.unwrap().number
}

async fn measure(name: &str, store: &SqlStore) -> u64 {
    let records = std::env::var("RECORDS").ok().and_then(|number| number.parse().ok()).unwrap_or(100_000);
    feed(name, store, 500, records).await;
    feed(name, store, 25, records / 20).await;
    let all = feed(name, store, 1, records / 200).await;
    for (what, query) in [
        ("one user", AuditQuery { user: Some("agent77".into()), ..AuditQuery::default() }),
        (
            "the last hundred seconds",
            AuditQuery { from: Some(at(all as i64 / 100 - 100)), ..AuditQuery::default() },
        ),
        ("a kind", AuditQuery { kinds: vec![AuditKind::Logout], ..AuditQuery::default() }),
    ] {
        let began = Instant::now();
        let found = store.records(&query, 0, 100).await.unwrap().len();
        println!("{name}: the first {found} records of {what}: {:.1?}", began.elapsed());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_the_trail_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let store =
        SqlStore::open_sqlite(&path, "main".parse().unwrap(), SqliteOptions::default()).await.unwrap();
    let all = measure("SQLite", &store).await;
    println!("SQLite: {} bytes a record", std::fs::metadata(&path).unwrap().len() / all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_the_trail_in_postgresql() {
    let url = database().await;
    let store = SqlStore::open_postgres(&url, "main".parse().unwrap(), OPTIONS).await.unwrap();
    let all = measure("PostgreSQL", &store).await;
    let sql = "SELECT pg_total_relation_size('audit_record')";
    let row = raw(&url).await;
    let rows =
        sea_orm::ConnectionTrait::query_all_raw(&row, Statement::from_string(DbBackend::Postgres, sql));
    let bytes: i64 = rows.await.unwrap()[0].try_get_by_index(0).unwrap();
    println!("PostgreSQL: {} bytes a record", bytes as u64 / all);
}
