//! `RoamingService`, for the session service.

use std::sync::Arc;

use roamline_domain::{SessionId, Violations};
use roamline_proto::emcc::roaming_service_server::RoamingService;
use roamline_proto::emcc::{
    AbandonRequest, AbandonResponse, RefreshThereRequest, RefreshThereResponse, RenderVisitRequest,
    RenderVisitResponse, RoamRequest, RoamResponse,
};
use roamline_proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::{Inner, refusal};

pub(crate) struct Handler(pub Arc<Inner>);

#[tonic::async_trait]
impl RoamingService for Handler {
    async fn roam(&self, request: Request<RoamRequest>) -> Result<Response<RoamResponse>, Status> {
        Ok(Response::new(Box::pin(self.0.visit(request.into_inner())).await?))
    }

    async fn refresh_there(
        &self,
        request: Request<RefreshThereRequest>,
    ) -> Result<Response<RefreshThereResponse>, Status> {
        let changed = self.0.refresh_there(&session(&request.get_ref().session_id)?).await?;
        Ok(Response::new(RefreshThereResponse { changed }))
    }

    async fn render_visit(
        &self,
        request: Request<RenderVisitRequest>,
    ) -> Result<Response<RenderVisitResponse>, Status> {
        let prepared = Box::pin(self.0.render_visit(&session(&request.get_ref().session_id)?)).await?;
        Ok(Response::new(RenderVisitResponse { found: prepared.is_some(), prepared }))
    }

    async fn abandon(&self, request: Request<AbandonRequest>) -> Result<Response<AbandonResponse>, Status> {
        self.0.end_half(&session(&request.get_ref().session_id)?, false).await?;
        Ok(Response::new(AbandonResponse {}))
    }
}

fn session(text: &str) -> Result<SessionId, Refusal> {
    let mut found = Violations::new();
    found.take("session_id", text.parse()).ok_or_else(|| refusal::invalid(found))
}
