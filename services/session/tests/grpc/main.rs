//! The session service over gRPC on loopback, with stand-ins for the services it asks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod agents;
mod associated;
mod automatic;
mod cuts;
mod harness;
mod numbers;
mod parameters;
mod pending;
mod phone_links;
mod readers;
mod refreshes;
mod refused;
mod repeats;
mod services;
mod sessions;
mod stalled;
mod sweeps;
mod teams;
mod watches;
mod whereabouts;
