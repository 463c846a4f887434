//! The directory as a whole.

use futures::StreamExt;
use futures::stream::BoxStream;
use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};
use wire::directory_service_server::DirectoryService;

use super::status::{answer, status};
use crate::Profile;
use crate::convert::findings;

#[async_trait]
impl DirectoryService for Profile {
    type ExportResourcesStream = BoxStream<'static, Result<wire::ExportResourcesResponse, Status>>;

    async fn export_resources(
        &self,
        request: Request<wire::ExportResourcesRequest>,
    ) -> Result<Response<Self::ExportResourcesStream>, Status> {
        let export = self.export(&request.into_inner().kinds).await;
        answer(export.map(|messages| {
            let message = |resources| wire::ExportResourcesResponse { resources };
            messages.map(move |next| next.map(message).map_err(status)).boxed()
        }))
    }

    async fn apply_resources(
        &self,
        request: Request<wire::ApplyResourcesRequest>,
    ) -> Result<Response<wire::ApplyResourcesResponse>, Status> {
        let request = request.into_inner();
        let applied = self.apply(&request.resources, request.validate_only).await;
        answer(applied.map(|applied| wire::ApplyResourcesResponse {
            outcomes: applied.outcomes.into_iter().map(i32::from).collect(),
            findings: findings(&applied.findings),
        }))
    }
}
