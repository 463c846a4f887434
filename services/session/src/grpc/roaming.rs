//! `RoamingSessionService`.

use std::sync::Arc;

use roamline_domain::Violations;
use roamline_domain::phone_state::{self, Actor};
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::roaming_session_service_server::RoamingSessionService;
use roamline_proto::session::{
    BeginHomeHalfRequest, BeginHomeHalfResponse, RefreshHalfRequest, RefreshHalfResponse,
    TellRefusedLoginRequest, TellRefusedLoginResponse,
};
use tonic::{Request, Response, Status};

use super::peers::{login_facts, prepared};
use crate::convert::control;
use crate::refused::What;
use crate::roam::HomeHalf;
use crate::{Core, convert, refusal};

pub(crate) struct Handler(pub Arc<Core>);

#[tonic::async_trait]
impl RoamingSessionService for Handler {
    async fn begin_home_half(
        &self,
        request: Request<BeginHomeHalfRequest>,
    ) -> Result<Response<BeginHomeHalfResponse>, Status> {
        let half = home_half(request.into_inner())?;
        let made = self.0.begin_home_half(half, convert::login_response).await?;
        Ok(Response::new(BeginHomeHalfResponse { session: made.session, findings: made.findings }))
    }

    async fn refresh_half(
        &self,
        request: Request<RefreshHalfRequest>,
    ) -> Result<Response<RefreshHalfResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        let session = found.take("session_id", request.session_id.parse());
        let session = session.ok_or_else(|| refusal::invalid(found))?;
        let actor = request.actor.map(actor_of).unwrap_or_default();
        let changed = match request.prepared {
            Some(given) => self.0.refresh_home_half(session, prepared(given)?.rendering, actor).await?,
            None => self.0.refresh_visiting_half(session, actor).await?,
        };
        Ok(Response::new(RefreshHalfResponse { changed }))
    }

    async fn tell_refused_login(
        &self,
        request: Request<TellRefusedLoginRequest>,
    ) -> Result<Response<TellRefusedLoginResponse>, Status> {
        let asker = control::asker(&request);
        let request = request.into_inner();
        let phone = convert::only_phone(&request.phone)?;
        let what =
            What { asked: phone_state::Asked::Login, phone: &phone, user: &request.user_id, profile: "" };
        let actor = request.actor.clone().unwrap_or_default();
        let refused = Refusal::new(request.reason(), "");
        self.0.tell_refused(what, &asker.standing_for(&actor.name, &actor.source_address), &refused).await;
        Ok(Response::new(TellRefusedLoginResponse {}))
    }
}

fn home_half(request: BeginHomeHalfRequest) -> Result<HomeHalf, Refusal> {
    let mut found = Violations::new();
    let session = found.take("session_id", request.session_id.parse());
    let base_device = convert::phone("base_device", &request.base_device, &mut found);
    let (Some(session), Some(base_device)) = (session, base_device) else {
        return Err(refusal::invalid(found));
    };
    let prepared = request.prepared.unwrap_or_default();
    let length = |time: Option<prost_types::Duration>| time.and_then(roamline_proto::length);
    let parameters = prepared.service_parameters.as_ref();
    let inter_cluster_time = length(parameters.and_then(|all| all.inter_cluster_maximum_login_time));
    let policy = Arc::new(convert::policy(parameters.unwrap_or(&Default::default())));
    let actor = request.actor.map(actor_of).unwrap_or_default();
    Ok(HomeHalf {
        session,
        base_device,
        facts: login_facts(prepared, policy)?,
        duration: length(request.duration),
        inter_cluster_time: inter_cluster_time.unwrap_or_default(),
        actor,
    })
}

fn actor_of(actor: wire::Actor) -> Actor {
    Actor {
        name: actor.name,
        source: actor.source_address,
        application: actor.application,
        trace_id: actor.trace_id,
    }
}
