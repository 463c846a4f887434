//! The session service over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use roamline_domain::{PhoneName, ProfileName};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{
    GetSessionRequest, ListSessionsRequest, LogoutReason, LogoutRequest, Session, get_session_request,
    logout_request,
};
use roamline_serve::{Way, within};
use roamline_token::Bearer;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;

use crate::sessions::{Ending, Sessions, Worn};

/// How long the session service may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// Sessions of one answer.
const PAGE: u32 = 1000;

/// The session service, called with this service's own token.
#[derive(Clone)]
pub struct GrpcSessions {
    client: SessionServiceClient<InterceptedService<Way, Bearer>>,
}

impl GrpcSessions {
    /// A client that calls it that way.
    pub fn new(way: Way, bearer: Bearer) -> Self {
        Self { client: SessionServiceClient::with_interceptor(way, bearer) }
    }
}

#[async_trait]
impl Sessions for GrpcSessions {
    async fn wearing(&self, profile: &ProfileName) -> Result<Vec<Worn>, Refusal> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let profile = profile.to_string();
            let request = ListSessionsRequest { page_size: PAGE, page_token, profile, ..Default::default() };
            let answer = self
                .client
                .clone()
                .list_sessions(within(DEADLINE, request))
                .await
                .map_err(|s| refused(&s))?;
            let page = answer.into_inner();
            found.extend(page.sessions.into_iter().map(worn));
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            page_token = page.next_page_token;
        }
    }

    async fn at(&self, phone: &PhoneName) -> Result<Option<Worn>, Refusal> {
        let target = Some(get_session_request::Target::Phone(phone.to_string()));
        match self.client.clone().get_session(within(DEADLINE, GetSessionRequest { target })).await {
            Ok(answer) => Ok(answer.into_inner().session.map(worn)),
            Err(status) if is(&status, &[ErrorReason::NotLoggedIn, ErrorReason::SessionNotFound]) => Ok(None),
            Err(status) => Err(refused(&status)),
        }
    }

    async fn end(&self, session: &Worn, why: Ending) -> Result<(), Refusal> {
        let reason = match why {
            Ending::PhoneRemoved => LogoutReason::PhoneRemoved,
            Ending::ProfileRemoved => LogoutReason::Administrator,
        };
        let target = Some(logout_request::Target::SessionId(session.session_id.clone()));
        let request = LogoutRequest { target, reason: reason.into(), ..Default::default() };
        match self.client.clone().logout(within(DEADLINE, request)).await {
            Ok(_) => Ok(()),
            Err(status) if is(&status, &[ErrorReason::NotLoggedIn, ErrorReason::SessionNotFound]) => Ok(()),
            Err(status) => Err(refused(&status)),
        }
    }
}

fn worn(session: Session) -> Worn {
    Worn { session_id: session.session_id, user_id: session.user_id, phone: session.phone }
}

fn is(status: &Status, reasons: &[ErrorReason]) -> bool {
    Refusal::from_status(status).is_some_and(|refusal| reasons.contains(&refusal.reason))
}

fn refused(status: &Status) -> Refusal {
    tracing::warn!(%status, "the session service gives no answer");
    Refusal::new(ErrorReason::ServiceUnavailable, "the session service does not answer")
        .with("service", "session")
}
