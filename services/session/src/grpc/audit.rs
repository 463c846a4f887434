//! `AuditService`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use roamline_proto::session::audit_service_server::AuditService;
use roamline_proto::session::{
    ExportAuditRecordsRequest, ExportAuditRecordsResponse, ListAuditRecordsRequest, ListAuditRecordsResponse,
};
use tonic::{Request, Response, Status};

use crate::convert::audit as convert;
use crate::{Core, audit};

pub(crate) struct Handler(pub Arc<Core>);

#[tonic::async_trait]
impl AuditService for Handler {
    async fn list_audit_records(
        &self,
        request: Request<ListAuditRecordsRequest>,
    ) -> Result<Response<ListAuditRecordsResponse>, Status> {
        let request = request.into_inner();
        let query = convert::query(request.filter.as_ref())?;
        let after = convert::page_token(&request.page_token)?;
        let size = if request.page_size == 0 { 100 } else { request.page_size.min(1000) };
        let (page, more) = self.0.audit_page(&query, after, size).await?;
        let next_page_token = match page.last() {
            Some(last) if more => convert::next_page_token(last.number),
            _ => String::new(),
        };
        let records = page.into_iter().map(convert::record).collect();
        Ok(Response::new(ListAuditRecordsResponse { records, next_page_token }))
    }

    type ExportAuditRecordsStream =
        Pin<Box<dyn Stream<Item = Result<ExportAuditRecordsResponse, Status>> + Send>>;

    async fn export_audit_records(
        &self,
        request: Request<ExportAuditRecordsRequest>,
    ) -> Result<Response<Self::ExportAuditRecordsStream>, Status> {
        let request = request.into_inner();
        let query = convert::query(request.filter.as_ref())?;
        let pages = audit::export(Arc::clone(&self.0), query, request.after).await?;
        let answers = pages.map(|page| {
            let page = page.map_err(Status::from)?;
            Ok(ExportAuditRecordsResponse { records: page.into_iter().map(convert::record).collect() })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
