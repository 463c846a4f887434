//! The client side: puts a bearer token on every request, and fetches the keys that verify one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    GetJsonWebKeySetRequest, JsonWebKey, ListRevocationsRequest, ListRevocationsResponse, PrincipalKind,
};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Status};
use tower::{BoxError, Service};

use crate::key_box::{FetchError, KeySource};
use crate::revocations::RevocationSource;
use crate::signer::{SignedToken, Signer};
use crate::{Now, scope};

/// How long a service's own token is good.
const SERVICE_TOKEN_LIVES: Duration = Duration::from_secs(300);
/// A token is signed anew when less than this is left of it.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(60);

/// An interceptor: `AuthServiceClient::with_interceptor(channel, bearer)`. Clones share their source.
#[derive(Clone)]
pub struct Bearer(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl Bearer {
    /// Asks `source` before each request; `None` sends no token.
    pub fn new(source: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Sends this token.
    pub fn token(token: impl Into<String>) -> Self {
        let token = token.into();
        Self::new(move || Some(token.clone()))
    }

    /// Sends none.
    pub fn none() -> Self {
        Self::new(|| None)
    }

    /// Sends a service's own.
    pub fn service(token: ServiceToken) -> Self {
        Self::new(move || token.current())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = (self.0)() {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| {
                Status::unauthenticated("the token cannot be sent: it has characters that no header takes")
            })?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// The token with which one service calls another: signed here, and anew shortly before it ends or when the key is replaced.
pub struct ServiceToken {
    signer: Signer,
    name: String,
    now: Now,
    current: Mutex<Option<SignedToken>>,
}

impl ServiceToken {
    /// A token source for the service of that name.
    pub fn new(signer: Signer, name: impl Into<String>, now: Now) -> Self {
        Self { signer, name: name.into(), now, current: Mutex::new(None) }
    }

    /// A token of the signer's present key that is good for at least a minute; `None` if none can be signed.
    pub fn current(&self) -> Option<String> {
        let now = (self.now)();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |token: &&SignedToken| {
            token.expires_at.duration_since(now) > RENEW_BEFORE && self.signer.signs_with(&token.kid)
        };
        let fresh = current.as_ref().filter(is_fresh);
        if let Some(token) = fresh {
            return Some(token.token.clone());
        }
        let signed = self.signer.sign(
            &self.name,
            PrincipalKind::Unspecified,
            scope::SERVICE,
            now,
            SERVICE_TOKEN_LIVES,
        );
        match signed {
            Ok(token) => Some(current.insert(token).token.clone()),
            Err(error) => {
                tracing::error!(%error, service = self.name, "no token for the calls of this service");
                None
            }
        }
    }
}

/// What an auth service elsewhere is asked through: a channel, or whatever a process puts around one.
pub trait WayToAuth:
    Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error: Into<BoxError> + Send + Sync,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> WayToAuth for S where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error: Into<BoxError> + Send + Sync,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// The keys that an auth service elsewhere publishes.
pub struct RemoteKeys<S>(AuthServiceClient<S>);

impl<S: WayToAuth> RemoteKeys<S> {
    /// Asks the auth service at the end of that way.
    pub fn new(auth: S) -> Self {
        Self(AuthServiceClient::new(auth))
    }
}

#[async_trait]
impl<S: WayToAuth> KeySource for RemoteKeys<S> {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        let answer = self.0.clone().get_json_web_key_set(GetJsonWebKeySetRequest {}).await;
        answer
            .map(|response| response.into_inner().keys)
            .map_err(|status| FetchError(status.message().to_owned()))
    }
}

/// The revocations that an auth service elsewhere tells other services.
pub struct RemoteRevocations<S> {
    auth: AuthServiceClient<InterceptedService<S, Bearer>>,
    refused: Arc<Notify>,
}

impl<S: WayToAuth> RemoteRevocations<S> {
    /// Asks the auth service at the end of that way, as the service whose token `bearer` has.
    pub fn new(auth: S, bearer: Bearer) -> Self {
        Self { auth: AuthServiceClient::with_interceptor(auth, bearer), refused: Arc::default() }
    }

    /// Tells `refused` whenever the service's token is not believed (any more): its key may be revoked.
    #[must_use]
    pub fn telling(self, refused: Arc<Notify>) -> Self {
        Self { refused, ..self }
    }
}

#[async_trait]
impl<S: WayToAuth> RevocationSource for RemoteRevocations<S> {
    async fn after(&self, revision: u64) -> Result<ListRevocationsResponse, FetchError> {
        let answer = self.auth.clone().list_revocations(ListRevocationsRequest { after: revision }).await;
        answer.map(tonic::Response::into_inner).map_err(|status| {
            if status.code() == Code::Unauthenticated {
                self.refused.notify_one();
            }
            FetchError(status.message().to_owned())
        })
    }
}
