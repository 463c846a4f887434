//! `FederationService`: what other clusters ask. Each request is admitted by its certificate before it is read (XC-10).

use std::sync::Arc;

use roamline_domain::emcc::admission::{OLDEST_VERSION, VERSION, common_version};
use roamline_domain::emcc::half::{Half, Side, is_timely};
use roamline_domain::emcc::parameters::SecurityMode;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::emcc::user_filter::ALGORITHM;
use roamline_domain::{SessionId, UserId, Violations};
use roamline_proto::emcc::federation_service_server::FederationService;
use roamline_proto::emcc::{
    Capability, FindHomeRequest, FindHomeResponse, GetUserFilterRequest, GetUserFilterResponse, HelloRequest,
    HelloResponse, ReconcileRequest, ReconcileResponse, RemoteLoginRequest, RemoteLoginResponse,
    RemoteLogoutRequest, RemoteLogoutResponse, RemoteRefreshRequest, RemoteRefreshResponse,
    RemoteRenderRequest, RemoteRenderResponse, UserFilter,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::PeerIdentity;
use roamline_store::federation::Begun;
use tonic::{Request, Response, Status};

use super::OURS;
use crate::audit::Refused;
use crate::identity::Visitor;
use crate::{Inner, convert, refusal};

/// Session ids in one request.
const MOST_IDS: usize = 1000;

pub(crate) struct Handler(pub Arc<Inner>);

impl Handler {
    /// # Errors
    /// As [`Inner::admit`] says; a refusal is told to the audit trail.
    fn admit<T>(&self, request: &Request<T>, name: &'static str) -> Result<Visitor, Status> {
        let admitted = self.0.admit(request.extensions().get::<PeerIdentity>());
        admitted.map_err(|refused| self.0.audit.refuse(Refused::of(request, name), refused))
    }

    fn admit_to_logins<T>(&self, request: &Request<T>, name: &'static str) -> Result<Visitor, Status> {
        let visitor = self.admit(request, name)?;
        if !visitor.remote.services.emcc || !self.0.recalled.load().parameters.activated {
            let text = "cross-cluster logins are not shared with this cluster";
            let refused = Refusal::new(ErrorReason::CrossClusterNotAllowed, text);
            return Err(self.0.audit.refuse(Refused::of(request, name), refused));
        }
        Ok(visitor)
    }
}

#[tonic::async_trait]
impl FederationService for Handler {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloResponse>, Status> {
        let visitor = self.admit(&request, "Hello")?;
        let said = request.get_ref();
        let refuse = |refused| self.0.audit.refuse(Refused::of(&request, "Hello"), refused);
        if said.cluster_id != visitor.remote.cluster.as_str() {
            return Err(refuse(refusal::mismatch(&said.cluster_id, &visitor.remote.cluster)));
        }
        if common_version((OLDEST_VERSION, VERSION), (said.oldest_version, said.version)).is_none() {
            let text = format!("we speak versions {OLDEST_VERSION} to {VERSION}");
            return Err(refuse(Refusal::new(ErrorReason::PeerVersionUnsupported, text)));
        }
        let mut capabilities: Vec<i32> = OURS.map(Into::into).into();
        let recalled = self.0.recalled.load();
        if recalled.parameters.security_mode == SecurityMode::Mixed {
            capabilities.push(Capability::SecurePhones.into());
        }
        let filter_etag = self.0.own_filter.load().as_ref().map(|own| own.etag.clone());
        Ok(Response::new(HelloResponse {
            cluster_id: self.0.cluster.to_string(),
            version: VERSION,
            oldest_version: OLDEST_VERSION,
            capabilities,
            release: env!("CARGO_PKG_VERSION").into(),
            filter_etag: filter_etag.unwrap_or_default(),
            region: Some(convert::region(&recalled.parameters)),
        }))
    }

    async fn get_user_filter(
        &self,
        request: Request<GetUserFilterRequest>,
    ) -> Result<Response<GetUserFilterResponse>, Status> {
        let _visitor = self.admit_to_logins(&request, "GetUserFilter")?;
        let own = self.0.own_filter.load();
        let Some(own) = own.as_ref() else { return Ok(Response::new(GetUserFilterResponse::default())) };
        let (salt, hashes, bits, users) = own.filter.parts();
        let filter =
            UserFilter { algorithm: ALGORITHM, salt: salt.to_vec(), hashes, bits: bits.to_vec(), users };
        let is_known = request.get_ref().etag == own.etag;
        let filter = (!is_known).then_some(filter);
        Ok(Response::new(GetUserFilterResponse { etag: own.etag.clone(), filter }))
    }

    async fn find_home(
        &self,
        request: Request<FindHomeRequest>,
    ) -> Result<Response<FindHomeResponse>, Status> {
        let _visitor = self.admit_to_logins(&request, "FindHome")?;
        // What is no user id is nobody's.
        let is_home = match request.get_ref().user_id.parse::<UserId>() {
            Ok(user) => self.0.local.user(&user).await?.is_some(),
            Err(_) => false,
        };
        Ok(Response::new(FindHomeResponse { is_home }))
    }

    async fn remote_login(
        &self,
        request: Request<RemoteLoginRequest>,
    ) -> Result<Response<RemoteLoginResponse>, Status> {
        let visitor = self.admit(&request, "RemoteLogin")?;
        let done = Box::pin(self.0.remote_login(&visitor.remote, request.into_inner())).await?;
        Ok(Response::new(done))
    }

    async fn remote_logout(
        &self,
        request: Request<RemoteLogoutRequest>,
    ) -> Result<Response<RemoteLogoutResponse>, Status> {
        let visitor = self.admit(&request, "RemoteLogout")?;
        let asked = Refused::of(&request, "RemoteLogout");
        for session in ids(&request.get_ref().session_ids)? {
            self.0.end_by_peer(&visitor.remote, &session, &asked).await?;
        }
        Ok(Response::new(RemoteLogoutResponse {}))
    }

    async fn remote_refresh(
        &self,
        request: Request<RemoteRefreshRequest>,
    ) -> Result<Response<RemoteRefreshResponse>, Status> {
        let visitor = self.admit(&request, "RemoteRefresh")?;
        let asked = Refused::of(&request, "RemoteRefresh");
        let session = id(&request.get_ref().session_id)?;
        let changed = self.0.refresh_here(&visitor.remote, &session).await;
        let changed = changed.map_err(|refused| self.0.unless_theirs(asked, refused))?;
        Ok(Response::new(RemoteRefreshResponse { changed }))
    }

    async fn remote_render(
        &self,
        request: Request<RemoteRenderRequest>,
    ) -> Result<Response<RemoteRenderResponse>, Status> {
        let visitor = self.admit(&request, "RemoteRender")?;
        let asked = Refused::of(&request, "RemoteRender");
        let request = request.into_inner();
        let (session, phone) = (id(&request.session_id)?, request.phone.unwrap_or_default());
        let prepared = Box::pin(self.0.render_anew(&visitor.remote, &session, &phone)).await;
        let prepared = prepared.map_err(|refused| self.0.unless_theirs(asked, refused))?;
        Ok(Response::new(RemoteRenderResponse { prepared: Some(prepared) }))
    }

    async fn reconcile(
        &self,
        request: Request<ReconcileRequest>,
    ) -> Result<Response<ReconcileResponse>, Status> {
        let visitor = self.admit(&request, "Reconcile")?;
        let mut unknown = Vec::new();
        for session in ids(&request.get_ref().session_ids)? {
            let half = self.0.store.half(&session).await.map_err(|error| refusal::store(&error))?;
            let ours = half.is_some_and(|half| half.is_live() && half.peer == visitor.remote.cluster);
            if !ours {
                unknown.push(session.to_string());
            }
        }
        Ok(Response::new(ReconcileResponse { unknown_session_ids: unknown }))
    }
}

impl Inner {
    /// The status of a refusal; that a peer reaches for a session that is not its own is told to the audit trail.
    fn unless_theirs(&self, asked: Refused, refused: Refusal) -> Status {
        match refused.reason {
            ErrorReason::SessionNotFound => self.audit.refuse(asked, refused),
            _ => refused.into(),
        }
    }

    /// A peer's half has ended: ours does, if it is a half of a session between the two. One that is not known is
    /// remembered, so that its login, which may still be on its way, is refused.
    pub(crate) async fn end_by_peer(
        &self,
        peer: &RemoteCluster,
        session: &SessionId,
        asked: &Refused,
    ) -> Result<(), Refusal> {
        let store = |error| refusal::store(&error);
        match self.store.half(session).await.map_err(store)? {
            Some(half) if half.peer != peer.cluster => {
                tracing::warn!(%session, peer = %peer.cluster, "a peer would end a session that is not its own");
                let text = "the session is between others";
                self.audit.refused(asked.clone(), &Refusal::new(ErrorReason::SessionNotFound, text));
                Ok(())
            }
            Some(_) => {
                self.end_half(session, true).await?;
                self.local.end(session).await
            }
            None if is_timely(session, self.clock.now()) => {
                let now = self.clock.now();
                let Some(half) = never_begun(session.clone(), peer, now) else { return Ok(()) };
                match self.store.begin_half(half, None).await.map_err(store)? {
                    // Its login came in between.
                    Begun::Known(known) if known.peer == peer.cluster => self.end_both(session).await,
                    _ => Ok(()),
                }
            }
            None => Ok(()),
        }
    }
}

/// A half of which only the end is known: user and phone have not been told yet, and never will be.
fn never_begun(session: SessionId, peer: &RemoteCluster, now: jiff::Timestamp) -> Option<Half> {
    Some(Half {
        session,
        side: Side::Home,
        peer: peer.cluster.clone(),
        user: "-".parse().ok()?,
        visiting_phone: "SEP000000000000".parse().ok()?,
        base_device: None,
        begun_at: now,
        ended_at: Some(now),
        told: true,
    })
}

fn id(text: &str) -> Result<SessionId, Refusal> {
    let mut found = Violations::new();
    found.take("session_id", text.parse()).ok_or_else(|| refusal::invalid(found))
}

fn ids(texts: &[String]) -> Result<Vec<SessionId>, Refusal> {
    let mut found = Violations::new();
    if texts.len() > MOST_IDS {
        found.add("session_ids", "", format!("has more than {MOST_IDS} entries"));
        return Err(refusal::invalid(found));
    }
    let parsed = texts.iter().enumerate();
    let parsed = parsed.filter_map(|(at, text)| found.take(format!("session_ids[{at}]"), text.parse()));
    let parsed: Vec<SessionId> = parsed.collect();
    found.none_or(parsed).map_err(refusal::invalid)
}
