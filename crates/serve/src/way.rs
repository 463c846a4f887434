//! What clients of services call through, wherever those are.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{BoxError, Service};

use crate::inside::Inside;

/// The way to a service: for generated clients, `AuthServiceClient::new(way)`.
#[derive(Clone, Debug)]
pub enum Way {
    /// In this process.
    Inside(Inside),
    /// In others.
    Elsewhere(Channel),
}

impl From<Inside> for Way {
    fn from(inside: Inside) -> Self {
        Self::Inside(inside)
    }
}

impl From<Channel> for Way {
    fn from(channel: Channel) -> Self {
        Self::Elsewhere(channel)
    }
}

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Inside(_) => Poll::Ready(Ok(())),
            Self::Elsewhere(channel) => channel.poll_ready(context).map_err(BoxError::from),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Inside(inside) => inside.call(request),
            Self::Elsewhere(channel) => {
                let answer = channel.call(request);
                Box::pin(async { Ok(answer.await?) })
            }
        }
    }
}
