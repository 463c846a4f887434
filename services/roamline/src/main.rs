//! The Roamline server. Here is only the order of things: arguments, configuration, telemetry, run, exit code.

mod administrator;
mod cli;
mod config;
mod data_dir;
mod demo;
mod report;
mod up;

use std::process::ExitCode;

use clap::Parser;

/// Each PIN takes 19 MiB for some milliseconds. The system's allocator keeps such blocks for every thread that ever
/// asked for one, 900 MiB after some hundred logins; this one gives them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration is wrong (`EX_CONFIG` of sysexits).
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let cli::Cli { command: cli::Command::Up(options) } = cli::Cli::parse();
    let config = match config::load(options.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(&error.into(), EXIT_CONFIG),
    };
    let telemetry = match roamline_serve::telemetry::init(config.log.format, &config.log.filter) {
        Ok(guard) => guard,
        Err(error) => return fail(&error.into(), EXIT_CONFIG),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), 1),
    };
    let ended = runtime.block_on(up::run(options, config));
    drop(telemetry);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// One line on standard error, with the chain of causes.
#[allow(clippy::print_stderr, reason = "the last word of the process, for whoever started it")]
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
