//! A request whose bytes are no message is the client's mistake: it is told so, where the library speaks of a fault of the
//! server.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// What the library's texts begin with: no message in the bytes, no bytes at all, fewer than announced, and compressed
/// otherwise than announced.
const SAYS: [&str; 5] = [
    "failed to decode Protobuf message",
    "Missing request message",
    "Unexpected EOF decoding stream",
    "protocol error: received message with",
    "Error decompressing",
];

/// Refuses what cannot be decoded as malformed.
#[derive(Clone, Debug, Default)]
pub(crate) struct UndecodableLayer;

impl<S> Layer<S> for UndecodableLayer {
    type Service = Undecodable<S>;

    fn layer(&self, inner: S) -> Undecodable<S> {
        Undecodable(inner)
    }
}

#[derive(Clone)]
pub(crate) struct Undecodable<S>(S);

impl<S, B> Service<Request<B>> for Undecodable<S>
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
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(if is_undecodable(&response) { malformed() } else { response })
        })
    }
}

/// Such an answer has its status in its headers, as nothing was answered before.
fn is_undecodable(response: &Response<Body>) -> bool {
    let internal = (Code::Internal as i32).to_string();
    response.headers().get("grpc-status").is_some_and(|code| code.as_bytes() == internal.as_bytes())
        && Status::from_header_map(response.headers())
            .is_some_and(|status| SAYS.iter().any(|says| status.message().starts_with(says)))
}

fn malformed() -> Response<Body> {
    let refusal = Refusal::new(ErrorReason::InvalidRequest, "the request is not a message of this method");
    Status::from(refusal).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_decoded_is_told_from_other_faults() {
        for says in SAYS {
            let text = format!("{says}: LoginRequest.phone: invalid wire type");
            assert!(is_undecodable(&Status::internal(text.clone()).into_http()), "{says}");
            assert!(!is_undecodable(&Status::invalid_argument(text).into_http()), "{says}");
        }
        for other in [Status::internal("the server failed"), Status::new(Code::Ok, "")] {
            assert!(!is_undecodable(&other.into_http()));
        }
        let told = Status::from_header_map(malformed().headers()).unwrap();
        assert_eq!(told.code(), Code::InvalidArgument);
        assert_eq!(Refusal::from_status(&told).unwrap().reason, ErrorReason::InvalidRequest);
    }
}
