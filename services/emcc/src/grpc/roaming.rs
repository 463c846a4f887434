//! `RoamingService`, for the session service.

use std::sync::Arc;

use roamline_domain::Violations;
use roamline_proto::emcc::roaming_service_server::RoamingService;
use roamline_proto::emcc::{AbandonRequest, AbandonResponse, RoamRequest, RoamResponse};
use tonic::{Request, Response, Status};

use crate::{Inner, refusal};

pub(crate) struct Handler(pub Arc<Inner>);

#[tonic::async_trait]
impl RoamingService for Handler {
    async fn roam(&self, request: Request<RoamRequest>) -> Result<Response<RoamResponse>, Status> {
        Ok(Response::new(Box::pin(self.0.visit(request.into_inner())).await?))
    }

    async fn abandon(&self, request: Request<AbandonRequest>) -> Result<Response<AbandonResponse>, Status> {
        let mut found = Violations::new();
        match found.take("session_id", request.get_ref().session_id.parse()) {
            Some(session) => self.0.end_half(&session, false).await?,
            None => return Err(refusal::invalid(found).into()),
        }
        Ok(Response::new(AbandonResponse {}))
    }
}
