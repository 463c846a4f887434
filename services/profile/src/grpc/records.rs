//! The services that keep records: six methods each, the same for every kind.

use roamline_domain::directory::{
    DefaultDeviceProfile, DevicePool, Line, LineTemplate, LogoutProfile, Phone, PhoneServiceDefinition,
    PhoneTemplate, PresenceGroup, User, UserDeviceProfile,
};
use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};

use super::status::answer;
use crate::Profile;
use crate::convert::findings;
use crate::list::Wanted;

macro_rules! record_service {
    (
        $service:path, $record:ty, $field:ident, $list_field:ident, $key:ident;
        $create:ident($create_request:ident) -> $create_response:ident,
        $get:ident($get_request:ident) -> $get_response:ident,
        $batch:ident($batch_request:ident, $batch_field:ident) -> $batch_response:ident,
        $list:ident($list_request:ident) -> $list_response:ident,
        $update:ident($update_request:ident) -> $update_response:ident,
        $delete:ident($delete_request:ident) -> $delete_response:ident, force: $force:expr
        $(, $more:item)*
    ) => {
        #[async_trait]
        impl $service for Profile {
            async fn $create(
                &self,
                request: Request<wire::$create_request>,
            ) -> Result<Response<wire::$create_response>, Status> {
                let request = request.into_inner();
                let written = self.create::<$record>(request.$field.as_ref(), request.validate_only).await;
                answer(written.map(|written| wire::$create_response {
                    $field: Some(written.record),
                    findings: findings(&written.findings),
                }))
            }

            async fn $get(
                &self,
                request: Request<wire::$get_request>,
            ) -> Result<Response<wire::$get_response>, Status> {
                let found = self.get::<$record>(&request.into_inner().$key).await;
                answer(found.map(|record| wire::$get_response { $field: Some(record) }))
            }

            async fn $batch(
                &self,
                request: Request<wire::$batch_request>,
            ) -> Result<Response<wire::$batch_response>, Status> {
                let given = request.into_inner().$batch_field;
                let found = self.batch_get::<$record, _>(stringify!($batch_field), &given).await;
                answer(found.map(|found| wire::$batch_response {
                    $list_field: found.records,
                    not_found: found.missing,
                }))
            }

            async fn $list(
                &self,
                request: Request<wire::$list_request>,
            ) -> Result<Response<wire::$list_response>, Status> {
                let request = request.into_inner();
                let wanted = Wanted {
                    size: request.page_size,
                    token: &request.page_token,
                    filter: &request.filter,
                    order: &request.order_by,
                };
                let page = self.list::<$record>(wanted).await;
                answer(page.map(|page| wire::$list_response {
                    $list_field: page.records,
                    next_page_token: page.next,
                }))
            }

            async fn $update(
                &self,
                request: Request<wire::$update_request>,
            ) -> Result<Response<wire::$update_response>, Status> {
                let request = request.into_inner();
                let (wanted, mask) = (request.$field.as_ref(), request.update_mask.as_ref());
                let written = self.update::<$record>(wanted, mask, request.validate_only).await;
                answer(written.map(|written| wire::$update_response {
                    $field: Some(written.record),
                    findings: findings(&written.findings),
                }))
            }

            async fn $delete(
                &self,
                request: Request<wire::$delete_request>,
            ) -> Result<Response<wire::$delete_response>, Status> {
                let request = request.into_inner();
                let force: fn(&wire::$delete_request) -> bool = $force;
                let forced = force(&request);
                let deleted = self.delete::<$record>(&request.$key, &request.etag, forced).await;
                answer(deleted.map(|()| wire::$delete_response {}))
            }

            $($more)*
        }
    };
}

record_service!(
    wire::user_service_server::UserService, User, user, users, user_id;
    create_user(CreateUserRequest) -> CreateUserResponse,
    get_user(GetUserRequest) -> GetUserResponse,
    batch_get_users(BatchGetUsersRequest, user_ids) -> BatchGetUsersResponse,
    list_users(ListUsersRequest) -> ListUsersResponse,
    update_user(UpdateUserRequest) -> UpdateUserResponse,
    delete_user(DeleteUserRequest) -> DeleteUserResponse, force: |_| false
);

record_service!(
    wire::phone_service_server::PhoneService, Phone, phone, phones, name;
    create_phone(CreatePhoneRequest) -> CreatePhoneResponse,
    get_phone(GetPhoneRequest) -> GetPhoneResponse,
    batch_get_phones(BatchGetPhonesRequest, names) -> BatchGetPhonesResponse,
    list_phones(ListPhonesRequest) -> ListPhonesResponse,
    update_phone(UpdatePhoneRequest) -> UpdatePhoneResponse,
    delete_phone(DeletePhoneRequest) -> DeletePhoneResponse, force: |request| request.force,
    async fn synchronize_autogenerated_profile(
        &self,
        request: Request<wire::SynchronizeAutogeneratedProfileRequest>,
    ) -> Result<Response<wire::SynchronizeAutogeneratedProfileResponse>, Status> {
        let request = request.into_inner();
        let phone = self.synchronize_autogenerated(&request.name, &request.etag).await;
        answer(phone.map(|phone| wire::SynchronizeAutogeneratedProfileResponse { phone: Some(phone) }))
    }
);

record_service!(
    wire::user_device_profile_service_server::UserDeviceProfileService, UserDeviceProfile,
    user_device_profile, user_device_profiles, name;
    create_user_device_profile(CreateUserDeviceProfileRequest) -> CreateUserDeviceProfileResponse,
    get_user_device_profile(GetUserDeviceProfileRequest) -> GetUserDeviceProfileResponse,
    batch_get_user_device_profiles(BatchGetUserDeviceProfilesRequest, names) -> BatchGetUserDeviceProfilesResponse,
    list_user_device_profiles(ListUserDeviceProfilesRequest) -> ListUserDeviceProfilesResponse,
    update_user_device_profile(UpdateUserDeviceProfileRequest) -> UpdateUserDeviceProfileResponse,
    delete_user_device_profile(DeleteUserDeviceProfileRequest) -> DeleteUserDeviceProfileResponse, force: |request| request.force
);

record_service!(
    wire::default_device_profile_service_server::DefaultDeviceProfileService, DefaultDeviceProfile,
    default_device_profile, default_device_profiles, model;
    create_default_device_profile(CreateDefaultDeviceProfileRequest) -> CreateDefaultDeviceProfileResponse,
    get_default_device_profile(GetDefaultDeviceProfileRequest) -> GetDefaultDeviceProfileResponse,
    batch_get_default_device_profiles(BatchGetDefaultDeviceProfilesRequest, models) -> BatchGetDefaultDeviceProfilesResponse,
    list_default_device_profiles(ListDefaultDeviceProfilesRequest) -> ListDefaultDeviceProfilesResponse,
    update_default_device_profile(UpdateDefaultDeviceProfileRequest) -> UpdateDefaultDeviceProfileResponse,
    delete_default_device_profile(DeleteDefaultDeviceProfileRequest) -> DeleteDefaultDeviceProfileResponse, force: |_| false
);

record_service!(
    wire::logout_profile_service_server::LogoutProfileService, LogoutProfile,
    logout_profile, logout_profiles, tag;
    create_logout_profile(CreateLogoutProfileRequest) -> CreateLogoutProfileResponse,
    get_logout_profile(GetLogoutProfileRequest) -> GetLogoutProfileResponse,
    batch_get_logout_profiles(BatchGetLogoutProfilesRequest, tags) -> BatchGetLogoutProfilesResponse,
    list_logout_profiles(ListLogoutProfilesRequest) -> ListLogoutProfilesResponse,
    update_logout_profile(UpdateLogoutProfileRequest) -> UpdateLogoutProfileResponse,
    delete_logout_profile(DeleteLogoutProfileRequest) -> DeleteLogoutProfileResponse, force: |_| false
);

record_service!(
    wire::line_service_server::LineService, Line, line, lines, name;
    create_line(CreateLineRequest) -> CreateLineResponse,
    get_line(GetLineRequest) -> GetLineResponse,
    batch_get_lines(BatchGetLinesRequest, names) -> BatchGetLinesResponse,
    list_lines(ListLinesRequest) -> ListLinesResponse,
    update_line(UpdateLineRequest) -> UpdateLineResponse,
    delete_line(DeleteLineRequest) -> DeleteLineResponse, force: |_| false
);

record_service!(
    wire::device_pool_service_server::DevicePoolService, DevicePool, device_pool, device_pools, name;
    create_device_pool(CreateDevicePoolRequest) -> CreateDevicePoolResponse,
    get_device_pool(GetDevicePoolRequest) -> GetDevicePoolResponse,
    batch_get_device_pools(BatchGetDevicePoolsRequest, names) -> BatchGetDevicePoolsResponse,
    list_device_pools(ListDevicePoolsRequest) -> ListDevicePoolsResponse,
    update_device_pool(UpdateDevicePoolRequest) -> UpdateDevicePoolResponse,
    delete_device_pool(DeleteDevicePoolRequest) -> DeleteDevicePoolResponse, force: |_| false
);

record_service!(
    wire::phone_template_service_server::PhoneTemplateService, PhoneTemplate, phone_template, phone_templates, name;
    create_phone_template(CreatePhoneTemplateRequest) -> CreatePhoneTemplateResponse,
    get_phone_template(GetPhoneTemplateRequest) -> GetPhoneTemplateResponse,
    batch_get_phone_templates(BatchGetPhoneTemplatesRequest, names) -> BatchGetPhoneTemplatesResponse,
    list_phone_templates(ListPhoneTemplatesRequest) -> ListPhoneTemplatesResponse,
    update_phone_template(UpdatePhoneTemplateRequest) -> UpdatePhoneTemplateResponse,
    delete_phone_template(DeletePhoneTemplateRequest) -> DeletePhoneTemplateResponse, force: |_| false
);

record_service!(
    wire::line_template_service_server::LineTemplateService, LineTemplate, line_template, line_templates, name;
    create_line_template(CreateLineTemplateRequest) -> CreateLineTemplateResponse,
    get_line_template(GetLineTemplateRequest) -> GetLineTemplateResponse,
    batch_get_line_templates(BatchGetLineTemplatesRequest, names) -> BatchGetLineTemplatesResponse,
    list_line_templates(ListLineTemplatesRequest) -> ListLineTemplatesResponse,
    update_line_template(UpdateLineTemplateRequest) -> UpdateLineTemplateResponse,
    delete_line_template(DeleteLineTemplateRequest) -> DeleteLineTemplateResponse, force: |_| false
);

record_service!(
    wire::presence_group_service_server::PresenceGroupService, PresenceGroup, presence_group, presence_groups, name;
    create_presence_group(CreatePresenceGroupRequest) -> CreatePresenceGroupResponse,
    get_presence_group(GetPresenceGroupRequest) -> GetPresenceGroupResponse,
    batch_get_presence_groups(BatchGetPresenceGroupsRequest, names) -> BatchGetPresenceGroupsResponse,
    list_presence_groups(ListPresenceGroupsRequest) -> ListPresenceGroupsResponse,
    update_presence_group(UpdatePresenceGroupRequest) -> UpdatePresenceGroupResponse,
    delete_presence_group(DeletePresenceGroupRequest) -> DeletePresenceGroupResponse, force: |_| false
);

record_service!(
    wire::phone_service_definition_service_server::PhoneServiceDefinitionService, PhoneServiceDefinition, phone_service_definition, phone_service_definitions, name;
    create_phone_service_definition(CreatePhoneServiceDefinitionRequest) -> CreatePhoneServiceDefinitionResponse,
    get_phone_service_definition(GetPhoneServiceDefinitionRequest) -> GetPhoneServiceDefinitionResponse,
    batch_get_phone_service_definitions(BatchGetPhoneServiceDefinitionsRequest, names) -> BatchGetPhoneServiceDefinitionsResponse,
    list_phone_service_definitions(ListPhoneServiceDefinitionsRequest) -> ListPhoneServiceDefinitionsResponse,
    update_phone_service_definition(UpdatePhoneServiceDefinitionRequest) -> UpdatePhoneServiceDefinitionResponse,
    delete_phone_service_definition(DeletePhoneServiceDefinitionRequest) -> DeletePhoneServiceDefinitionResponse, force: |_| false,
    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<wire::SubscribeResponse>, Status> {
        let made = self.subscribe(&request.into_inner()).await;
        answer(made.map(|made| wire::SubscribeResponse { subscription: Some(made) }))
    },
    async fn unsubscribe(
        &self,
        request: Request<wire::UnsubscribeRequest>,
    ) -> Result<Response<wire::UnsubscribeResponse>, Status> {
        let ended = self.unsubscribe(&request.into_inner()).await;
        answer(ended.map(|()| wire::UnsubscribeResponse {}))
    },
    async fn update_subscriptions(
        &self,
        request: Request<wire::UpdateSubscriptionsRequest>,
    ) -> Result<Response<wire::UpdateSubscriptionsResponse>, Status> {
        let updated = self.update_subscriptions(&request.into_inner().name).await;
        answer(updated.map(|updated_count| wire::UpdateSubscriptionsResponse { updated_count }))
    }
);
