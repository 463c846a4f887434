//! Calls of a process to itself: the same requests through the same layers as from anywhere, without a connection. They
//! come from no address, need neither a port nor TLS, and are not bound by the limits on connections from outside.

use std::sync::{Arc, OnceLock, Weak};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tower::{BoxError, Layer, ServiceExt};

use crate::call_metrics::CallMetricsLayer;
use crate::deadline::within;
use crate::front::{Front, Services};
use crate::peer::PeerIdentity;

/// Calls the API of its own process, as long as that serves. Clones lead to the same.
#[derive(Clone, Debug)]
pub struct Inside {
    services: Weak<OnceLock<Services>>,
    identity: Option<PeerIdentity>,
}

impl Inside {
    pub(crate) fn new(front: &Front) -> Self {
        Self { services: Arc::downgrade(&front.0), identity: None }
    }

    /// For another cluster of the same process, which is believed to be the one that a certificate with that SPIFFE id
    /// proves.
    #[must_use]
    pub fn proving(self, spiffe_id: &str) -> Self {
        Self { identity: Some(PeerIdentity::Spiffe(spiffe_id.into())), ..self }
    }

    /// Makes the call in the caller's own task: it is given up when its answer is.
    pub(crate) fn call(
        &self,
        mut request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, BoxError>> {
        let services = self.services.upgrade();
        if let Some(identity) = &self.identity {
            request.extensions_mut().insert(identity.clone());
        }
        Box::pin(async move {
            let Some(services) = services else {
                return Ok(Status::unavailable("the process has ended").into_http());
            };
            let within = within(request.headers());
            let answer = CallMetricsLayer.layer(Front(services)).oneshot(request);
            let answer = match within {
                Some(within) => timeout(within, answer).await.unwrap_or_else(|_elapsed| {
                    Ok(Status::deadline_exceeded("there is no answer in time").into_http())
                }),
                None => answer.await,
            };
            answer.map_err(|never| match never {})
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use jiff::Timestamp;
    use roamline_proto::auth::JsonWebKey;
    use roamline_token::{CallerLayer, FetchError, KeySource, Verifier};
    use tonic::Code;
    use tonic::service::Routes;

    use super::*;
    use crate::deadline::TIMEOUT;

    struct NoKeys;

    #[async_trait]
    impl KeySource for NoKeys {
        async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
            Ok(Vec::new())
        }
    }

    /// A service that never answers.
    fn mute() -> Front {
        let routes: Routes = axum::Router::new().fallback(std::future::pending::<()>).into();
        let verifier = Arc::new(Verifier::new("nobody", "nobody", Arc::new(NoKeys)));
        let front = Front::default();
        front.open(CallerLayer::new(verifier, Arc::new(|| Timestamp::UNIX_EPOCH)).layer(routes));
        front
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_inside_ends_at_its_deadline_and_is_refused_when_the_process_has_ended() {
        let front = mute();
        let inside = Inside::new(&front);
        let call = || async {
            let request = Request::builder().uri("/a.B/C").header(TIMEOUT, "5S").body(Body::empty()).unwrap();
            let answer = inside.call(request).await.unwrap();
            Status::from_header_map(answer.headers()).unwrap().code()
        };
        let begun = tokio::time::Instant::now();
        assert_eq!(call().await, Code::DeadlineExceeded);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        // It did not answer in time, which is another thing than a client that goes away.
        let metrics = crate::metrics::text().unwrap();
        let mut counts =
            metrics.lines().filter(|line| line.starts_with("rpc_server_call_duration_seconds_count"));
        assert!(counts.any(|line| line.contains("error_type=\"DEADLINE_EXCEEDED\"")), "{metrics}");
        drop(front);
        assert_eq!(call().await, Code::Unavailable);
    }
}
