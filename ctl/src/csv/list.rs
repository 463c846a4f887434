//! The resources of a kind, page by page, as the server lists them. Each is as of the instant of its page.

use roamline_proto::profile as wire;
use wire::default_device_profile_service_client::DefaultDeviceProfileServiceClient;
use wire::device_pool_service_client::DevicePoolServiceClient;
use wire::line_service_client::LineServiceClient;
use wire::line_template_service_client::LineTemplateServiceClient;
use wire::logout_profile_service_client::LogoutProfileServiceClient;
use wire::phone_service_client::PhoneServiceClient;
use wire::phone_service_definition_service_client::PhoneServiceDefinitionServiceClient;
use wire::phone_template_service_client::PhoneTemplateServiceClient;
use wire::presence_group_service_client::PresenceGroupServiceClient;
use wire::user_device_profile_service_client::UserDeviceProfileServiceClient;
use wire::user_service_client::UserServiceClient;

use super::columns::Kind;
use crate::client::Client;
use crate::directory::ask;
use crate::exit::Failure;

/// Resources of one page.
const PAGE: u32 = 200;

/// Gives every resource that the filter lets through to `each`, encoded, in the order of their names.
pub(super) async fn for_each(
    kind: &Kind,
    filter: &str,
    client: &Client,
    mut each: impl FnMut(Vec<u8>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut page_token = String::new();
    loop {
        let (resources, next) = page(kind, filter, page_token, client).await?;
        resources.into_iter().try_for_each(&mut each)?;
        page_token = next;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

async fn page(
    kind: &Kind,
    filter: &str,
    page_token: String,
    client: &Client,
) -> Result<(Vec<Vec<u8>>, String), Failure> {
    macro_rules! page {
        ($service:ident :: $method:ident, $request:ident, $items:ident) => {{
            let filter = filter.to_owned();
            let request = wire::$request { page_size: PAGE, page_token, filter, order_by: String::new() };
            let answer = ask!(client, $service::$method, request)?;
            Ok((answer.$items.iter().map(prost::Message::encode_to_vec).collect(), answer.next_page_token))
        }};
    }
    match kind.field() {
        "presence_group" => page!(
            PresenceGroupServiceClient::list_presence_groups,
            ListPresenceGroupsRequest,
            presence_groups
        ),
        "device_pool" => {
            page!(DevicePoolServiceClient::list_device_pools, ListDevicePoolsRequest, device_pools)
        }
        "phone_template" => page!(
            PhoneTemplateServiceClient::list_phone_templates,
            ListPhoneTemplatesRequest,
            phone_templates
        ),
        "line_template" => {
            page!(LineTemplateServiceClient::list_line_templates, ListLineTemplatesRequest, line_templates)
        }
        "phone_service_definition" => page!(
            PhoneServiceDefinitionServiceClient::list_phone_service_definitions,
            ListPhoneServiceDefinitionsRequest,
            phone_service_definitions
        ),
        "line" => page!(LineServiceClient::list_lines, ListLinesRequest, lines),
        "user_device_profile" => page!(
            UserDeviceProfileServiceClient::list_user_device_profiles,
            ListUserDeviceProfilesRequest,
            user_device_profiles
        ),
        "default_device_profile" => page!(
            DefaultDeviceProfileServiceClient::list_default_device_profiles,
            ListDefaultDeviceProfilesRequest,
            default_device_profiles
        ),
        "logout_profile" => page!(
            LogoutProfileServiceClient::list_logout_profiles,
            ListLogoutProfilesRequest,
            logout_profiles
        ),
        "phone" => page!(PhoneServiceClient::list_phones, ListPhonesRequest, phones),
        "user" => page!(UserServiceClient::list_users, ListUsersRequest, users),
        other => Err(Failure::other(format!("{other} cannot be listed"))),
    }
}
