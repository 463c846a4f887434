//! `PhoneLinkService`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use roamline_proto::session::phone_link_service_server::PhoneLinkService;
use roamline_proto::session::{
    AcknowledgePhoneRequest, AcknowledgePhoneResponse, ReportPhoneRequest, ReportPhoneResponse,
    WatchPhoneRequest, WatchPhoneResponse, WatchPhonesRequest, WatchPhonesResponse,
};
use tonic::{Request, Response, Status, Streaming};

use crate::{Core, convert, phone_links};

pub(crate) struct Handler(pub Arc<Core>);

#[tonic::async_trait]
impl PhoneLinkService for Handler {
    type WatchPhoneStream = Pin<Box<dyn Stream<Item = Result<WatchPhoneResponse, Status>> + Send>>;

    async fn watch_phone(
        &self,
        request: Request<WatchPhoneRequest>,
    ) -> Result<Response<Self::WatchPhoneStream>, Status> {
        let phone = convert::only_phone(&request.get_ref().phone)?;
        let stream = phone_links::one(Arc::clone(&self.0), phone).await?;
        let stream = self.0.readers.guard(stream);
        let stream = stream.map(|told| told.and_then(convert::phone_told).map_err(Status::from));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn acknowledge_phone(
        &self,
        request: Request<AcknowledgePhoneRequest>,
    ) -> Result<Response<AcknowledgePhoneResponse>, Status> {
        let request = request.into_inner();
        let phone = convert::only_phone(&request.phone)?;
        let generation = self.0.acknowledge(phone, request.generation).await?;
        Ok(Response::new(AcknowledgePhoneResponse { generation }))
    }

    async fn report_phone(
        &self,
        request: Request<ReportPhoneRequest>,
    ) -> Result<Response<ReportPhoneResponse>, Status> {
        let (phone, report) = convert::report(request.get_ref())?;
        self.0.report(phone, report).await?;
        Ok(Response::new(ReportPhoneResponse {}))
    }

    type WatchPhonesStream = Pin<Box<dyn Stream<Item = Result<WatchPhonesResponse, Status>> + Send>>;

    async fn watch_phones(
        &self,
        request: Request<Streaming<WatchPhonesRequest>>,
    ) -> Result<Response<Self::WatchPhonesStream>, Status> {
        let said = request.into_inner().map(|message| match message {
            Ok(message) => convert::said(message),
            Err(status) => Err(convert::broken_off(&status)),
        });
        let stream = self.0.readers.guard(phone_links::many(Arc::clone(&self.0), said));
        let stream = stream.map(|told| told.map(convert::phones_told).map_err(Status::from));
        Ok(Response::new(Box::pin(stream)))
    }
}
