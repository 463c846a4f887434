//! The section `[telemetry]`: traces, metrics and logs for a collector, over OTLP. What waits for it is bounded, and a
//! collector that is slow, wrong or gone slows and stops nobody: what it does not take is dropped, and counted.

mod collector;
mod room;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatchConfig, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatchConfig, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::elsewhere::{CallTls, ElsewhereError};
use crate::{metrics, trace};
use collector::Collector;
use room::{Bounded, Counted, Room};

/// Spans, and lines of the log, that wait at most; what else comes is dropped.
const WAITING: usize = 8192;
/// How many go at once, and how long they wait for others.
const BATCH: usize = 512;
const BATCH_WITHIN: Duration = Duration::from_secs(1);
/// How long a connection, and an answer of the collector, may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long the end of the process waits for what is left to be sent.
const FLUSH_WITHIN: Duration = Duration::from_secs(4);
/// Where the collector is, if the configuration does not say so.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Traces, metrics and logs for a collector, over OTLP and gRPC. Off where neither `endpoint` nor the variable
/// `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Address of the collector: `http://host:4317`, or `https://host:4317` with TLS.
    pub endpoint: String,
    /// A file with headers for the collector, such as a token: one a line, `name: value`. It is read again when it
    /// changes.
    pub headers_file: PathBuf,
    /// TLS to the collector.
    pub tls: CallTls,
    /// The part of the traces that begin here that are recorded, from 0 to 1. Of a trace that begins elsewhere, its
    /// beginning decides.
    pub sampling: f64,
    /// How often metrics are sent.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub metrics_every: Duration,
    /// What else is said of the process, such as `deployment.environment.name`.
    pub resource: BTreeMap<String, String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers_file: PathBuf::new(),
            tls: CallTls::default(),
            sampling: 1.0,
            metrics_every: Duration::from_secs(30),
            resource: BTreeMap::new(),
        }
    }
}

/// A collector that nothing can be sent to.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// What is no address.
    #[error("telemetry.endpoint: {0:?} is not an address such as http://host:4317 or https://host:4317")]
    Endpoint(String),
    /// A part beyond the whole.
    #[error("telemetry.sampling is {0}, and must be from 0 to 1")]
    Sampling(f64),
    /// Metrics all the time.
    #[error("telemetry.metrics_every is less than 100ms")]
    MetricsEvery,
    /// Headers that cannot be read.
    #[error("telemetry.headers_file: {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line that is no header. What it says may be secret.
    #[error("telemetry.headers_file: line {0} is no `name: value`")]
    Header(usize),
    /// TLS that cannot be set up.
    #[error("telemetry")]
    Tls(#[from] ElsewhereError),
    /// What the exporters refuse, such as variables that they read.
    #[error("telemetry: nothing can be sent")]
    Exporter(#[from] ExporterBuildError),
}

/// What a process is, for whoever reads its telemetry.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The role: `session`, or `up` for all in one.
    pub role: &'static str,
    /// The cluster that is served.
    pub cluster: String,
    /// This very process.
    pub instance: String,
}

impl TelemetryConfig {
    /// Where the collector is, if there is one.
    fn address(&self) -> Option<String> {
        let named = Some(self.endpoint.clone()).filter(|endpoint| !endpoint.is_empty());
        named.or_else(|| std::env::var(ENDPOINT_VARIABLE).ok().filter(|endpoint| !endpoint.is_empty()))
    }

    fn resource(&self, origin: &Origin) -> Resource {
        let own = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", origin.instance.clone()),
            KeyValue::new("roamline.cluster.id", origin.cluster.clone()),
        ];
        let named = self.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        Resource::builder()
            .with_service_name(format!("roamline-{}", origin.role))
            .with_attributes(own)
            .with_attributes(named)
            .build()
    }
}

/// What sends, until the process ends.
pub(crate) struct Sending {
    traces: SdkTracerProvider,
    pub(crate) logs: SdkLoggerProvider,
    /// Looks after the files of the collector, as long as this is there.
    _following: JoinSet<()>,
}

impl Sending {
    /// Begins to send to the collector, if there is one. Must be called in the runtime that is to do it.
    ///
    /// # Errors
    /// When nothing could ever be sent.
    pub(crate) fn begin(config: &TelemetryConfig, origin: &Origin) -> Result<Option<Self>, TelemetryError> {
        if !(0.0..=1.0).contains(&config.sampling) {
            return Err(TelemetryError::Sampling(config.sampling));
        }
        if config.metrics_every < Duration::from_millis(100) {
            return Err(TelemetryError::MetricsEvery);
        }
        let Some(address) = config.address() else { return Ok(None) };
        let (Collector { channel, headers }, follower) = Collector::at(&address, config)?;
        let mut following = JoinSet::new();
        following.spawn(follower.follow());
        let resource = config.resource(origin);

        let metrics = MetricExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .with_interceptor(headers.clone())
            .with_timeout(ANSWER_WITHIN)
            .build()?;
        metrics::send_with(
            PeriodicReader::builder(metrics).with_interval(config.metrics_every).build(),
            &resource,
        );

        let spans = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .with_interceptor(headers.clone())
            .with_timeout(ANSWER_WITHIN)
            .build()?;
        let of_spans = Arc::new(Room::new("traces"));
        let batches = SpanBatchConfig::default()
            .with_max_queue_size(WAITING + BATCH)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(BATCH_WITHIN);
        let processor = BatchSpanProcessor::builder(Counted { inner: spans, room: Arc::clone(&of_spans) })
            .with_batch_config(batches.build())
            .build();
        let traces = SdkTracerProvider::builder()
            .with_span_processor(Bounded { inner: processor, room: of_spans })
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sampling))))
            .with_resource(resource.clone())
            .build();
        trace::record_with(traces.tracer("roamline"));

        let lines = LogExporter::builder()
            .with_tonic()
            .with_channel(channel)
            .with_interceptor(headers)
            .with_timeout(ANSWER_WITHIN)
            .build()?;
        let of_lines = Arc::new(Room::new("logs"));
        let batches = LogBatchConfig::default()
            .with_max_queue_size(WAITING + BATCH)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(BATCH_WITHIN);
        let processor = BatchLogProcessor::builder(Counted { inner: lines, room: Arc::clone(&of_lines) })
            .with_batch_config(batches.build())
            .build();
        let logs = SdkLoggerProvider::builder()
            .with_log_processor(Bounded { inner: processor, room: of_lines })
            .with_resource(resource)
            .build();
        Ok(Some(Self { traces, logs, _following: following }))
    }

    /// Sends what is left, within a bounded time. The runtime must still be there.
    pub(crate) fn end(self) {
        let (done, ended) = mpsc::channel();
        let flush = move || {
            // Whether anything is left that the collector does not take, nobody is there to hear.
            let _ = self.traces.shutdown_with_timeout(FLUSH_WITHIN);
            let _ = self.logs.shutdown_with_timeout(FLUSH_WITHIN);
            metrics::end_sending();
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("telemetry".into()).spawn(flush).is_ok() {
            let _ = ended.recv_timeout(FLUSH_WITHIN);
        }
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::chain;

    fn origin() -> Origin {
        Origin { role: "up", cluster: "local".into(), instance: "1".into() }
    }

    fn refused(config: &TelemetryConfig) -> String {
        chain(&Sending::begin(config, &origin()).unwrap_err())
    }

    #[tokio::test]
    async fn it_is_off_by_itself_and_what_cannot_be_is_refused_with_its_place() {
        let config = TelemetryConfig::default;
        assert!(Sending::begin(&config(), &origin()).unwrap().is_none());
        let wrong = TelemetryConfig { endpoint: "http://me:s3cret@host:4317".into(), ..config() };
        assert!(refused(&wrong).starts_with("telemetry.endpoint") && !refused(&wrong).contains("s3cret"));
        assert!(
            refused(&TelemetryConfig { endpoint: "host".into(), ..config() }).contains("http://host:4317")
        );
        assert!(
            refused(&TelemetryConfig { sampling: 1.5, ..config() }).contains("telemetry.sampling is 1.5")
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "Authorization: Bearer s3cret\n\nno header s3cret\n").unwrap();
        let endpoint = "http://127.0.0.1:1".to_owned();
        let wrong = TelemetryConfig { endpoint: endpoint.clone(), headers_file: file.clone(), ..config() };
        assert_eq!(refused(&wrong), "telemetry.headers_file: line 3 is no `name: value`");
        let missing = TelemetryConfig { headers_file: folder.path().join("none"), ..wrong };
        assert!(refused(&missing).contains("none cannot be read: No such file"), "{}", refused(&missing));
        let tls = CallTls { ca_file: file, ..CallTls::default() };
        let plain = TelemetryConfig { endpoint, tls: tls.clone(), ..config() };
        assert!(refused(&plain).starts_with("telemetry: tls is set"), "{}", refused(&plain));
        let noise = TelemetryConfig { endpoint: "https://127.0.0.1:1".into(), tls, ..config() };
        assert!(refused(&noise).ends_with("holds no certificate in PEM"), "{}", refused(&noise));
    }
}
