//! The chores of the project: `cargo xtask test`, `layers`, `deny`, `advisories`, `gen`, `check`, `chart`, `image`,
//! `upgrade`, `baseline`. Each prints what it does and ends with a status other than 0 when something is wrong.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who started it")]

mod baseline;
mod chart;
mod deny;
mod image;
mod layers;
mod prerequisites;
mod reference;
mod step;
mod test;
mod upgrade;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of the project")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install or name what the tests need, then run everything that a change must pass
    Test {
        /// Give property tests their long runs, and upgrade from the last release
        #[arg(long)]
        full: bool,
    },
    /// Prove who may know whom
    Layers,
    /// Prove that licences, bans and sources of what we depend on are as deny.toml has them
    Deny,
    /// Look for known vulnerabilities in what we depend on; needs the database of RustSec, which is on the network
    Advisories,
    /// Write the generated references
    Gen,
    /// Compare the generated references with what they are made from, and see that every rule has its place and its test
    Check,
    /// Render the chart for old and new Kubernetes, and see that all of it is valid, safe, and what the server takes
    Chart,
    /// Build the image, look at what is in it, and sign an agent in from inside it; needs root, for chroot and mounts
    Image {
        /// Take the programs that the last run has built
        #[arg(long)]
        ready: bool,
    },
    /// Upgrade a running suite from the last release, built from its tag, to this build
    Upgrade,
    /// Accept today's protos as what `buf breaking` compares with
    Baseline,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Workspace::find().and_then(|workspace| match cli.chore {
        Chore::Test { full } => test::run(&workspace, full),
        Chore::Layers => layers::run(&workspace),
        Chore::Deny => deny::run(&workspace, &prerequisites::deny(&workspace)?),
        Chore::Advisories => deny::advisories(&workspace, &prerequisites::deny(&workspace)?),
        Chore::Gen => reference::write(&workspace),
        Chore::Check => reference::check(&workspace),
        Chore::Chart => chart::run(&workspace, &prerequisites::chart::install(&workspace)?),
        Chore::Image { ready } => {
            prerequisites::image()?;
            image::run(&workspace, ready)
        }
        Chore::Upgrade => upgrade::run(&workspace),
        Chore::Baseline => baseline::write(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
