//! `PhoneLinkService`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use roamline_proto::session::phone_link_service_server::PhoneLinkService;
use roamline_proto::session::watch_phone_response::Message;
use roamline_proto::session::{
    AcknowledgePhoneRequest, AcknowledgePhoneResponse, Heartbeat, ReportPhoneRequest, ReportPhoneResponse,
    WatchPhoneRequest, WatchPhoneResponse,
};
use tonic::{Request, Response, Status};

use crate::phone_link::{self, ToPhone};
use crate::{Core, convert};

pub(crate) struct Handler(pub Arc<Core>);

#[tonic::async_trait]
impl PhoneLinkService for Handler {
    type WatchPhoneStream = Pin<Box<dyn Stream<Item = Result<WatchPhoneResponse, Status>> + Send>>;

    async fn watch_phone(
        &self,
        request: Request<WatchPhoneRequest>,
    ) -> Result<Response<Self::WatchPhoneStream>, Status> {
        let phone = convert::only_phone(&request.get_ref().phone)?;
        let stream = phone_link::watch(Arc::clone(&self.0), phone).await?;
        let stream = stream.map(|told| {
            let message = match told? {
                ToPhone::Update(state) => Message::Update(convert::phone_update(&state)?),
                ToPhone::Heartbeat => Message::Heartbeat(Heartbeat {}),
            };
            Ok(WatchPhoneResponse { message: Some(message) })
        });
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
        let hook = convert::hook_state(request.get_ref().hook_state())?;
        let phone = convert::only_phone(&request.get_ref().phone)?;
        self.0.report(phone, hook).await?;
        Ok(Response::new(ReportPhoneResponse {}))
    }
}
