//! `roamctl`, the command line of Roamline: a client of the services and nothing more.

mod agent_state;
mod audit;
mod backup;
mod bulk;
mod cli;
mod client;
mod clock;
mod completions;
mod credential;
mod credential_policy;
mod credentials;
mod csv;
mod declarative;
mod directory;
mod doctor;
mod drawing;
mod exit;
mod geolocation;
mod import;
mod key;
mod lint;
mod load;
mod locate;
mod login;
mod logout;
mod output;
mod parameters;
mod peer;
mod phone;
mod phone_service;
mod preview;
#[cfg(test)]
mod reference;
mod secret;
mod session;
mod sign_in;
mod speed_dial;
mod support_bundle;
mod tables;
mod templates;
mod tls;
mod whole;
mod words;
mod wrong_words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is not an error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Failure::from(error).report(),
    };
    let done = runtime.block_on(Box::pin(cli::run(cli)));
    // Standard input may still be waited for on a thread that cannot be told to stop.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
