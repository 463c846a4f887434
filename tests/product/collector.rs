//! A collector of telemetry: it takes what is sent over OTLP, and tells what came.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use roamline_serve::Tasks;
use tokio::net::TcpListener;
use tokio::time::{Instant, interval};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The service, and the cluster, of the process that it is of.
    pub(crate) service: String,
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) kind: i32,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) attributes: Vec<(String, String)>,
}

/// All that came.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    pub(crate) spans: Arc<Mutex<Vec<Seen>>>,
    /// Lines of the log: the service, the trace, the text.
    pub(crate) lines: Arc<Mutex<Vec<(String, String, String)>>>,
    /// Names of metrics: the service, the metric.
    pub(crate) metrics: Arc<Mutex<Vec<(String, String)>>>,
    /// The header `authorization` of metrics.
    pub(crate) shown: Arc<Mutex<Vec<String>>>,
    /// Everything, as it is printed: for what must not be in it.
    pub(crate) all: Arc<Mutex<String>>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.clone()) {
        Some(any_value::Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn of(attributes: &[(String, String)], name: &str) -> String {
    let found = attributes.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

impl Collector {
    /// Takes what comes at a free port; where that is.
    pub(crate) async fn start(&self, tasks: &Tasks) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.serve(Server::builder(), listener, tasks);
        address
    }

    /// Takes what comes over TLS where something listens already.
    pub(crate) fn start_secure(&self, listener: &std::net::TcpListener, tls: ServerTlsConfig, tasks: &Tasks) {
        let listener = listener.try_clone().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        self.serve(Server::builder().tls_config(tls).unwrap(), listener, tasks);
    }

    fn serve(&self, mut server: Server, listener: TcpListener, tasks: &Tasks) {
        let serving = server
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .add_service(LogsServiceServer::new(self.clone()))
            .serve_with_incoming_shutdown(
                TcpListenerStream::new(listener),
                tasks.stopping().cancelled_owned(),
            );
        tasks.spawn("collector", async move { serving.await.unwrap() });
    }

    /// Waits until metrics come with that header `authorization`.
    pub(crate) async fn until_shown(&self, authorization: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let shown = self.shown.lock().unwrap().clone();
            if shown.iter().any(|one| one == authorization) {
                return;
            }
            assert!(Instant::now() < until, "{authorization} does not come, but {shown:?}");
        }
    }

    /// The spans of a trace once they are as they are waited for.
    pub(crate) async fn spans_of(&self, trace: &str, whole: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let all = self.spans.lock().unwrap().clone();
            let found: Vec<_> = all.into_iter().filter(|span| span.trace == trace).collect();
            if whole(&found) {
                return found;
            }
            assert!(Instant::now() < until, "what came of {trace}: {found:#?}");
        }
    }

    fn keep(&self, what: &impl std::fmt::Debug) {
        self.all.lock().unwrap().push_str(&format!("{what:?}\n"));
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        self.keep(&request);
        for one in request.resource_spans {
            let process = said(&one.resource.unwrap_or_default().attributes);
            for span in one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.spans.lock().unwrap().push(Seen {
                    service: of(&process, "service.name"),
                    cluster: of(&process, "roamline.cluster.id"),
                    name: span.name,
                    kind: span.kind,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: said(&span.attributes),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        if let Some(authorization) = request.metadata().get("authorization") {
            self.shown.lock().unwrap().push(authorization.to_str().unwrap().to_owned());
        }
        let request = request.into_inner();
        self.keep(&request);
        for one in request.resource_metrics {
            let service = of(&said(&one.resource.unwrap_or_default().attributes), "service.name");
            let metrics = one.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.metrics.lock().unwrap().extend(metrics.map(|metric| (service.clone(), metric.name)));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let request = request.into_inner();
        self.keep(&request);
        for one in request.resource_logs {
            let service = of(&said(&one.resource.unwrap_or_default().attributes), "service.name");
            for line in one.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                let text = format!("{:?}", line.body);
                self.lines.lock().unwrap().push((service.clone(), hex(&line.trace_id), text));
            }
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
