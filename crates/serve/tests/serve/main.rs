//! A whole process on loopback, and everything that comes to its ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

mod elsewhere;
mod limits;
mod running;
mod server;
mod tls;
