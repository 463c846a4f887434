//! The directory as a whole.

use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};
use wire::directory_service_server::DirectoryService;

use super::status::answer;
use crate::Profile;
use crate::convert::findings;

#[async_trait]
impl DirectoryService for Profile {
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
