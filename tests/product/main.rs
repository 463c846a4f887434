//! Whole-product tests. Each starts the real `roamline` in a directory of its own, on free ports, and speaks to it as
//! users do: with `roamctl`, or over gRPC. They end only processes they started.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects"
)]

mod associated;
mod audit;
mod automatic_logout;
mod bad_input;
mod bulk;
mod bundle;
mod canaries;
mod chart;
mod clients;
mod collector;
mod credentials;
mod dashboards;
mod declarative;
mod deleting;
mod demo_site;
mod doctor;
mod imported_site;
mod kill;
mod lint;
mod on_time;
mod parameters;
mod ports;
mod postgres;
mod process;
mod recovery;
mod redis;
mod replicas;
mod rights;
mod rotation;
mod serve_role;
mod sso;
mod telemetry;
mod tls;
mod upgrade;
