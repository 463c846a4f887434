//! Calls of a process to itself: the same requests through the same layers as from anywhere, without a connection. They
//! come from no address, need neither a port nor TLS, and are not bound by the limits on connections from outside.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tower::{BoxError, Layer, ServiceExt};

use crate::call_metrics::CallMetricsLayer;
use crate::front::{Front, Services};
use crate::peer::PeerIdentity;

/// The header by which a caller says how long it waits.
const TIMEOUT: &str = "grpc-timeout";

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

/// How long the caller waits: at most eight digits and a unit.
fn within(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = u64::from(number.parse::<u32>().ok()?);
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;
    use roamline_proto::auth::JsonWebKey;
    use roamline_token::{CallerLayer, FetchError, KeySource, Verifier};
    use tonic::Code;
    use tonic::service::Routes;

    use super::*;

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
        drop(front);
        assert_eq!(call().await, Code::Unavailable);
    }

    #[test]
    fn a_deadline_is_read_in_every_unit_and_what_is_none_is_passed_over() {
        let read = |text: &'static str| {
            within(&HeaderMap::from_iter([(
                http::HeaderName::from_static(TIMEOUT),
                http::HeaderValue::from_static(text),
            )]))
        };
        for (text, millis) in [("2H", 7_200_000), ("3M", 180_000), ("4S", 4_000), ("5m", 5)] {
            assert_eq!(read(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(read("2000000u"), Some(Duration::from_secs(2)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for wrong in ["", "S", "5", "5x", "-1S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
