//! The service parameters of the cluster: one record, which is always there.

use roamline_domain::parameters::ServiceParameters;
use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};
use wire::service_parameters_service_server::ServiceParametersService;

use super::status::answer;
use crate::Profile;

#[async_trait]
impl ServiceParametersService for Profile {
    async fn get_service_parameters(
        &self,
        _: Request<wire::GetServiceParametersRequest>,
    ) -> Result<Response<wire::GetServiceParametersResponse>, Status> {
        let found = self.get::<ServiceParameters>(&()).await;
        answer(found.map(|record| wire::GetServiceParametersResponse { service_parameters: Some(record) }))
    }

    async fn update_service_parameters(
        &self,
        request: Request<wire::UpdateServiceParametersRequest>,
    ) -> Result<Response<wire::UpdateServiceParametersResponse>, Status> {
        let request = request.into_inner();
        let (wanted, mask) = (request.service_parameters.as_ref(), request.update_mask.as_ref());
        let written = self.update::<ServiceParameters>(wanted, mask, request.validate_only).await;
        answer(written.map(|written| wire::UpdateServiceParametersResponse {
            service_parameters: Some(written.record),
        }))
    }
}
