//! The layer around every gRPC service: it knows from the contract which scope an RPC needs, lets nobody through who
//! lacks it, and leaves the [`Caller`] in the request's extensions.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response};
use roamline_proto::contract::{PUBLIC, RPCS};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tonic::Status;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};

use crate::Now;
use crate::caller::Caller;
use crate::verifier::{TokenError, Verifier};

/// Puts a [`CallerService`] around a service.
#[derive(Clone)]
pub struct CallerLayer {
    verifier: Arc<Verifier>,
    now: Now,
}

impl CallerLayer {
    /// A layer that believes what `verifier` believes at the time that `now` tells.
    pub fn new(verifier: Arc<Verifier>, now: Now) -> Self {
        Self { verifier, now }
    }

    /// The caller of a request, if he may call `path`. A path that the contract does not know (health, reflection, a
    /// method that does not exist) is nobody's to guard: it goes on with an anonymous caller.
    async fn admit(
        &self,
        path: &str,
        authorization: Authorization,
        source: Option<SocketAddr>,
    ) -> Result<Caller, Refusal> {
        let Some(rpc) = RPCS.get(path) else { return Ok(Caller::anonymous(source)) };
        let caller = match authorization {
            Authorization::None if rpc.required_scope == PUBLIC => return Ok(Caller::anonymous(source)),
            Authorization::None => {
                return Err(Refusal::new(ErrorReason::TokenMissing, "this call needs a bearer token"));
            }
            Authorization::Unreadable => {
                return Err(Refusal::new(
                    ErrorReason::TokenInvalid,
                    "the authorization is not one bearer token",
                ));
            }
            Authorization::Bearer(token) => {
                self.verifier.caller(&token, (self.now)(), source).await.map_err(disbelieved)?
            }
        };
        if rpc.reach(|scope| caller.has(scope)).is_some() {
            return Ok(caller);
        }
        let message = format!("the token lacks the scope {}", rpc.required_scope);
        Err(Refusal::new(ErrorReason::ScopeMissing, message).with("scope", rpc.required_scope.clone()))
    }
}

fn disbelieved(error: TokenError) -> Refusal {
    match error {
        TokenError::KeysUnavailable => {
            Refusal::new(ErrorReason::ServiceUnavailable, error.to_string()).with("service", "auth")
        }
        TokenError::IssuerUnavailable => {
            Refusal::new(ErrorReason::ServiceUnavailable, error.to_string()).with("service", "token issuer")
        }
        TokenError::TooMany(wait) => {
            let mut refusal = Refusal::new(ErrorReason::TooManyRequests, error.to_string());
            // To the second, as of credentials: what is told does not tell what others do meanwhile.
            refusal.retry_after = Some(Duration::from_secs(wait.as_secs().saturating_add(1)));
            refusal
        }
        _ => Refusal::new(ErrorReason::TokenInvalid, error.to_string()),
    }
}

enum Authorization {
    None,
    Unreadable,
    Bearer(String),
}

impl Authorization {
    fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Self::None };
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        match token {
            Some(token) if values.next().is_none() => Self::Bearer(token),
            _ => Self::Unreadable,
        }
    }
}

impl<S> Layer<S> for CallerLayer {
    type Service = CallerService<S>;

    fn layer(&self, inner: S) -> CallerService<S> {
        CallerService { inner, layer: self.clone() }
    }
}

/// Answers a refusal itself; passes everything else on with its caller.
#[derive(Clone)]
pub struct CallerService<S> {
    inner: S,
    layer: CallerLayer,
}

impl<S, B, R> Service<Request<B>> for CallerService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready serves this request; its clone gets ready for the next.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            if request.method() == Method::OPTIONS {
                return inner.call(request).await;
            }
            let source = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
            let authorization = Authorization::of(request.headers());
            match layer.admit(request.uri().path(), authorization, source).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    inner.call(request).await
                }
                Err(refusal) => {
                    tracing::debug!(path = request.uri().path(), reason = ?refusal.reason, "call refused");
                    Ok(Status::from(refusal).into_http())
                }
            }
        })
    }
}
