//! Sessions across clusters: clusters as processes of their own on loopback, with mutual TLS between them. With
//! `ROAMLINE_TEST_FULL` the runs have their full size.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects"
)]

#[path = "../product/collector.rs"]
#[allow(dead_code, reason = "the other tests of the product use all of it")]
mod collector;
mod crowd;
mod demo;
mod hostile;
mod obstacles;
mod older;
#[path = "../product/process.rs"]
#[allow(dead_code, reason = "the other tests of the product use all of it")]
mod process;
mod proxy;
mod roaming;
mod search;
mod severed;
mod speed;
mod storm;
mod told;
mod traced;
mod world;
mod worn;

/// How many of something: few in every run, many in the full one.
fn number(few: usize, many: usize) -> usize {
    if std::env::var_os("ROAMLINE_TEST_FULL").is_some() { many } else { few }
}
