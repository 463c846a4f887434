//! Many clients at once on three servers, while servers and Redis are killed, stopped and failed over: afterwards it is
//! checked that what was answered can have been. With `ROAMLINE_TEST_FULL` the runs are long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects"
)]

mod check;
mod check_tests;
mod client;
#[path = "../product/clients.rs"]
#[allow(dead_code, reason = "the other tests of the product use all of it")]
mod clients;
mod faults;
#[path = "../../crates/store-sql/tests/postgres/starter.rs"]
#[allow(dead_code, reason = "the tests of the store use all of it")]
mod postgres;
#[path = "../product/process.rs"]
#[allow(dead_code, reason = "the other tests of the product use all of it")]
mod process;
mod run;
#[path = "../../crates/store-redis/tests/redis/starter.rs"]
mod servers;

use std::time::Duration;

use crate::check::Report;
use crate::faults::{Faults, Sentinels, Standalone};
use crate::run::{Run, run};
use crate::servers::{Redis, Replicated};

fn full() -> bool {
    std::env::var_os("ROAMLINE_TEST_FULL").is_some()
}

/// Nothing acknowledged is lost, no phone holds two, no user is on two phones, nothing ends too early or twice.
fn holds(report: &Report) {
    assert!(report.logins > 0 && report.by_clock > 0, "the run was one: {report:?}");
    let shown: Vec<_> = report.violations.iter().take(20).map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{} violations: {}", report.violations.len(), shown.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_9_and_lo_5_hold_while_servers_and_a_redis_with_aof_are_killed_and_stopped() {
    let redis = Redis::start(&["appendonly yes", "appendfsync always"]);
    let settings = vec![("REDIS__URL".into(), redis.url())];
    let name = "Redis with AOF, durability off";
    let faults = Faults::Standalone(Standalone::new(redis));
    let report = run(
        Run {
            name,
            database: "historyaof",
            settings,
            length: Duration::from_secs(if full() { 300 } else { 15 }),
        },
        faults,
    )
    .await;
    holds(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_9_and_lo_5_hold_while_sentinels_fail_over_and_replicas_must_have_each_change() {
    let redis = Replicated::start(2).watched();
    let mut settings = sentinels(&redis);
    settings.push(("REDIS__DURABILITY__REPLICAS".into(), "1".into()));
    let name = "Redis behind Sentinel, durability.replicas = 1";
    let length = Duration::from_secs(if full() { 300 } else { 20 });
    let run_of = Run { name, database: "historydurable", settings, length };
    holds(&run(run_of, Faults::Sentinels(Sentinels::new(redis))).await);
}

fn sentinels(redis: &Replicated) -> Vec<(String, String)> {
    let urls: Vec<_> = redis.sentinel_urls().iter().map(|url| format!("{url:?}")).collect();
    vec![
        ("REDIS__SENTINEL__URLS".into(), format!("[{}]", urls.join(", "))),
        ("REDIS__SENTINEL__MASTER".into(), servers::MASTER.into()),
        ("REDIS__USERNAME".into(), faults::USER.into()),
        ("REDIS__PASSWORD".into(), servers::PASSWORD.into()),
    ]
}
