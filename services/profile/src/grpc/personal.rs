//! What a user may do with what is his own.

use roamline_proto::profile as wire;
use roamline_token::Caller;
use tonic::{Request, Response, Status, async_trait};
use wire::personal_service_server::PersonalService;

use super::status::answer;
use crate::Profile;

#[async_trait]
impl PersonalService for Profile {
    async fn list_own_profiles(
        &self,
        request: Request<wire::ListOwnProfilesRequest>,
    ) -> Result<Response<wire::ListOwnProfilesResponse>, Status> {
        let caller = Caller::of(&request);
        let profiles = self.own_profiles(&request.into_inner().user_id, &caller).await;
        answer(profiles.map(|user_device_profiles| wire::ListOwnProfilesResponse { user_device_profiles }))
    }

    async fn update_own_speed_dials(
        &self,
        request: Request<wire::UpdateOwnSpeedDialsRequest>,
    ) -> Result<Response<wire::UpdateOwnSpeedDialsResponse>, Status> {
        let caller = Caller::of(&request);
        let profile = self.update_own_speed_dials(&request.into_inner(), &caller).await;
        answer(
            profile.map(|profile| wire::UpdateOwnSpeedDialsResponse { user_device_profile: Some(profile) }),
        )
    }

    async fn set_do_not_disturb(
        &self,
        request: Request<wire::SetDoNotDisturbRequest>,
    ) -> Result<Response<wire::SetDoNotDisturbResponse>, Status> {
        let request = request.into_inner();
        let set = self.set_do_not_disturb(&request.profile, request.on).await;
        answer(set.map(|()| wire::SetDoNotDisturbResponse {}))
    }
}
