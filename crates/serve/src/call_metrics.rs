//! How long each RPC took and how it ended: `rpc.server.call.duration`, with the names of OpenTelemetry's conventions.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use roamline_proto::contract::RPCS;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::connection::Peer;
use crate::metrics::Histogram;
use crate::places::Visit;

static DURATION: LazyLock<Histogram> = LazyLock::new(|| {
    Histogram::new("rpc.server.call.duration", "Duration of an RPC, until its last byte", "s")
});

/// Standard services that are no part of the contract. Any other path is `_OTHER`, so that nobody can make labels up.
const STANDARD: &[&str] = &[
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Measures every call.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallMetricsLayer;

impl<S> Layer<S> for CallMetricsLayer {
    type Service = CallMetrics<S>;

    fn layer(&self, inner: S) -> CallMetrics<S> {
        CallMetrics(inner)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CallMetrics<S>(S);

impl<S, B> Service<Request<B>> for CallMetrics<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = Call {
            method: method(request.uri().path()),
            started: Instant::now(),
            open: true,
            _visit: Peer::visit(&request),
        };
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = answer.await?;
            if let Some(code) = code(response.headers()) {
                call.end(code);
            }
            Ok(response.map(|inner| Body::new(MeasuredBody { inner, call })))
        })
    }
}

/// One call; one that is dropped before its end was given up by its client.
struct Call {
    method: &'static str,
    started: Instant,
    open: bool,
    /// Keeps its connection from being idle.
    _visit: Option<Visit>,
}

impl Call {
    fn end(&mut self, code: Code) {
        if std::mem::take(&mut self.open) {
            let labels = [
                ("rpc.system.name", "grpc"),
                ("rpc.method", self.method),
                ("rpc.response.status_code", name(code)),
            ];
            DURATION.record(self.started.elapsed().as_secs_f64(), &labels);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

struct MeasuredBody {
    inner: Body,
    call: Call,
}

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(code) {
                    self.call.end(code);
                }
            }
            Some(Err(status)) => self.call.end(status.code()),
            None => self.call.end(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn method(path: &str) -> &'static str {
    let name = path.trim_start_matches('/');
    match RPCS.get(path) {
        Some(rpc) => rpc.path.trim_start_matches('/'),
        None => STANDARD.iter().find(|known| **known == name).copied().unwrap_or("_OTHER"),
    }
}

fn code(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get("grpc-status")?.as_bytes()))
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
