//! A bound on the calls that are open at once, over all connections of a port: each costs memory for as long as it is open,
//! whether it does something or is a stream that waits.

use std::future::{Future, ready};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// When a client may ask again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Refuses calls beyond so many that are open.
#[derive(Clone, Debug)]
pub(crate) struct OpenCallsLayer(Arc<Semaphore>);

impl OpenCallsLayer {
    pub(crate) fn new(most: NonZeroU32) -> Self {
        Self(Arc::new(Semaphore::new(most.get() as usize)))
    }
}

impl<S> Layer<S> for OpenCallsLayer {
    type Service = OpenCalls<S>;

    fn layer(&self, inner: S) -> OpenCalls<S> {
        OpenCalls { inner, room: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(crate) struct OpenCalls<S> {
    inner: S,
    room: Arc<Semaphore>,
}

impl<S, B> Service<Request<B>> for OpenCalls<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Ok(open) = Arc::clone(&self.room).try_acquire_owned() else {
            return Box::pin(ready(Ok(too_many())));
        };
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(answer.await?.map(|inner| Body::new(OpenBody { inner, _open: open }))) })
    }
}

fn too_many() -> Response<Body> {
    let mut refusal = Refusal::new(ErrorReason::TooManyRequests, "too many calls are open at this server");
    refusal.retry_after = Some(AGAIN_AFTER);
    Status::from(refusal).into_http()
}

/// An answer that counts until it has been sent, or nobody wants it any more.
struct OpenBody {
    inner: Body,
    _open: OwnedSemaphorePermit,
}

impl HttpBody for OpenBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_call_beyond_those_that_are_open_is_refused_until_one_of_them_has_ended() {
        let layer = OpenCallsLayer::new(NonZeroU32::new(2).unwrap());
        let answer = |_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Body::new(axum::body::Body::from("x"))))
        };
        let call = async || layer.layer(service_fn(answer)).oneshot(Request::new(())).await.unwrap();
        let (first, second) = (call().await, call().await);
        let refused = Status::from_header_map(call().await.headers()).unwrap();
        let refusal = Refusal::from_status(&refused).unwrap();
        assert_eq!((refusal.reason, refusal.retry_after), (ErrorReason::TooManyRequests, Some(AGAIN_AFTER)));
        drop(first);
        let third = call().await;
        assert!(Status::from_header_map(third.headers()).is_none());
        drop((second, third));
        assert_eq!(layer.0.available_permits(), 2);
    }
}
