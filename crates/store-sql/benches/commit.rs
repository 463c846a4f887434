//! What a login and a logout cost the store: `cargo bench -p roamline-store-sql`. One iteration is a login and a
//! logout at each of so many phones at once, loads included.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use roamline_domain::phone_state::Configuration;
use roamline_store::conformance::fixture::{agent, logout, phone};
use roamline_store::{About, SessionStore};
use roamline_store_sql::{SqlStore, SqliteOptions, Synchronous};
use tokio::runtime::Runtime;

async fn login_and_logout(store: &SqlStore, number: u32) {
    let who = agent(number).on_line(number);
    let mut login = who.login(store.load(&who.about(number)).await.unwrap());
    login.states[0].wears = Configuration(vec![7; 2_000].into());
    store.commit(login).await.unwrap();
    let read = store.load(&About::phone(phone(number))).await.unwrap();
    store.commit(logout(read)).await.unwrap();
}

fn commits(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for (name, synchronous) in [("full", Synchronous::Full), ("normal", Synchronous::Normal)] {
        let mut group = criterion.benchmark_group(name);
        for phones in [1, 16, 64] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("roamline.db");
            let opened = SqlStore::open_sqlite(&path, "main".parse().unwrap(), SqliteOptions { synchronous });
            let store = Arc::new(runtime.block_on(opened).unwrap());
            group.throughput(Throughput::Elements(u64::from(phones) * 2));
            group.sample_size(20);
            group.bench_function(format!("{phones} phones"), |bencher| {
                bencher.to_async(&runtime).iter(|| async {
                    join_all((1..=phones).map(|number| login_and_logout(&store, number))).await
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, commits);
criterion_main!(benches);
