//! Bulk changes of the directory.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_token::Caller;
use roamline_token::scope::DIRECTORY_BACKUP;
use tonic::{Request, Response, Status, async_trait};
use wire::import_service_server::ImportService;

use super::status::answer;
use crate::Profile;

/// Refuses a restore to a caller who may not read a backup: it passes by rules, as nobody else may.
fn may_restore(caller: &Caller, restore: bool) -> Result<(), Refusal> {
    if !restore || caller.has(DIRECTORY_BACKUP) {
        return Ok(());
    }
    let told = format!("the token lacks the scope {DIRECTORY_BACKUP}, which a restore needs");
    Err(Refusal::new(ErrorReason::ScopeMissing, told).with("scope", DIRECTORY_BACKUP))
}

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
        let allowed = may_restore(&Caller::of(&request), request.get_ref().restore);
        answer(async { self.stage_import(allowed.map(|()| request.into_inner())?).await }.await)
    }

    async fn commit_import(
        &self,
        request: Request<wire::CommitImportRequest>,
    ) -> Result<Response<wire::CommitImportResponse>, Status> {
        let allowed = may_restore(&Caller::of(&request), request.get_ref().restore);
        answer(async { self.commit_import(&allowed.map(|()| request.into_inner())?).await }.await)
    }

    async fn discard_import(
        &self,
        request: Request<wire::DiscardImportRequest>,
    ) -> Result<Response<wire::DiscardImportResponse>, Status> {
        let discarded = self.discard_import(&request.into_inner().import_id).await;
        answer(discarded.map(|()| wire::DiscardImportResponse {}))
    }
}
