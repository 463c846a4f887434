//! The session service beside a model of its rules: random logins, logouts, handsets, clocks, parameters and restarts on
//! two replicas over every store, each operation made on both and compared. A run that differs is shrunk to the
//! shortest that does, and kept in `regressions.txt`. With `ROAMLINE_TEST_FULL`, 100,000 operations on each store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects"
)]

mod backend;
mod daily;
mod directory;
mod gate;
mod machine;
#[path = "../../crates/store-sql/tests/postgres/starter.rs"]
#[allow(dead_code, reason = "the tests of the store use all of it")]
mod postgres;
#[path = "../../crates/store-redis/tests/redis/starter.rs"]
mod redis;
mod replica;
mod rules;
mod site;
mod state;
mod step;
mod view;

use std::time::Instant;

use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::backend::{Backend, Broken, Cluster, Memory, PostgreSql, Sentinel, Sqlite, Standalone};
use crate::machine::{Beside, MADE, Rules};

/// Operations of one run, at most and at least.
const LENGTH: std::ops::Range<usize> = 50..150;

/// Makes runs with that many operations in all, or the full number where that is asked for.
fn compare<B: Backend>(operations: u32) {
    let full = std::env::var_os("ROAMLINE_TEST_FULL").is_some();
    let cases = if full { 1_050 } else { operations / 100 };
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/model/regressions.txt");
    let config = Config {
        cases,
        max_shrink_iters: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(kept))),
        ..Config::default()
    };
    let began = Instant::now();
    let ran =
        TestRunner::new(config.clone()).run(&Rules::sequential_strategy(LENGTH), |(world, steps, seen)| {
            Beside::<B>::test_sequential(config.clone(), world, steps, seen);
            Ok(())
        });
    let made = MADE.lock().expect("nobody panics with it");
    let of_all = made.iter().filter(|((backend, _), _)| *backend == B::NAME);
    let (kinds, numbers): (Vec<_>, Vec<_>) = of_all.map(|((_, kind), n)| (format!("{kind} {n}"), *n)).unzip();
    let (name, all, took) = (B::NAME, numbers.iter().sum::<u64>(), began.elapsed());
    eprintln!("{name}: {all} operations in {cases} runs, {took:.1?}: {}", kinds.join(", "));
    drop(made);
    if let Err(error) = ran {
        panic!("{name}: {error}");
    }
}

#[test]
fn the_service_keeps_the_rules_on_the_memory_store() {
    compare::<Memory>(800);
}

#[test]
fn the_service_keeps_the_rules_on_sqlite() {
    compare::<Sqlite>(500);
}

#[test]
fn the_service_keeps_the_rules_on_postgresql() {
    compare::<PostgreSql>(300);
}

#[test]
fn the_service_keeps_the_rules_on_redis() {
    compare::<Standalone>(400);
}

#[test]
fn the_service_keeps_the_rules_on_redis_behind_sentinel() {
    compare::<Sentinel>(200);
}

#[test]
fn the_service_keeps_the_rules_on_a_redis_cluster() {
    compare::<Cluster>(200);
}

/// The operations of a run by which the comparison finds what is wrong with a store, after so many steps of shrinking.
fn found<const FAULT: usize>(shrinks: u32) -> usize {
    let config =
        Config { cases: 60, max_shrink_iters: shrinks, failure_persistence: None, ..Config::default() };
    let same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let ran = TestRunner::new_with_rng(config.clone(), same).run(
        &Rules::sequential_strategy(LENGTH),
        |(world, steps, seen)| {
            Beside::<Broken<FAULT>>::test_sequential(config.clone(), world, steps, seen);
            Ok(())
        },
    );
    match ran {
        Err(TestError::Fail(_, (_, steps, _))) => steps.len(),
        other => panic!("fault {FAULT} is not found: {other:?}"),
    }
}

#[test]
fn a_store_that_breaks_its_promises_is_found_and_the_run_is_shrunk() {
    let as_found = [found::<1>(1), found::<2>(1)];
    let shrunk = found::<0>(120);
    eprintln!("faults are found in runs of {as_found:?} operations, and one is shrunk to {shrunk}");
    assert!(shrunk < LENGTH.start, "{shrunk}");
}
