//! The Roamline server. Here is only the order of things: arguments, configuration, telemetry, run, exit code.

mod administrator;
mod cli;
mod config;
mod data_dir;
mod demo;
mod migrate;
mod report;
mod sessions;
mod store;
mod stores;
mod up;
mod waiting;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::migrate::Outcome;
use crate::sessions::Sessions;
use crate::store::Store;
use crate::stores::Places;

/// Each PIN takes 19 MiB for some milliseconds. The system's allocator keeps such blocks for every thread that ever
/// asked for one, 900 MiB after some hundred logins; this one gives them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration is wrong (`EX_CONFIG` of sysexits).
const EXIT_CONFIG: u8 = 78;
/// `migrate --check` has found something to apply.
const EXIT_PENDING: u8 = 3;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let (config, place) = match configure(&command) {
        Ok(configured) => configured,
        Err(error) => return fail(&error, EXIT_CONFIG),
    };
    let telemetry = match roamline_serve::telemetry::init(config.log.format, &config.log.filter) {
        Ok(guard) => guard,
        Err(error) => return fail(&error.into(), EXIT_CONFIG),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), 1),
    };
    let ended = match command {
        Command::Up(options) => {
            runtime.block_on(up::run(&options, &config, &place)).map(|()| ExitCode::SUCCESS)
        }
        Command::Migrate(options) => runtime
            .block_on(migrate::run(&place.store, &place.data, options.check))
            .map(|outcome| match outcome {
                Outcome::UpToDate => ExitCode::SUCCESS,
                Outcome::Pending => ExitCode::from(EXIT_PENDING),
            }),
    };
    drop(telemetry);
    ended.unwrap_or_else(|error| fail(&error, 1))
}

/// The configuration, and the places that it means.
fn configure(command: &Command) -> anyhow::Result<(Config, Places)> {
    let place = command.place();
    let config = config::load(place.config.as_deref())?;
    let data = match &place.data {
        Some(path) => path.clone(),
        None => data_dir::default_path()?,
    };
    let store = Store::new(&config.store, &data)?;
    // Who migrates need not be allowed to see live sessions.
    let sessions = match command {
        Command::Up(_) => Sessions::new(&config.redis)?,
        Command::Migrate(_) => None,
    };
    Ok((config, Places { data, store, sessions }))
}

/// One line on standard error, with the chain of causes.
#[allow(clippy::print_stderr, reason = "the last word of the process, for whoever started it")]
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
