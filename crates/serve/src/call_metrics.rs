//! How long each RPC took and how it ended, those that we answer and those that we make: `rpc.server.call.duration` and
//! `rpc.client.call.duration`, with the names of OpenTelemetry's conventions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use roamline_proto::contract::RPCS;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::connection::Peer;
use crate::deadline::within;
use crate::inventory::{CLIENT_CALLS, SERVER_CALLS};
use crate::places::Visit;
use crate::trace::CallSpan;

/// Standard services that are no part of the contract. Any other path is `_OTHER`, so that nobody can make labels up.
pub(crate) const STANDARD: &[&str] = &[
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Who gives up within this part of his time, at its end, has waited for all of it: his clock began before ours.
const PATIENCE_SPENT: u32 = 20;

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
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let method = method(request.uri().path());
        let span = CallSpan::answered(method, request.headers_mut());
        let side = Side::Server { waits: within(request.headers()) };
        let call = Call::new(method, side, span, Peer::visit(&request));
        Box::pin(call.until_answered(self.0.call(request)))
    }
}

/// One call; one that is dropped before its end was given up by its client, or by us when its client waited no longer.
pub(crate) struct Call {
    method: &'static str,
    side: Side,
    span: CallSpan,
    started: Instant,
    open: bool,
    /// Keeps its connection from being idle.
    _visit: Option<Visit>,
}

/// Who measures it.
enum Side {
    Server {
        /// How long the caller waits for the answer to begin, where it says so.
        waits: Option<Duration>,
    },
    /// The peer is another cluster.
    Client { peer: Option<Arc<str>> },
}

impl Call {
    /// One that we make, to the cluster of that id if it is another one.
    pub(crate) fn made<B>(request: &mut Request<B>, peer: Option<Arc<str>>) -> Self {
        let method = method(request.uri().path());
        let span = CallSpan::made(method, peer.as_deref(), request.headers_mut());
        Self::new(method, Side::Client { peer }, span, None)
    }

    fn new(method: &'static str, side: Side, span: CallSpan, visit: Option<Visit>) -> Self {
        Self { method, side, span, started: Instant::now(), open: true, _visit: visit }
    }

    /// Waits for the answer, and measures until its last byte.
    pub(crate) async fn until_answered<E>(
        mut self,
        answer: impl Future<Output = Result<Response<Body>, E>>,
    ) -> Result<Response<Body>, E> {
        let response = match self.span.around(answer).await {
            Ok(response) => response,
            Err(error) => {
                self.end(Code::Unavailable);
                return Err(error);
            }
        };
        if let Some(code) = code(response.headers()) {
            self.end(code);
        }
        // What has begun to be answered has no time to be whole in.
        if let Side::Server { waits } = &mut self.side {
            *waits = None;
        }
        Ok(response.map(|inner| Body::new(MeasuredBody { inner, call: self })))
    }

    fn end(&mut self, code: Code) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let (name, seconds) = (name(code), self.started.elapsed().as_secs_f64());
        let mut labels = vec![
            ("rpc.system.name", "grpc"),
            ("rpc.method", self.method),
            ("rpc.response.status_code", name),
        ];
        match &self.side {
            Side::Server { .. } => {
                self.span.end(name, is_fault(code));
                if is_fault(code) {
                    labels.push(("error.type", name));
                }
                SERVER_CALLS.record(seconds, &labels);
            }
            Side::Client { peer } => {
                self.span.end(name, code != Code::Ok);
                if code != Code::Ok {
                    labels.push(("error.type", name));
                }
                labels.extend(peer.as_deref().map(|peer| ("peer", peer)));
                CLIENT_CALLS.record(seconds, &labels);
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let waited = match self.side {
            Side::Server { waits: Some(waits) } => self.started.elapsed() >= waits - waits / PATIENCE_SPENT,
            _ => false,
        };
        self.end(if waited { Code::DeadlineExceeded } else { Code::Cancelled });
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

/// Whether a server has failed by such an answer, as OpenTelemetry's conventions see it.
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// The names of all statuses, in the order of their numbers.
pub(crate) const CODES: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn name(code: Code) -> &'static str {
    usize::try_from(i32::from(code)).ok().and_then(|number| CODES.get(number)).copied().unwrap_or("UNKNOWN")
}
