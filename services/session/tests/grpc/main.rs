//! The session service over gRPC on loopback, with stand-ins for the services it asks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod automatic;
mod harness;
mod parameters;
mod services;
mod sessions;
mod watches;
