//! The server's command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use roamline_domain::ClusterId;

/// Extension mobility for contact centres: an agent signs in at any phone, and the phone becomes his own.
#[derive(Debug, Parser)]
#[command(name = "roamline", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every service in one process, on an embedded store or on PostgreSQL
    Up(UpOptions),
    /// Bring the tables of the store up to date
    #[command(after_help = "Exit codes: 0 the tables are up to date, 3 migrations are pending (--check), \
        78 the configuration is wrong, 1 anything else.")]
    Migrate(MigrateOptions),
}

impl Command {
    /// Where state and configuration are.
    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Up(options) => &options.place,
            Self::Migrate(options) => &options.place,
        }
    }
}

/// Where state and configuration are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory for state; made if it is not there [default: the user's data directory]
    #[arg(long, env = "ROAMLINE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file (TOML); variables such as ROAMLINE_STORE__URL override it
    #[arg(long, env = "ROAMLINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How to bring the tables up to date.
#[derive(Debug, Args)]
pub(crate) struct MigrateOptions {
    /// Change nothing: name what is pending, and end with 3 if anything is
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub place: Place,
}

/// How to run everything in one process.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// Load the demo site into a directory that is still empty
    #[arg(long)]
    pub demo: bool,
    /// Address of the API: gRPC, gRPC-web, health and reflection
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    pub listen: SocketAddr,
    /// Address of the admin port: /livez, /readyz, /metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7401")]
    pub admin_listen: SocketAddr,
    /// Id of the cluster that is served; part of every record
    #[arg(long, value_name = "ID", default_value = "local")]
    pub cluster_id: ClusterId,
    #[command(flatten)]
    pub place: Place,
}
