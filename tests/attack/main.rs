//! What somebody does who means harm: he guesses, forges, smuggles, stalls and floods. Each attack is on a real server,
//! which must then serve an honest agent in time, be ready, and have kept its memory bounded. With `ROAMLINE_TEST_FULL`
//! the attacks have their full size.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects"
)]

mod arbitrary;
#[path = "../product/clients.rs"]
#[allow(dead_code, reason = "the other tests of the product use all of it")]
mod clients;
mod connections;
mod enumeration;
mod files;
mod floods;
mod forgery;
mod guessing;
mod messages;
mod places;
#[path = "../../crates/store-sql/tests/postgres/starter.rs"]
#[allow(dead_code, reason = "the tests of the store use all of it")]
mod postgres;
#[path = "../product/process.rs"]
#[allow(dead_code, reason = "the other tests of the product use all of it")]
mod process;
mod records;
mod replay;
#[path = "../../crates/store-redis/tests/redis/starter.rs"]
mod servers;
mod smuggling;
mod victim;
mod wire;

/// How many of something: few in every run, many in the full one.
fn number(few: usize, many: usize) -> usize {
    if std::env::var_os("ROAMLINE_TEST_FULL").is_some() { many } else { few }
}
