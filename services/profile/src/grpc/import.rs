//! Bulk changes of the directory.

use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};
use wire::import_service_server::ImportService;

use super::status::answer;
use crate::Profile;

#[async_trait]
impl ImportService for Profile {
    async fn start_import(
        &self,
        request: Request<wire::StartImportRequest>,
    ) -> Result<Response<wire::StartImportResponse>, Status> {
        let import = self.start_import(&request.into_inner().token).await;
        answer(import.map(|import| wire::StartImportResponse { import: Some(import) }))
    }

    async fn stage_import(
        &self,
        request: Request<wire::StageImportRequest>,
    ) -> Result<Response<wire::StageImportResponse>, Status> {
        answer(self.stage_import(request.into_inner()).await)
    }

    async fn commit_import(
        &self,
        request: Request<wire::CommitImportRequest>,
    ) -> Result<Response<wire::CommitImportResponse>, Status> {
        answer(self.commit_import(&request.into_inner()).await)
    }

    async fn discard_import(
        &self,
        request: Request<wire::DiscardImportRequest>,
    ) -> Result<Response<wire::DiscardImportResponse>, Status> {
        let discarded = self.discard_import(&request.into_inner().import_id).await;
        answer(discarded.map(|()| wire::DiscardImportResponse {}))
    }
}
