//! What clients of services call through, wherever those are, and what they make of the answers.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::TryFutureExt;
use futures::future::{BoxFuture, Either};
use http::{Request, Response};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{BoxError, Service};

use crate::call_metrics::Call;
use crate::inside::Inside;

/// The way to a service: for generated clients, `AuthServiceClient::new(way)`. Calls are measured.
#[derive(Clone, Debug)]
pub struct Way {
    place: Place,
    peer: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
enum Place {
    /// In this process.
    Inside(Inside),
    /// In others.
    Elsewhere(Channel),
}

impl Way {
    /// To a service of another cluster: what is measured says so.
    #[must_use]
    pub fn to_cluster(self, id: &str) -> Self {
        Self { peer: Some(id.into()), ..self }
    }
}

impl From<Inside> for Way {
    fn from(inside: Inside) -> Self {
        Self { place: Place::Inside(inside), peer: None }
    }
}

impl From<Channel> for Way {
    fn from(channel: Channel) -> Self {
        Self { place: Place::Elsewhere(channel), peer: None }
    }
}

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.place {
            Place::Inside(_) => Poll::Ready(Ok(())),
            Place::Elsewhere(channel) => channel.poll_ready(context).map_err(BoxError::from),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let call = Call::made(&mut request, self.peer.clone());
        let answer = match &mut self.place {
            Place::Inside(inside) => Either::Left(inside.call(request)),
            Place::Elsewhere(channel) => Either::Right(channel.call(request).map_err(BoxError::from)),
        };
        Box::pin(call.until_answered(answer))
    }
}

/// A request to a service that is given up, here and there, when it has taken that long.
pub fn within<M>(deadline: Duration, message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(deadline);
    request
}

/// What a service has refused, to be passed on to whoever it was asked for. `None` where its answer is no refusal of ours,
/// and where something is wrong between services (a token, a scope), which is not the caller's affair.
pub fn passed_on(status: &Status) -> Option<Refusal> {
    let internal = [
        ErrorReason::TokenMissing,
        ErrorReason::TokenInvalid,
        ErrorReason::ScopeMissing,
        ErrorReason::Unspecified,
    ];
    Refusal::from_status(status).filter(|refusal| !internal.contains(&refusal.reason))
}
