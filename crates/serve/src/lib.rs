//! How a service becomes a process: configuration, listeners, the layers around every service, health, readiness,
//! telemetry, tasks, and a shutdown that ends.
//!
//! Everything that touches the outside of a process is here, once: the clock, randomness for ids, spawned tasks, and
//! the metrics library. Services take them as values.

mod accept;
mod admin;
mod allow;
mod api;
mod call_metrics;
mod clock;
pub mod config;
mod connection;
mod deadline;
mod elsewhere;
mod even_times;
mod front;
mod ids;
mod inside;
pub mod inventory;
mod listeners;
pub mod metrics;
mod open_calls;
mod otlp;
mod peer;
mod places;
mod readiness;
mod serve_config;
mod server;
mod strangers;
mod tasks;
pub mod telemetry;
mod tls;
pub mod trace;
mod trust;
mod undecodable;
mod way;

pub use allow::AllowError;
pub use api::{Api, MAX_REQUEST_BYTES};
pub use clock::{Clock, ManualClock};
pub use elsewhere::{CallTls, Elsewhere, ElsewhereError};
pub use even_times::at_even_times;
pub use ids::Ids;
pub use inside::Inside;
pub use listeners::Listeners;
pub use otlp::{Origin, TelemetryConfig, TelemetryError};
pub use peer::PeerIdentity;
pub use readiness::{Hold, Readiness};
pub use serve_config::{ClientCertificate, ServeConfig, TlsConfig};
pub use server::{Outset, Process, ServeError, serve, serve_later};
pub use tasks::Tasks;
pub use tls::TlsError;
pub use trust::{CertificateFacts, Expected, PeerDial, PeerDialError, PeerTrust, is_signed_by};
pub use way::{Way, passed_on, within};
