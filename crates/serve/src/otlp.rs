//! The section `[telemetry]`: traces, metrics and logs for a collector, over OTLP. What waits for it is bounded, and a
//! collector that is slow, wrong or gone slows and stops nobody: what it does not take is dropped, and counted.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatchConfig, BatchLogProcessor, LogBatch, LogProcessor, SdkLogRecord,
    SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatchConfig, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData,
    SpanProcessor,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::elsewhere::CallTls;
use crate::inventory::TELEMETRY;
use crate::{metrics, trace};

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
    /// A file with headers for the collector, such as a token: one a line, `name: value`.
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
    /// A file that cannot be read.
    #[error("telemetry.{key}: {} cannot be read", path.display())]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line that is no header. What it says may be secret.
    #[error("telemetry.headers_file: line {0} is no `name: value`")]
    Header(usize),
    /// A certificate without its key, or a key without its certificate.
    #[error("telemetry.tls.certificate_file and telemetry.tls.key_file belong together, and one is missing")]
    Half,
    /// TLS is configured, and not spoken.
    #[error("telemetry.tls is set, and the address is without TLS; begin it with https://")]
    Plain,
    /// Files that TLS cannot be set up with.
    #[error("telemetry.tls: the files cannot be used")]
    Tls(#[source] tonic::transport::Error),
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

    fn channel(&self, address: &str) -> Result<Channel, TelemetryError> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .ok()
            .filter(|endpoint| matches!(endpoint.uri().scheme_str(), Some("http" | "https")))
            .filter(|endpoint| endpoint.uri().authority().is_some_and(|host| !host.as_str().contains('@')))
            .ok_or_else(|| TelemetryError::Endpoint(shown(address)))?;
        let endpoint = endpoint.connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN);
        if endpoint.uri().scheme_str() == Some("http") {
            if self.tls != CallTls::default() {
                return Err(TelemetryError::Plain);
            }
            return Ok(endpoint.connect_lazy());
        }
        let CallTls { ca_file, certificate_file, key_file } = &self.tls;
        let tls = match ca_file.as_os_str().is_empty() {
            true => ClientTlsConfig::new().with_native_roots(),
            false => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("tls.ca_file", ca_file)?))
            }
        };
        let tls = match (certificate_file.as_os_str().is_empty(), key_file.as_os_str().is_empty()) {
            (true, true) => tls,
            (false, false) => tls.identity(Identity::from_pem(
                read("tls.certificate_file", certificate_file)?,
                read("tls.key_file", key_file)?,
            )),
            _ => return Err(TelemetryError::Half),
        };
        Ok(endpoint.tls_config(tls).map_err(TelemetryError::Tls)?.connect_lazy())
    }

    /// The headers of the file.
    fn headers(&self) -> Result<MetadataMap, TelemetryError> {
        let mut headers = MetadataMap::new();
        if self.headers_file.as_os_str().is_empty() {
            return Ok(headers);
        }
        let text = read("headers_file", &self.headers_file)?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        for (number, line) in lines {
            let wrong = || TelemetryError::Header(number + 1);
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name: AsciiMetadataKey = name.trim().to_ascii_lowercase().parse().map_err(|_| wrong())?;
            let mut value: AsciiMetadataValue = value.trim().parse().map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
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

/// An address without what stands before an `@`, which may be a password.
fn shown(address: &str) -> String {
    address.rsplit_once('@').map_or_else(|| address.to_owned(), |(_, host)| format!("..@{host}"))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TelemetryError> {
    let unreadable = |source| TelemetryError::Unreadable { key, path: path.to_owned(), source };
    std::fs::read(path).map_err(unreadable)
}

/// What sends, until the process ends.
pub(crate) struct Sending {
    traces: SdkTracerProvider,
    pub(crate) logs: SdkLoggerProvider,
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
        let (channel, headers, resource) =
            (config.channel(&address)?, config.headers()?, config.resource(origin));

        let metrics = MetricExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .with_metadata(headers.clone())
            .with_timeout(ANSWER_WITHIN)
            .build()?;
        metrics::send_with(
            PeriodicReader::builder(metrics).with_interval(config.metrics_every).build(),
            &resource,
        );

        let spans = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .with_metadata(headers.clone())
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
            .with_metadata(headers)
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
        Ok(Some(Self { traces, logs }))
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

/// Room for what waits to be sent, and what became of it.
#[derive(Debug)]
struct Room {
    signal: &'static str,
    taken: AtomicUsize,
    failing: AtomicBool,
}

impl Room {
    fn new(signal: &'static str) -> Self {
        Self { signal, taken: AtomicUsize::new(0), failing: AtomicBool::new(false) }
    }

    /// Whether there is room for one more, which is taken then.
    fn take(&self) -> bool {
        let more = |taken: usize| (taken < WAITING).then_some(taken + 1);
        let room = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !room {
            self.count(1, "dropped");
        }
        room
    }

    /// So many have been sent, or not.
    fn give_back(&self, number: usize, sent: &OTelSdkResult) {
        let less = |taken: usize| Some(taken.saturating_sub(number));
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.count(number, if sent.is_ok() { "sent" } else { "failed" });
        // Told once, and not through what fails.
        let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) if !failed_before => {
                tracing::warn!(signal = self.signal, %error, "the collector of telemetry takes nothing: it is dropped");
            }
            Ok(()) if failed_before => {
                tracing::info!(signal = self.signal, "the collector takes telemetry again");
            }
            _ => {}
        }
    }

    fn count(&self, number: usize, result: &'static str) {
        TELEMETRY.add(number as u64, &[("signal", self.signal), ("result", result)]);
    }
}

/// Takes no more than there is room for.
#[derive(Debug)]
struct Bounded<P> {
    inner: P,
    room: Arc<Room>,
}

/// Counts what it sends.
#[derive(Debug)]
struct Counted<E> {
    inner: E,
    room: Arc<Room>,
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.room.take() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        let sent = self.inner.export(batch).await;
        self.room.give_back(number, &sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Bounded<P> {
    fn emit(&self, line: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.room.take() {
            self.inner.emit(line, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: opentelemetry_sdk::logs::LogExporter> opentelemetry_sdk::logs::LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let number = batch.iter().count();
        let sent = self.inner.export(batch).await;
        self.room.give_back(number, &sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { role: "up", cluster: "local".into(), instance: "1".into() }
    }

    fn refused(config: &TelemetryConfig) -> String {
        Sending::begin(config, &origin()).unwrap_err().to_string()
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
        std::fs::write(&file, "Authorization: Bearer s3cret\n").unwrap();
        assert_eq!(wrong.headers().unwrap().get("authorization").unwrap(), "Bearer s3cret");
        let tls = CallTls { ca_file: file, ..CallTls::default() };
        assert!(refused(&TelemetryConfig { endpoint, tls, ..config() }).contains("begin it with https://"));
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_counted() {
        let room = Room::new("traces");
        let taken = (0..WAITING + 10).filter(|_| room.take()).count();
        assert_eq!(taken, WAITING);
        room.give_back(BATCH, &Ok(()));
        assert!(room.take());
        let text = metrics::text().unwrap();
        let dropped = "roamline_telemetry_records_total{result=\"dropped\",signal=\"traces\"} 10";
        assert!(text.contains(dropped), "{text}");
    }
}
