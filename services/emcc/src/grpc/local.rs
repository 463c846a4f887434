//! The other services of the same cluster, called with this service's own token.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use roamline_domain::{PhoneName, SessionId, UserId};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{Credential, VerifyCredentialRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::device_pool_service_client::DevicePoolServiceClient;
use roamline_proto::profile::phone_service_client::PhoneServiceClient;
use roamline_proto::profile::rendering_service_client::RenderingServiceClient;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    DevicePool, GetPhoneRequest, GetServiceParametersRequest, GetUserRequest, ListDevicePoolsRequest,
    ListUsersRequest, Phone, PrepareRoamingRequest, PrepareRoamingResponse, ServiceParameters, User,
};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::roaming_session_service_client::RoamingSessionServiceClient;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{
    Actor, BeginHomeHalfRequest, GetSessionRequest, LogoutReason, LogoutRequest, RefreshHalfRequest, Session,
    TellRefusedLoginRequest, WatchSessionsRequest, WatchSessionsResponse, get_session_request,
    logout_request,
};
use roamline_serve::{Way, passed_on, within};
use roamline_token::Bearer;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};

const DEADLINE: Duration = Duration::from_secs(2);
/// How long a credential may take: hashing waits its turn in a storm.
const CREDENTIAL_DEADLINE: Duration = Duration::from_secs(10);
const PAGE: u32 = 1000;

type Link = InterceptedService<Way, Bearer>;

/// What is told of sessions.
pub(crate) type Watch = Pin<Box<dyn Stream<Item = Result<WatchSessionsResponse, Refusal>> + Send>>;

/// The profile, auth and session services of the cluster.
#[derive(Clone)]
pub struct Local {
    rendering: RenderingServiceClient<Link>,
    phones: PhoneServiceClient<Link>,
    pools: DevicePoolServiceClient<Link>,
    users: UserServiceClient<Link>,
    parameters: ServiceParametersServiceClient<Link>,
    credentials: AuthServiceClient<Link>,
    sessions: SessionServiceClient<Link>,
    roaming: RoamingSessionServiceClient<Link>,
}

impl Local {
    /// Clients over ways that connect when they are first used.
    pub fn new(profile: Way, auth: Way, session: Way, bearer: &Bearer) -> Self {
        let own = || bearer.clone();
        Self {
            rendering: RenderingServiceClient::with_interceptor(profile.clone(), own()),
            phones: PhoneServiceClient::with_interceptor(profile.clone(), own()),
            pools: DevicePoolServiceClient::with_interceptor(profile.clone(), own()),
            users: UserServiceClient::with_interceptor(profile.clone(), own()),
            parameters: ServiceParametersServiceClient::with_interceptor(profile, own()),
            credentials: AuthServiceClient::with_interceptor(auth, own()),
            sessions: SessionServiceClient::with_interceptor(session.clone(), own()),
            roaming: RoamingSessionServiceClient::with_interceptor(session, own()),
        }
    }

    pub(crate) async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        let request = within(DEADLINE, GetServiceParametersRequest {});
        let answer = self.parameters.clone().get_service_parameters(request).await;
        let answer = answer.map_err(|status| refused("profile", &status))?;
        Ok(answer.into_inner().service_parameters.unwrap_or_default())
    }

    pub(crate) async fn device_pools(&self) -> Result<Vec<DevicePool>, Refusal> {
        let (mut pools, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListDevicePoolsRequest { page_size: PAGE, page_token, ..Default::default() };
            let answer = self.pools.clone().list_device_pools(within(DEADLINE, request)).await;
            let page = answer.map_err(|status| refused("profile", &status))?.into_inner();
            pools.extend(page.device_pools);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(pools);
            }
        }
    }

    pub(crate) async fn user_ids(&self) -> Result<BTreeSet<String>, Refusal> {
        let (mut ids, mut page_token) = (BTreeSet::new(), String::new());
        loop {
            let request = ListUsersRequest { page_size: PAGE, page_token, ..Default::default() };
            let answer = self.users.clone().list_users(within(DEADLINE, request)).await;
            let page = answer.map_err(|status| refused("profile", &status))?.into_inner();
            ids.extend(page.users.into_iter().map(|user| user.user_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(ids);
            }
        }
    }

    pub(crate) async fn user(&self, user: &UserId) -> Result<Option<User>, Refusal> {
        let request = within(DEADLINE, GetUserRequest { user_id: user.to_string() });
        match self.users.clone().get_user(request).await {
            Ok(answer) => Ok(answer.into_inner().user),
            Err(status) => match refused("profile", &status) {
                refusal if refusal.reason == ErrorReason::ResourceNotFound => Ok(None),
                refusal => Err(refusal),
            },
        }
    }

    pub(crate) async fn phone(&self, phone: &PhoneName) -> Result<Phone, Refusal> {
        let request = within(DEADLINE, GetPhoneRequest { name: phone.to_string() });
        let answer = self.phones.clone().get_phone(request).await;
        Ok(answer.map_err(|status| refused("profile", &status))?.into_inner().phone.unwrap_or_default())
    }

    pub(crate) async fn verify(
        &self,
        user: &UserId,
        credential: Option<Credential>,
        source: String,
        phone: &PhoneName,
    ) -> Result<(), Refusal> {
        let message =
            VerifyCredentialRequest { name: user.to_string(), credential, source, phone: phone.to_string() };
        let answer = self.credentials.clone().verify_credential(within(CREDENTIAL_DEADLINE, message)).await;
        answer.map(|_| ()).map_err(|status| refused("auth", &status))
    }

    pub(crate) async fn prepare_roaming(
        &self,
        message: PrepareRoamingRequest,
    ) -> Result<PrepareRoamingResponse, Refusal> {
        let answer = self.rendering.clone().prepare_roaming(within(DEADLINE, message)).await;
        Ok(answer.map_err(|status| refused("profile", &status))?.into_inner())
    }

    pub(crate) async fn begin_home_half(&self, message: BeginHomeHalfRequest) -> Result<Session, Refusal> {
        let answer = self.roaming.clone().begin_home_half(within(DEADLINE, message)).await;
        Ok(answer.map_err(|status| refused("session", &status))?.into_inner().session.unwrap_or_default())
    }

    /// Brings a half up to date; whether its phone wore something else before.
    pub(crate) async fn refresh_half(
        &self,
        message: RefreshHalfRequest,
        time: Duration,
    ) -> Result<bool, Refusal> {
        let answer = self.roaming.clone().refresh_half(within(time, message)).await;
        Ok(answer.map_err(|status| refused("session", &status))?.into_inner().changed)
    }

    /// Tells the audit trail of a login that was refused. That it cannot be told changes nothing about the answer.
    pub(crate) async fn tell_refused(&self, phone: &str, user: &str, reason: ErrorReason, actor: Actor) {
        let message = TellRefusedLoginRequest {
            phone: phone.to_owned(),
            user_id: user.to_owned(),
            reason: reason.into(),
            actor: Some(actor),
        };
        if let Err(status) = self.roaming.clone().tell_refused_login(within(DEADLINE, message)).await {
            tracing::warn!(code = ?status.code(), "a refused login could not be told to the audit trail");
        }
    }

    /// Ends a session because its other half has ended; one that is not live has ended already.
    pub(crate) async fn end(&self, session: &SessionId) -> Result<(), Refusal> {
        let message = LogoutRequest {
            target: Some(logout_request::Target::SessionId(session.to_string())),
            reason: LogoutReason::CrossClusterPeer.into(),
            ..LogoutRequest::default()
        };
        match self.sessions.clone().logout(within(DEADLINE, message)).await {
            Ok(_) => Ok(()),
            Err(status) => match refused("session", &status) {
                refusal if is_gone(&refusal) => Ok(()),
                refusal => Err(refusal),
            },
        }
    }

    pub(crate) async fn live(&self, session: &SessionId) -> Result<Option<Session>, Refusal> {
        self.session(get_session_request::Target::SessionId(session.to_string())).await
    }

    pub(crate) async fn is_live(&self, session: &SessionId) -> Result<bool, Refusal> {
        Ok(self.live(session).await?.is_some())
    }

    /// The session on a phone.
    pub(crate) async fn session_on(&self, phone: &PhoneName) -> Option<SessionId> {
        let found = self.session(get_session_request::Target::Phone(phone.to_string())).await.ok()??;
        found.session_id.parse().ok()
    }

    async fn session(&self, target: get_session_request::Target) -> Result<Option<Session>, Refusal> {
        let message = GetSessionRequest { target: Some(target) };
        match self.sessions.clone().get_session(within(DEADLINE, message)).await {
            Ok(answer) => Ok(answer.into_inner().session),
            Err(status) => match refused("session", &status) {
                refusal if is_gone(&refusal) => Ok(None),
                refusal => Err(refusal),
            },
        }
    }

    pub(crate) async fn watch(&self, resume_token: String) -> Result<Watch, Refusal> {
        let message = WatchSessionsRequest { resume_token, ..WatchSessionsRequest::default() };
        let answer = self.sessions.clone().watch_sessions(Request::new(message)).await;
        let stream = answer.map_err(|status| refused("session", &status))?.into_inner();
        Ok(Box::pin(stream.map(|told| told.map_err(|status| refused("session", &status)))))
    }
}

fn is_gone(refusal: &Refusal) -> bool {
    matches!(refusal.reason, ErrorReason::SessionNotFound | ErrorReason::NotLoggedIn)
}

/// A service's refusal is passed on; anything else means that it cannot be had.
fn refused(service: &str, status: &Status) -> Refusal {
    passed_on(status).unwrap_or_else(|| {
        tracing::debug!(service, code = ?status.code(), message = status.message(), "another service failed");
        Refusal::new(ErrorReason::ServiceUnavailable, format!("the {service} service does not answer"))
            .with("service", service)
    })
}
