//! The server's command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
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
    /// Run one service in a process of its own, on PostgreSQL and, for live sessions, Redis
    #[command(
        after_help = "Where the other services are is said by the section [services] of the configuration."
    )]
    Serve(ServeOptions),
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
            Self::Serve(options) => &options.place,
            Self::Migrate(options) => &options.place,
        }
    }

    /// Whether anything may be kept in the data directory.
    pub(crate) fn keeps_data(&self) -> bool {
        match self {
            Self::Up(_) | Self::Migrate(_) => true,
            Self::Serve(options) => options.role == Role::Auth,
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
    /// Clusters that know each other, each with a demo site, ports 100 further on and a directory of its own
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "demo", value_parser = clap::value_parser!(u16).range(1..=4))]
    pub clusters: u16,
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

/// A service that can be a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Credentials and tokens
    Auth,
    /// Users, phones, profiles, lines, parameters; what a phone wears
    Profile,
    /// Logins, logouts, who is where; the link to phones
    Session,
    /// Sessions across clusters
    Emcc,
}

impl Role {
    /// What it is called on the command line, in the configuration, and in its token.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Profile => "profile",
            Self::Session => "session",
            Self::Emcc => "emcc",
        }
    }

    /// The port of its API where nothing else is asked for; its admin port is the next.
    fn port(self) -> u16 {
        match self {
            Self::Auth => 7410,
            Self::Profile => 7420,
            Self::Session => 7430,
            Self::Emcc => 7440,
        }
    }
}

/// How to run one service.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// Which service
    #[arg(value_enum)]
    pub role: Role,
    /// Address of the API: gRPC, gRPC-web, health and reflection [default: 127.0.0.1, port 7410, 7420, 7430 or 7440]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Address of the admin port: /livez, /readyz, /metrics [default: 127.0.0.1, port 7411, 7421, 7431 or 7441]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<SocketAddr>,
    /// Id of the cluster that is served; part of every record
    #[arg(long, value_name = "ID", default_value = "local")]
    pub cluster_id: ClusterId,
    #[command(flatten)]
    pub place: Place,
}

impl ServeOptions {
    /// Where the API listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, self.role.port()).into())
    }

    /// Where probes and metrics are answered.
    pub(crate) fn admin_listen(&self) -> SocketAddr {
        self.admin_listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, self.role.port() + 1).into())
    }
}
