//! Logs: to standard error and nowhere else, so that standard output belongs to what a command answers.

use std::io::IsTerminal;

use std::io::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people.
    #[default]
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log filter {filter:?} cannot be read")]
pub struct InvalidFilter {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Flushes what is left when it is dropped: keep it until the end of `main`.
#[derive(Debug)]
#[must_use = "telemetry is flushed when this is dropped"]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody is left to tell when even this fails.
        let _ = std::io::stderr().flush();
    }
}

/// Starts logging. A second call in one process changes nothing.
///
/// # Errors
/// When `filter` (`info`, `warn,roamline_session=debug`) cannot be read.
pub fn init(format: Format, filter: &str) -> Result<Guard, InvalidFilter> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| InvalidFilter { filter: filter.to_owned(), source })?;
    let coloured = std::io::stderr().is_terminal();
    let builder = fmt().with_writer(std::io::stderr).with_ansi(coloured).with_env_filter(parsed);
    let started = match format {
        Format::Pretty => builder.try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
    Ok(Guard(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_changes_nothing_and_a_bad_filter_is_named() {
        let _first = init(Format::Pretty, "warn").unwrap();
        let _second = init(Format::Json, "info").unwrap();
        assert!(init(Format::Json, "roamline=[").unwrap_err().to_string().contains("roamline=["));
    }
}
