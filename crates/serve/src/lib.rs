//! How a service becomes a process: configuration, listeners, the layers around every service, health, readiness,
//! telemetry, tasks, and a shutdown that ends.
//!
//! Everything that touches the outside of a process is here, once: the clock, randomness for ids, spawned tasks, and
//! the metrics library. Services take them as values.

mod admin;
mod api;
mod call_metrics;
mod clock;
pub mod config;
mod connection;
mod front;
mod ids;
mod listeners;
pub mod metrics;
mod readiness;
mod server;
mod tasks;
pub mod telemetry;

pub use api::{Api, MAX_REQUEST_BYTES};
pub use clock::{Clock, ManualClock};
pub use ids::Ids;
pub use listeners::Listeners;
pub use readiness::{Hold, Readiness};
pub use server::{Outset, Process, ServeConfig, ServeError, serve, serve_later};
pub use tasks::Tasks;
