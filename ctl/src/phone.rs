//! `phone`: the phones of the directory, and one that lives in the terminal.

mod face;
mod link;
mod plain;
mod run;
mod screen;

use clap::{Args, Subcommand};

use crate::client::Client;
use crate::directory::{self, Deletion, Listing};
use crate::exit::Failure;
use crate::output::Out;

/// Commands about phones.
#[derive(Debug, Subcommand)]
pub(crate) enum Phone {
    /// All of them
    List(Listing),
    /// One of them
    Get {
        /// Its name, in any spelling of its MAC
        name: String,
    },
    /// Take what it wears with nobody logged in from its own settings
    Synchronize {
        /// Its name, in any spelling of its MAC
        name: String,
    },
    /// Delete one
    Delete(Deletion),
    /// Be that phone, in this terminal: `h` lifts and puts down the handset, `q` quits
    Run(Run),
}

/// Arguments of `phone run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Where standard output is no terminal, or with --plain, events are JSON objects, one a line: linked, updated,\n\
restarting, applied, acknowledged, hook, disconnected. Lines on standard input are commands: h toggles the\n\
handset, `off` lifts it, `on` puts it down, q quits.")]
pub(crate) struct Run {
    /// Its name, in any spelling of its MAC
    name: String,
    /// Write events as JSON lines, also to a terminal
    #[arg(long)]
    plain: bool,
}

pub(crate) async fn run(command: Phone, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Phone::List(listing) => directory::list_phones(listing, client, out).await,
        Phone::Synchronize { name } => directory::synchronize_phone(name, client, out).await,
        Phone::Delete(args) => directory::delete_phone(args, client, out).await,
        Phone::Get { name } => directory::get_phone(name, client, out).await,
        Phone::Run(args) => Box::pin(run::run(args, client, out)).await,
    }
}
