//! What stands at the API's port from the first moment: it answers for the services until they are there, and passes
//! every call on to them from then on.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use futures::future::Either;
use http::{Request, Response};
use http_body::Body as HttpBody;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_token::CallerService;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::util::Oneshot;
use tower::{BoxError, Service, ServiceExt};

/// When a client may ask again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The services, behind the layer that knows their callers.
pub(crate) type Services = CallerService<Routes>;

/// Services that may come later. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Front(pub(crate) Arc<OnceLock<Services>>);

impl Front {
    /// They are there. A second time changes nothing.
    pub(crate) fn open(&self, services: Services) {
        let _ = self.0.set(services);
    }
}

impl<B> Service<Request<B>> for Front
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Oneshot<Services, Request<B>>, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.0.get() {
            Some(services) => Either::Left(services.clone().oneshot(request)),
            None => Either::Right(ready(Ok(not_yet(request.uri().path())))),
        }
    }
}

fn not_yet(path: &str) -> Response<Body> {
    let service = path.split('/').nth(1).unwrap_or_default();
    let mut refusal = Refusal::new(ErrorReason::ServiceUnavailable, "the service has not begun yet")
        .with("service", service);
    refusal.retry_after = Some(AGAIN_AFTER);
    Status::from(refusal).into_http()
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Front(open: {})", self.0.get().is_some())
    }
}
