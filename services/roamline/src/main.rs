//! The Roamline server. Here is only the order of things: arguments, configuration, telemetry, run, exit code.

mod about;
mod administrator;
mod cli;
mod config;
mod data_dir;
mod demo;
mod life;
mod measured;
mod migrate;
mod neighbours;
mod parts;
mod report;
mod serve;
mod service_pass;
mod services;
mod sessions;
mod store;
mod stores;
mod up;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use roamline_serve::{Ids, Origin};

use crate::cli::{Cli, Command, MigrateOptions, ServeOptions, UpOptions};
use crate::config::Config;
use crate::migrate::Outcome;
use crate::services::Called;
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
    let (config, work) = match configure(command) {
        Ok(configured) => configured,
        Err(error) => return fail(&error, EXIT_CONFIG),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), 1),
    };
    let telemetry = {
        let _within = runtime.enter();
        let log = (config.log.format, config.log.filter.as_str());
        match roamline_serve::telemetry::init(log, &config.telemetry, &work.origin()) {
            Ok(guard) => guard,
            Err(error) => return fail(&error.into(), EXIT_CONFIG),
        }
    };
    let ended = runtime.block_on(run(&config, work));
    drop(telemetry);
    ended.unwrap_or_else(|error| fail(&error, 1))
}

/// What there is to do, with the places that the configuration means.
enum Work {
    Up(UpOptions, Places),
    Serve(ServeOptions, Places, Box<Called>),
    Migrate(MigrateOptions, Places),
}

impl Work {
    /// What the process is, for whoever reads its telemetry.
    fn origin(&self) -> Origin {
        let (role, cluster) = match self {
            Self::Up(options, _) => ("up", options.cluster_id.to_string()),
            Self::Serve(options, ..) => (options.role.name(), options.cluster_id.to_string()),
            Self::Migrate(..) => ("migrate", String::new()),
        };
        Origin { role, cluster, instance: Ids::new().opaque() }
    }
}

async fn run(config: &Config, work: Work) -> anyhow::Result<ExitCode> {
    match work {
        Work::Up(options, places) => Box::pin(up::run(&options, config, &places)).await?,
        Work::Serve(options, places, called) => {
            Box::pin(serve::run(&options, config, &places, &called)).await?;
        }
        Work::Migrate(options, places) => {
            let outcome = migrate::run(&places.store, &places.data, options.check).await?;
            if outcome == Outcome::Pending {
                return Ok(ExitCode::from(EXIT_PENDING));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn configure(command: Command) -> anyhow::Result<(Config, Work)> {
    let place = command.place();
    let config = config::load(place.config.as_deref())?;
    config.server.check().context("server")?;
    config.sso.check().context("sso")?;
    let data = match &place.data {
        Some(path) => path.clone(),
        None if command.keeps_data() => data_dir::default_path()?,
        None => PathBuf::new(),
    };
    let store = Store::new(&config.store, &data)?;
    let places = Places { data, store, sessions: None };
    let work = match command {
        Command::Up(options) => {
            let sessions = Sessions::new(&config.redis)?;
            config.administrator.password()?;
            Work::Up(options, Places { sessions, ..places })
        }
        Command::Serve(options) => {
            let (places, called) = serve::needs(options.role, &config, places)?;
            Work::Serve(options, places, Box::new(called))
        }
        // Who migrates need not be allowed to see live sessions.
        Command::Migrate(options) => Work::Migrate(options, places),
    };
    Ok((config, work))
}

/// One line on standard error, with the chain of causes.
#[allow(clippy::print_stderr, reason = "the last word of the process, for whoever started it")]
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
