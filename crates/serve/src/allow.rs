//! An allow list by certificate: which SPIFFE ids may call which services, whatever token they bring. It holds on the
//! port of the API; calls within the process are not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use roamline_proto::contract::RPCS;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::peer::PeerIdentity;
use crate::serve_config::TlsConfig;

/// The SPIFFE ids that may call a service, by its full name. A service that is not in it is open to all.
type Allowed = BTreeMap<String, BTreeSet<String>>;

/// A list that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// There is no such service.
    #[error(
        "tls.allow names {0:?}, which is no service; one is called \"roamline.session.v1.PhoneLinkService\""
    )]
    Service(String),
    /// Without authorities no certificate proves anything.
    #[error("tls.allow needs tls.client_ca_file: without it no client shows a certificate")]
    Unproven,
}

/// Refuses calls of services to whom the list does not have.
#[derive(Clone, Debug)]
pub(crate) struct AllowLayer(Arc<Allowed>);

impl AllowLayer {
    /// # Errors
    /// When the list names a service that the contract does not have, or certificates are not asked for.
    pub(crate) fn new(config: &TlsConfig) -> Result<Self, AllowError> {
        let services: BTreeSet<_> = RPCS.keys().filter_map(|path| service_of(path)).collect();
        if let Some(unknown) = config.allow.keys().find(|name| !services.contains(name.as_str())) {
            return Err(AllowError::Service(unknown.clone()));
        }
        if !config.allow.is_empty() && config.client_ca_file.as_os_str().is_empty() {
            return Err(AllowError::Unproven);
        }
        Ok(Self(Arc::new(config.allow.clone())))
    }
}

/// `roamline.auth.v1.AuthService` of `/roamline.auth.v1.AuthService/SignIn`.
fn service_of(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.split('/').next()
}

fn judge<B>(allowed: &Allowed, request: &Request<B>) -> Result<(), Refusal> {
    let service = service_of(request.uri().path()).unwrap_or_default();
    let Some(ids) = allowed.get(service) else { return Ok(()) };
    match request.extensions().get::<PeerIdentity>() {
        Some(PeerIdentity::Spiffe(id)) if ids.contains(id.as_ref()) => Ok(()),
        _ => {
            let told = format!("the certificate of the connection is none that may call {service}");
            Err(Refusal::new(ErrorReason::ClientNotAllowed, told).with("service", service))
        }
    }
}

impl<S> Layer<S> for AllowLayer {
    type Service = Allow<S>;

    fn layer(&self, inner: S) -> Allow<S> {
        Allow { inner, allowed: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(crate) struct Allow<S> {
    inner: S,
    allowed: Arc<Allowed>,
}

impl<S, B> Service<Request<B>> for Allow<S>
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
        match judge(&self.allowed, &request) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(refusal) => Box::pin(ready(Ok(Status::from(refusal).into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "roamline.session.v1.PhoneLinkService";
    const ID: &str = "spiffe://example.org/link";

    fn config(service: &str, client_ca_file: &str) -> TlsConfig {
        let ids = BTreeSet::from([ID.to_owned()]);
        let allow = BTreeMap::from([(service.to_owned(), ids)]);
        TlsConfig { allow, client_ca_file: client_ca_file.into(), ..TlsConfig::default() }
    }

    fn answer(path: &str, identity: Option<PeerIdentity>) -> Result<(), Refusal> {
        let AllowLayer(allowed) = AllowLayer::new(&config(LINK, "ca.crt")).unwrap();
        let mut request = Request::get(path).body(()).unwrap();
        identity.map(|identity| request.extensions_mut().insert(identity));
        judge(&allowed, &request)
    }

    #[test]
    fn a_listed_service_is_called_by_the_ids_of_its_list_alone() {
        let path = format!("/{LINK}/WatchPhones");
        answer(&path, Some(PeerIdentity::Spiffe(ID.into()))).unwrap();
        for other in [
            None,
            Some(PeerIdentity::Spiffe("spiffe://example.org/other".into())),
            Some(PeerIdentity::CommonName(ID.into())),
            Some(PeerIdentity::Dns([ID.to_owned()].into())),
        ] {
            let refused = answer(&path, other).unwrap_err();
            assert_eq!(
                (refused.reason, refused.metadata["service"].as_str()),
                (ErrorReason::ClientNotAllowed, LINK)
            );
        }
    }

    #[test]
    fn services_without_a_list_and_health_are_open_to_all() {
        for path in ["/roamline.session.v1.SessionService/Login", "/grpc.health.v1.Health/Check", "/"] {
            answer(path, None).unwrap();
        }
    }

    #[test]
    fn a_list_of_what_is_no_service_or_that_nothing_proves_is_refused() {
        let misspelt = AllowLayer::new(&config("roamline.session.v1.PhoneLink", "ca.crt"));
        assert!(matches!(misspelt, Err(AllowError::Service(name)) if name.ends_with("PhoneLink")));
        assert!(matches!(AllowLayer::new(&config(LINK, "")), Err(AllowError::Unproven)));
        AllowLayer::new(&TlsConfig::default()).unwrap();
    }
}
