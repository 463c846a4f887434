//! Logs: to standard error, and to a collector where telemetry is on. Standard output belongs to what a command answers.
//! A line of JSON that is written for a request says of which trace that is.

use std::io::{IsTerminal, Write};

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::otlp::{Origin, Sending, TelemetryConfig, TelemetryError};
use crate::trace;

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

/// Logs or telemetry that cannot be as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A filter that cannot be read.
    #[error("log filter {filter:?} cannot be read")]
    Filter {
        /// The filter.
        filter: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A collector that nothing can be sent to.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// Sends and flushes what is left when it is dropped: keep it until the end of `main`, and drop it while the runtime is
/// there.
#[derive(Debug)]
#[must_use = "telemetry is flushed when this is dropped"]
pub struct Guard(Option<Sending>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(sending) = self.0.take() {
            sending.end();
        }
        // Nobody is left to tell when even this fails.
        let _ = std::io::stderr().flush();
    }
}

/// Starts logging, and telemetry where that is on: in the runtime in which this is called. Logging that was started before
/// in the process stays as it is.
///
/// # Errors
/// When `filter` (`info`, `warn,roamline_session=debug`) cannot be read, or nothing could ever be sent.
pub fn init(
    (format, filter): (Format, &str),
    config: &TelemetryConfig,
    origin: &Origin,
) -> Result<Guard, InitError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|source| InitError::Filter { filter: filter.to_owned(), source })?;
    let sending = Sending::begin(config, origin)?;
    let sent = sending.as_ref().map(|sending| {
        OpenTelemetryTracingBridge::new(&sending.logs).with_filter(filter_fn(|about| !sends(about.target())))
    });
    let coloured = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(coloured);
    let registry = tracing_subscriber::registry().with(parsed).with(sent);
    let started = match format {
        Format::Pretty => registry.with(lines).try_init(),
        Format::Json => {
            registry.with(lines.json().flatten_event(true).map_event_format(WithTrace)).try_init()
        }
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
    Ok(Guard(sending))
}

/// Whether a target is of what sends: what it says is not sent, since that would have no end.
fn sends(target: &str) -> bool {
    ["h2", "hyper", "opentelemetry", "rustls", "tonic", "tower"].iter().any(|one| target.starts_with(one))
}

/// JSON lines with the ids of the trace, and of the part of it, that they belong to, if they belong to any.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let Some((trace, span)) = trace::present() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.trim_end().strip_suffix('}') {
            Some(fields) => writeln!(writer, r#"{fields},"trace_id":"{trace}","span_id":"{span}"}}"#),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_changes_nothing_and_a_bad_filter_is_named() {
        let origin = Origin { role: "up", cluster: "local".into(), instance: "1".into() };
        let init = |format, filter| init((format, filter), &TelemetryConfig::default(), &origin);
        let _first = init(Format::Pretty, "warn").unwrap();
        let _second = init(Format::Json, "info").unwrap();
        assert!(init(Format::Json, "roamline=[").unwrap_err().to_string().contains("roamline=["));
    }
}
