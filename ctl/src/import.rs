//! `import`: what is taken over from elsewhere.

mod cme;

use clap::Subcommand;

use crate::client::Client;
use crate::csv;
use crate::exit::Failure;
use crate::output::Out;

/// From where.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// A site, from the running-config of a router
    Cme(cme::Cme),
    /// Many resources of a kind, from a CSV file; a CSV of the Bulk Administration Tool is known by its header
    ///
    /// Everything holds or nothing, unless --continue-on-error. An import that is interrupted goes on with the same command.
    Csv(csv::ImportCsv),
}

pub(crate) async fn run(command: Import, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Import::Cme(args) => cme::run(args, client, out).await,
        Import::Csv(args) => csv::import(args, client, out).await,
    }
}
