//! The catalogue of phone models.

use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};
use wire::phone_model_service_server::PhoneModelService;

use super::status::answer;
use crate::convert::phone_model;
use crate::{Profile, refusal};

#[async_trait]
impl PhoneModelService for Profile {
    async fn get_phone_model(
        &self,
        request: Request<wire::GetPhoneModelRequest>,
    ) -> Result<Response<wire::GetPhoneModelResponse>, Status> {
        let found = self.catalogue.find(&request.into_inner().name);
        answer(
            found
                .map(|model| wire::GetPhoneModelResponse { phone_model: Some(phone_model(model)) })
                .map_err(|unknown| refusal::model_unknown(&unknown)),
        )
    }

    async fn list_phone_models(
        &self,
        _: Request<wire::ListPhoneModelsRequest>,
    ) -> Result<Response<wire::ListPhoneModelsResponse>, Status> {
        let phone_models = self.catalogue.iter().map(phone_model).collect();
        answer(Ok(wire::ListPhoneModelsResponse { phone_models }))
    }
}
