//! The gRPC services: thin methods that hand a request to its use case and put the answer on the wire.

mod credentials;
mod directory;
mod import;
mod lint;
mod personal;
mod phone_models;
mod records;
mod rendering;
mod service_parameters;
mod sessions;
mod status;

pub use credentials::GrpcCredentials;
use roamline_proto::profile::default_device_profile_service_server::DefaultDeviceProfileServiceServer;
use roamline_proto::profile::device_pool_service_server::DevicePoolServiceServer;
use roamline_proto::profile::directory_service_server::DirectoryServiceServer;
use roamline_proto::profile::import_service_server::ImportServiceServer;
use roamline_proto::profile::line_service_server::LineServiceServer;
use roamline_proto::profile::line_template_service_server::LineTemplateServiceServer;
use roamline_proto::profile::lint_service_server::LintServiceServer;
use roamline_proto::profile::logout_profile_service_server::LogoutProfileServiceServer;
use roamline_proto::profile::personal_service_server::PersonalServiceServer;
use roamline_proto::profile::phone_model_service_server::PhoneModelServiceServer;
use roamline_proto::profile::phone_service_definition_service_server::PhoneServiceDefinitionServiceServer;
use roamline_proto::profile::phone_service_server::PhoneServiceServer;
use roamline_proto::profile::phone_template_service_server::PhoneTemplateServiceServer;
use roamline_proto::profile::presence_group_service_server::PresenceGroupServiceServer;
use roamline_proto::profile::rendering_service_server::RenderingServiceServer;
use roamline_proto::profile::service_parameters_service_server::ServiceParametersServiceServer;
use roamline_proto::profile::user_device_profile_service_server::UserDeviceProfileServiceServer;
use roamline_proto::profile::user_service_server::UserServiceServer;
pub use sessions::GrpcSessions;

use roamline_serve::{Api, MAX_REQUEST_BYTES};

use crate::Profile;

/// The largest batch of resources.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// Adds every service.
pub(crate) fn add_to(profile: &Profile, api: &mut Api) {
    macro_rules! add {
        ($($server:ident: $limit:expr),+ $(,)?) => {
            $(api.add($server::new(profile.clone()).max_decoding_message_size($limit));)+
        };
    }
    add!(
        UserServiceServer: MAX_REQUEST_BYTES,
        PhoneServiceServer: MAX_REQUEST_BYTES,
        PhoneModelServiceServer: MAX_REQUEST_BYTES,
        UserDeviceProfileServiceServer: MAX_REQUEST_BYTES,
        DefaultDeviceProfileServiceServer: MAX_REQUEST_BYTES,
        LogoutProfileServiceServer: MAX_REQUEST_BYTES,
        LineServiceServer: MAX_REQUEST_BYTES,
        ServiceParametersServiceServer: MAX_REQUEST_BYTES,
        DirectoryServiceServer: MAX_BATCH_BYTES,
        RenderingServiceServer: MAX_REQUEST_BYTES,
        LintServiceServer: MAX_REQUEST_BYTES,
        DevicePoolServiceServer: MAX_REQUEST_BYTES,
        LineTemplateServiceServer: MAX_REQUEST_BYTES,
        PhoneServiceDefinitionServiceServer: MAX_REQUEST_BYTES,
        PhoneTemplateServiceServer: MAX_REQUEST_BYTES,
        PresenceGroupServiceServer: MAX_REQUEST_BYTES,
        ImportServiceServer: MAX_BATCH_BYTES,
        PersonalServiceServer: MAX_REQUEST_BYTES,
    );
}
