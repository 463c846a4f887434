//! `session logout-all`: ends many sessions at a pace, with a bar on a terminal or a line for each as JSON (LO-8).

use std::io::{self, IsTerminal};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LogoutAllRequest, LogoutAllResponse};

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Out;

/// What helps when it ends before its time.
const GO_ON: &str = "the same command goes on with what is left";

/// Arguments of `session logout-all`.
#[derive(Debug, Args)]
pub(crate) struct LogoutAll {
    /// Only this user's
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    user: String,
    /// Only those that wear this profile
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    profile: String,
    /// Sessions to end a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Agents who are at work, too; take a --note
    #[arg(long, requires = "note")]
    force: bool,
    /// Why it is forced; kept in the audit trail
    #[arg(long, value_name = "TEXT", requires = "force")]
    note: Option<String>,
}

pub(crate) async fn run(args: LogoutAll, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = LogoutAllRequest {
        user_id: args.user,
        profile: args.profile,
        sessions_per_second: args.rate,
        force: args.force,
        note: args.note.unwrap_or_default(),
    };
    let mut messages = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).logout_all(request).await }
        })
        .await?;
    let bar = Bar::new();
    let mut last = LogoutAllResponse::default();
    while !last.done {
        let message = tokio::select! {
            message = messages.message() => message,
            _ = tokio::signal::ctrl_c() => {
                bar.end();
                return Err(Failure::new(Exit::Other, format!("interrupted: {}", counts(&last))).hint(GO_ON));
            }
        };
        match message {
            Ok(Some(message)) => last = message,
            Ok(None) => {
                bar.end();
                let told = format!("the server ended it early: {}", counts(&last));
                return Err(Failure::new(Exit::Unavailable, told).hint(GO_ON));
            }
            Err(status) => {
                bar.end();
                return Err(client.failure(&status).detail(counts(&last)).hint(GO_ON));
            }
        }
        bar.at(&last);
        if out.is_json() {
            out.stream_line(&last, |_| String::new())?;
        }
    }
    bar.end();
    if !out.is_json() {
        out.text(&counts(&last))?;
    }
    match last.failed {
        0 => Ok(()),
        failed => {
            Err(Failure::new(Exit::Unavailable, format!("{failed} sessions could not be ended")).hint(GO_ON))
        }
    }
}

/// How far it has come, in words.
fn counts(told: &LogoutAllResponse) -> String {
    let others = [(told.busy, "left alone at work"), (told.gone, "gone already"), (told.failed, "failed")];
    let mut text = format!("{} of {} logged out", told.ended, told.total);
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {count} {what}"));
    }
    text
}

/// The bar, where standard error is a terminal.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new() -> Self {
        Self(io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        }))
    }

    fn at(&self, told: &LogoutAllResponse) {
        if let Some(bar) = &self.0 {
            bar.set_length(told.total.into());
            bar.set_position((told.ended + told.gone + told.busy + told.failed).into());
            bar.set_message(counts(told));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lo_8_what_was_not_logged_out_is_told_with_its_reason() {
        let all = LogoutAllResponse { total: 4, ended: 4, ..Default::default() };
        assert_eq!(counts(&all), "4 of 4 logged out");
        let some =
            LogoutAllResponse { total: 9, ended: 5, busy: 2, gone: 1, failed: 1, ..Default::default() };
        assert_eq!(counts(&some), "5 of 9 logged out, 2 left alone at work, 1 gone already, 1 failed");
    }
}
