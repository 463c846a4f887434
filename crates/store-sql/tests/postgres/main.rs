//! PostgreSQL keeps what the traits promise, also where two processes use one database.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test is given must be there"
)]

mod audit_speed;
mod fault;
mod open;
mod pair;
mod server;
mod speed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_store::conformance_suite;
use roamline_store_sql::{PostgresOptions, SqlStore};
use tokio::sync::OnceCell;

use crate::pair::Pair;

/// Few connections, and a quick eye for what others do.
const OPTIONS: PostgresOptions = PostgresOptions { max_connections: 6, look_every: Duration::from_millis(5) };

/// The database of all cases, and a cluster that is new to it.
async fn cluster() -> (&'static str, ClusterId) {
    static DATABASE: OnceCell<String> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let cluster = format!("case-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    (DATABASE.get_or_init(server::database).await, cluster.parse().unwrap())
}

async fn one() -> (Arc<SqlStore>, ()) {
    let (url, cluster) = cluster().await;
    (Arc::new(SqlStore::open_postgres(url, cluster, OPTIONS).await.unwrap()), ())
}

async fn two() -> (Arc<Pair>, ()) {
    let (url, cluster) = cluster().await;
    let open = || SqlStore::open_postgres(url, cluster.clone(), OPTIONS);
    (Arc::new(Pair::new([open().await.unwrap(), open().await.unwrap()])), ())
}

conformance_suite!(postgres, one());
conformance_suite!(postgres_of_two_processes, two());
