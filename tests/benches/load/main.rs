//! What the product can do, held against what its parts can do, in one run on one machine:
//! `cargo bench -p roamline-tests --bench load`. It measures for a set time, prints tables and ratios, and ends by itself;
//! `-- --help` says what can be chosen. `docs/performance.md` has figures and says how to read them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, and says what it expects"
)]

mod agents;
mod echo;
mod generate;
mod logins;
mod machine;
mod pages;
mod pins;
#[allow(dead_code, reason = "the tests of the store use the rest")]
#[path = "../../../crates/store-sql/tests/postgres/starter.rs"]
mod postgres_server;
mod product;
mod reads;
mod redis;
#[path = "../../../crates/store-redis/tests/redis/starter.rs"]
mod redis_server;
mod report;
mod run;
mod watch;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::generate::Span;
use crate::product::Sessions;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// (a) a bare echo
    Echo,
    /// (b) an echo that verifies a token and runs a script in Redis
    Script,
    /// (c) logins by token, sessions in Redis
    Fast,
    /// (c) and with a replica that must have them
    Durable,
    /// (c) and with the directory in PostgreSQL
    Postgres,
    /// (c) sessions in the embedded store
    Embedded,
    /// (d) logins by PIN, argon2 alone, and logins by token beside a storm of PINs
    Pin,
    /// Reads whose tokens are remembered, and reads whose tokens are new
    Reads,
    /// (e) pages of live sessions, and bytes of each in Redis
    Sessions,
    /// (e) events to many watchers
    Watch,
    /// What a watcher that waits costs
    Idle,
}

/// Measures logins, logouts, lists and watches of the real server on this machine.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything but `embedded` where nothing is said
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Seconds of each measurement
    #[arg(long = "for", default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before each measurement, not counted
    #[arg(long, default_value_t = 3.0)]
    warm_up: f64,
    /// Logins and logouts at once where as many as possible are made
    #[arg(long, default_value_t = 128)]
    at_once: usize,
    /// Connections that they share
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Agents who log in and out, each at a phone of his own
    #[arg(long, default_value_t = 2_000)]
    agents: usize,
    /// Reads with a token of its own each
    #[arg(long, default_value_t = 5_000)]
    reads: usize,
    /// Sessions that are live while pages are read and bytes are counted
    #[arg(long, default_value_t = 100_000)]
    sessions: usize,
    /// Watchers of every event
    #[arg(long, default_value_t = 1_000)]
    watchers: usize,
    /// Watchers that wait; they are measured with a tenth of them, too
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Keep live sessions in the embedded store where it is not said otherwise: for (d) and (e)
    #[arg(long)]
    embedded: bool,
    /// Let the kernel choose processors: else servers and Redis have the first, and what asks has the second
    #[arg(long)]
    unpinned: bool,
    /// Which lines the server logs, into a file: `warn` for few, as in its configuration
    #[arg(long)]
    log: Option<String>,
    /// The server's program; else it is built as this program is
    #[arg(long, env = "SERVER")]
    server: Option<std::path::PathBuf>,
    /// Serves an echo instead; nothing is measured
    #[arg(long, hide = true)]
    echo: Option<String>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn span(&self) -> Span {
        Span {
            warm_up: Duration::from_secs_f64(self.warm_up),
            measured: Duration::from_secs_f64(self.seconds),
        }
    }

    fn sessions_in(&self) -> Sessions {
        if self.embedded { Sessions::Sql } else { Sessions::Fast }
    }

    fn wants(&self, part: Part) -> bool {
        if self.only.is_empty() { part != Part::Embedded } else { self.only.contains(&part) }
    }
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match &options.echo {
        Some(redis) => runtime.block_on(echo::serve(redis)),
        None => runtime.block_on(run::run(&options)),
    }
}
