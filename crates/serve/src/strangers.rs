//! Calls that need no token, and may therefore come from anybody: they have bounds of their own, so that those who hold
//! them open keep nobody else out. Streams of health and of reflection are counted; any other call must end in time, and
//! keeps no connection from giving way.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use roamline_proto::contract::RPCS;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::connection::Peer;
use crate::inventory::{PUBLIC_STREAMS_ENDED, PUBLIC_STREAMS_OPEN};
use crate::places::Kind;
use crate::serve_config::ServeConfig;

/// Streams that last as long as their client wishes.
const STREAMS: [&str; 3] = [
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// How long any other call without a token may take: its client may be as slow with the request as he likes.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(60);

/// Whose call a request is. Who sends a token to a service of ours is asked for a good one before anything else.
pub(crate) fn kind_of<B>(request: &Request<B>) -> Kind {
    let path = request.uri().path();
    if STREAMS.contains(&path) {
        Kind::PublicStream
    } else if RPCS.contains_key(path) && request.headers().contains_key(AUTHORIZATION) {
        Kind::Known
    } else {
        Kind::Stranger
    }
}

/// Keeps to the bounds, and ends the streams when the process stops. Clones share them.
#[derive(Clone)]
pub(crate) struct StrangersLayer(Arc<Bounds>);

struct Bounds {
    most: usize,
    most_on_one: usize,
    stopping: CancellationToken,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, CancellationToken>>,
}

impl StrangersLayer {
    pub(crate) fn new(config: &ServeConfig, stopping: CancellationToken) -> Self {
        Self(Arc::new(Bounds {
            most: config.max_public_streams.get() as usize,
            most_on_one: config.max_public_streams_on_one.get() as usize,
            stopping,
            next: AtomicU64::new(0),
            open: Mutex::default(),
        }))
    }
}

impl Bounds {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One stream more; the oldest ends for it where there are too many.
    fn begin(self: &Arc<Self>) -> Stream {
        let (ended, number) = (self.stopping.child_token(), self.next.fetch_add(1, Ordering::Relaxed));
        let mut open = self.open();
        if open.len() >= self.most
            && let Some((_, oldest)) = open.pop_first()
        {
            PUBLIC_STREAMS_ENDED.add(1, &[("reason", "crowded")]);
            PUBLIC_STREAMS_OPEN.add(-1, &[]);
            oldest.cancel();
        }
        open.insert(number, ended.clone());
        PUBLIC_STREAMS_OPEN.add(1, &[]);
        Stream { bounds: Arc::clone(self), number, ended }
    }
}

/// A stream in progress, until it is dropped.
struct Stream {
    bounds: Arc<Bounds>,
    number: u64,
    ended: CancellationToken,
}

impl Stream {
    /// Why it was ended.
    fn why(&self) -> Status {
        if self.bounds.stopping.is_cancelled() {
            return Status::unavailable("the process is stopping");
        }
        Status::resource_exhausted("there are too many streams of this kind: this one ended for a new one")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.bounds.open().remove(&self.number).is_some() {
            PUBLIC_STREAMS_OPEN.add(-1, &[]);
        }
    }
}

impl<S> Layer<S> for StrangersLayer {
    type Service = Strangers<S>;

    fn layer(&self, inner: S) -> Strangers<S> {
        Strangers { inner, bounds: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(crate) struct Strangers<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S, B> Service<Request<B>> for Strangers<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let kind = kind_of(&request);
        if kind == Kind::PublicStream {
            if Peer::public_streams(&request) > self.bounds.most_on_one {
                PUBLIC_STREAMS_ENDED.add(1, &[("reason", "connection")]);
                return Box::pin(async { Ok(too_many("this connection has too many streams of this kind")) });
            }
            let stream = self.bounds.begin();
            let answer = self.inner.call(request);
            return Box::pin(async move {
                let response = tokio::select! {
                    biased;
                    () = stream.ended.cancelled() => return Ok(stream.why().into_http()),
                    response = answer => response?,
                };
                let ended = Box::pin(stream.ended.clone().cancelled_owned());
                Ok(response.map(|inner| Body::new(Bounded { inner, ended, is_over: false, stream })))
            });
        }
        let answer = self.inner.call(request);
        if kind == Kind::Known {
            return Box::pin(answer);
        }
        Box::pin(async move {
            let late = || Ok(Status::deadline_exceeded("the call has taken too long").into_http());
            tokio::time::timeout(CALL_WITHIN, answer).await.unwrap_or_else(|_| late())
        })
    }
}

fn too_many(message: &str) -> Response<Body> {
    Status::resource_exhausted(message).into_http()
}

/// The body of a stream that may be ended from outside.
struct Bounded {
    inner: Body,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
    stream: Stream,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.ended.as_mut().poll(context).is_ready() {
            self.is_over = true;
            self.inner = Body::empty();
            let mut trailers = HeaderMap::new();
            let told = self.stream.why().add_header(&mut trailers);
            return Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
