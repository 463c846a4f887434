//! The services that keep records: five methods each, the same for every kind.

use roamline_domain::directory::{DefaultDeviceProfile, Line, LogoutProfile, Phone, User, UserDeviceProfile};
use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};

use super::status::answer;
use crate::Profile;
use crate::convert::findings;

macro_rules! record_service {
    (
        $service:path, $record:ty, $field:ident, $list_field:ident, $key:ident;
        $create:ident($create_request:ident) -> $create_response:ident,
        $get:ident($get_request:ident) -> $get_response:ident,
        $list:ident($list_request:ident) -> $list_response:ident,
        $update:ident($update_request:ident) -> $update_response:ident,
        $delete:ident($delete_request:ident) -> $delete_response:ident
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

            async fn $list(
                &self,
                request: Request<wire::$list_request>,
            ) -> Result<Response<wire::$list_response>, Status> {
                let request = request.into_inner();
                let page = self.list::<$record>(request.page_size, &request.page_token).await;
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
                let deleted = self.delete::<$record>(&request.$key, &request.etag).await;
                answer(deleted.map(|()| wire::$delete_response {}))
            }
        }
    };
}

record_service!(
    wire::user_service_server::UserService, User, user, users, user_id;
    create_user(CreateUserRequest) -> CreateUserResponse,
    get_user(GetUserRequest) -> GetUserResponse,
    list_users(ListUsersRequest) -> ListUsersResponse,
    update_user(UpdateUserRequest) -> UpdateUserResponse,
    delete_user(DeleteUserRequest) -> DeleteUserResponse
);

record_service!(
    wire::phone_service_server::PhoneService, Phone, phone, phones, name;
    create_phone(CreatePhoneRequest) -> CreatePhoneResponse,
    get_phone(GetPhoneRequest) -> GetPhoneResponse,
    list_phones(ListPhonesRequest) -> ListPhonesResponse,
    update_phone(UpdatePhoneRequest) -> UpdatePhoneResponse,
    delete_phone(DeletePhoneRequest) -> DeletePhoneResponse
);

record_service!(
    wire::user_device_profile_service_server::UserDeviceProfileService, UserDeviceProfile,
    user_device_profile, user_device_profiles, name;
    create_user_device_profile(CreateUserDeviceProfileRequest) -> CreateUserDeviceProfileResponse,
    get_user_device_profile(GetUserDeviceProfileRequest) -> GetUserDeviceProfileResponse,
    list_user_device_profiles(ListUserDeviceProfilesRequest) -> ListUserDeviceProfilesResponse,
    update_user_device_profile(UpdateUserDeviceProfileRequest) -> UpdateUserDeviceProfileResponse,
    delete_user_device_profile(DeleteUserDeviceProfileRequest) -> DeleteUserDeviceProfileResponse
);

record_service!(
    wire::default_device_profile_service_server::DefaultDeviceProfileService, DefaultDeviceProfile,
    default_device_profile, default_device_profiles, model;
    create_default_device_profile(CreateDefaultDeviceProfileRequest) -> CreateDefaultDeviceProfileResponse,
    get_default_device_profile(GetDefaultDeviceProfileRequest) -> GetDefaultDeviceProfileResponse,
    list_default_device_profiles(ListDefaultDeviceProfilesRequest) -> ListDefaultDeviceProfilesResponse,
    update_default_device_profile(UpdateDefaultDeviceProfileRequest) -> UpdateDefaultDeviceProfileResponse,
    delete_default_device_profile(DeleteDefaultDeviceProfileRequest) -> DeleteDefaultDeviceProfileResponse
);

record_service!(
    wire::logout_profile_service_server::LogoutProfileService, LogoutProfile,
    logout_profile, logout_profiles, tag;
    create_logout_profile(CreateLogoutProfileRequest) -> CreateLogoutProfileResponse,
    get_logout_profile(GetLogoutProfileRequest) -> GetLogoutProfileResponse,
    list_logout_profiles(ListLogoutProfilesRequest) -> ListLogoutProfilesResponse,
    update_logout_profile(UpdateLogoutProfileRequest) -> UpdateLogoutProfileResponse,
    delete_logout_profile(DeleteLogoutProfileRequest) -> DeleteLogoutProfileResponse
);

record_service!(
    wire::line_service_server::LineService, Line, line, lines, name;
    create_line(CreateLineRequest) -> CreateLineResponse,
    get_line(GetLineRequest) -> GetLineResponse,
    list_lines(ListLinesRequest) -> ListLinesResponse,
    update_line(UpdateLineRequest) -> UpdateLineResponse,
    delete_line(DeleteLineRequest) -> DeleteLineResponse
);
