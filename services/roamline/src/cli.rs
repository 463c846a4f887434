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
    /// Run every service in one process, on an embedded store
    Up(UpOptions),
}

/// How to run everything in one process.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// Load the demo site into a directory that is still empty
    #[arg(long)]
    pub demo: bool,
    /// Directory for all state; made if it is not there [default: the user's data directory]
    #[arg(long, env = "ROAMLINE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the API: gRPC, gRPC-web, health and reflection
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    pub listen: SocketAddr,
    /// Address of the admin port: /livez, /readyz, /metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7401")]
    pub admin_listen: SocketAddr,
    /// Id of the cluster that is served; part of every record
    #[arg(long, value_name = "ID", default_value = "local")]
    pub cluster_id: ClusterId,
    /// Configuration file (TOML); variables such as ROAMLINE_SESSION__SWEEP_EVERY override it
    #[arg(long, env = "ROAMLINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}
