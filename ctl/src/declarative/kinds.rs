//! The kinds of resource that a file can declare, and how each is listed, read and deleted. Everywhere else a resource
//! is its proto JSON and its kind.

use std::fmt;
use std::str::FromStr;

use prost::{Message, Name};
use prost_reflect::MessageDescriptor;
use roamline_proto::contract::POOL;
use roamline_proto::profile::default_device_profile_service_client::DefaultDeviceProfileServiceClient;
use roamline_proto::profile::device_pool_service_client::DevicePoolServiceClient;
use roamline_proto::profile::line_service_client::LineServiceClient;
use roamline_proto::profile::line_template_service_client::LineTemplateServiceClient;
use roamline_proto::profile::logout_profile_service_client::LogoutProfileServiceClient;
use roamline_proto::profile::phone_service_client::PhoneServiceClient;
use roamline_proto::profile::phone_service_definition_service_client::PhoneServiceDefinitionServiceClient;
use roamline_proto::profile::phone_template_service_client::PhoneTemplateServiceClient;
use roamline_proto::profile::presence_group_service_client::PresenceGroupServiceClient;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    DeleteDefaultDeviceProfileRequest, DeleteDevicePoolRequest, DeleteLineRequest, DeleteLineTemplateRequest,
    DeleteLogoutProfileRequest, DeletePhoneRequest, DeletePhoneServiceDefinitionRequest,
    DeletePhoneTemplateRequest, DeletePresenceGroupRequest, DeleteUserDeviceProfileRequest,
    DeleteUserRequest, GetDefaultDeviceProfileRequest, GetDevicePoolRequest, GetLineRequest,
    GetLineTemplateRequest, GetLogoutProfileRequest, GetPhoneRequest, GetPhoneServiceDefinitionRequest,
    GetPhoneTemplateRequest, GetPresenceGroupRequest, GetServiceParametersRequest,
    GetUserDeviceProfileRequest, GetUserRequest, ListDefaultDeviceProfilesRequest, ListDevicePoolsRequest,
    ListLineTemplatesRequest, ListLinesRequest, ListLogoutProfilesRequest,
    ListPhoneServiceDefinitionsRequest, ListPhoneTemplatesRequest, ListPhonesRequest,
    ListPresenceGroupsRequest, ListUserDeviceProfilesRequest, ListUsersRequest,
};
use serde_json::Value;
use tonic::{Code, Status};

use crate::client::Client;
use crate::directory::ask;
use crate::exit::Failure;
use crate::output::json;
use crate::wrong_words::or_nearest;

/// Resources that one answer of the server carries.
const PAGE: u32 = 200;

/// A kind of resource, in the order in which an export lists them: what is referred to comes before what refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    DevicePool,
    PhoneTemplate,
    LineTemplate,
    PresenceGroup,
    PhoneServiceDefinition,
    Line,
    UserDeviceProfile,
    DefaultDeviceProfile,
    LogoutProfile,
    Phone,
    User,
    ServiceParameters,
}

impl Kind {
    /// All of them, in their order.
    pub(super) const ALL: [Self; 12] = [
        Self::DevicePool,
        Self::PhoneTemplate,
        Self::LineTemplate,
        Self::PresenceGroup,
        Self::PhoneServiceDefinition,
        Self::Line,
        Self::UserDeviceProfile,
        Self::DefaultDeviceProfile,
        Self::LogoutProfile,
        Self::Phone,
        Self::User,
        Self::ServiceParameters,
    ];

    /// What `kind:` says.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DevicePool => "DevicePool",
            Self::PhoneTemplate => "PhoneTemplate",
            Self::LineTemplate => "LineTemplate",
            Self::PresenceGroup => "PresenceGroup",
            Self::PhoneServiceDefinition => "PhoneServiceDefinition",
            Self::Line => "Line",
            Self::UserDeviceProfile => "UserDeviceProfile",
            Self::DefaultDeviceProfile => "DefaultDeviceProfile",
            Self::LogoutProfile => "LogoutProfile",
            Self::Phone => "Phone",
            Self::User => "User",
            Self::ServiceParameters => "ServiceParameters",
        }
    }

    /// The field of a `Resource` that carries it, in proto JSON.
    pub(super) fn carrier(self) -> &'static str {
        match self {
            Self::DevicePool => "devicePool",
            Self::PhoneTemplate => "phoneTemplate",
            Self::LineTemplate => "lineTemplate",
            Self::PresenceGroup => "presenceGroup",
            Self::PhoneServiceDefinition => "phoneServiceDefinition",
            Self::Line => "line",
            Self::UserDeviceProfile => "userDeviceProfile",
            Self::DefaultDeviceProfile => "defaultDeviceProfile",
            Self::LogoutProfile => "logoutProfile",
            Self::Phone => "phone",
            Self::User => "user",
            Self::ServiceParameters => "serviceParameters",
        }
    }

    /// The field that names a resource; `None` where there is only one.
    pub(super) fn key_field(self) -> Option<&'static str> {
        match self {
            Self::DefaultDeviceProfile => Some("model"),
            Self::LogoutProfile => Some("tag"),
            Self::User => Some("userId"),
            Self::ServiceParameters => None,
            _ => Some("name"),
        }
    }

    /// Its message in the contract.
    pub(super) fn message(self) -> Result<MessageDescriptor, Failure> {
        POOL.get_message_by_name(&format!("roamline.profile.v1.{}", self.name()))
            .ok_or_else(|| Failure::other(format!("the contract has no {self}")))
    }

    /// The name of a resource of this kind; empty where there is only one, or where it has none.
    pub(super) fn key(self, value: &Value) -> String {
        match self.key_field().and_then(|field| value.get(field)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The kind and the name, as messages say them.
    pub(super) fn title(self, key: &str) -> String {
        if key.is_empty() { self.name().to_owned() } else { format!("{self} {key}") }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
        let given = plain(text);
        let fits = |kind: &Self| plain(kind.name()) == given || format!("{}s", plain(kind.name())) == given;
        Self::ALL
            .into_iter()
            .find(fits)
            .ok_or_else(|| format!("there is no kind {}", or_nearest(text, Self::ALL.map(Self::name))))
    }
}

/// Gives every resource of a kind to `each`, page by page, in the server's order.
pub(super) async fn for_each(
    kind: Kind,
    client: &Client,
    mut each: impl FnMut(Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut token = String::new();
    loop {
        let (resources, next) = Box::pin(page(kind, client, token)).await?;
        resources.into_iter().try_for_each(&mut each)?;
        if next.is_empty() {
            return Ok(());
        }
        token = next;
    }
}

async fn page(kind: Kind, client: &Client, page_token: String) -> Result<(Vec<Value>, String), Failure> {
    macro_rules! list {
        ($service:ident :: $method:ident, $request:ident, $items:ident) => {{
            let request = $request { page_size: PAGE, page_token, ..$request::default() };
            let answer = ask!(client, $service::$method, request)?;
            Ok((values(&answer.$items)?, answer.next_page_token))
        }};
    }
    match kind {
        Kind::DevicePool => {
            list!(DevicePoolServiceClient::list_device_pools, ListDevicePoolsRequest, device_pools)
        }
        Kind::PhoneTemplate => list!(
            PhoneTemplateServiceClient::list_phone_templates,
            ListPhoneTemplatesRequest,
            phone_templates
        ),
        Kind::LineTemplate => {
            list!(LineTemplateServiceClient::list_line_templates, ListLineTemplatesRequest, line_templates)
        }
        Kind::PresenceGroup => list!(
            PresenceGroupServiceClient::list_presence_groups,
            ListPresenceGroupsRequest,
            presence_groups
        ),
        Kind::PhoneServiceDefinition => list!(
            PhoneServiceDefinitionServiceClient::list_phone_service_definitions,
            ListPhoneServiceDefinitionsRequest,
            phone_service_definitions
        ),
        Kind::Line => list!(LineServiceClient::list_lines, ListLinesRequest, lines),
        Kind::UserDeviceProfile => list!(
            UserDeviceProfileServiceClient::list_user_device_profiles,
            ListUserDeviceProfilesRequest,
            user_device_profiles
        ),
        Kind::DefaultDeviceProfile => list!(
            DefaultDeviceProfileServiceClient::list_default_device_profiles,
            ListDefaultDeviceProfilesRequest,
            default_device_profiles
        ),
        Kind::LogoutProfile => list!(
            LogoutProfileServiceClient::list_logout_profiles,
            ListLogoutProfilesRequest,
            logout_profiles
        ),
        Kind::Phone => list!(PhoneServiceClient::list_phones, ListPhonesRequest, phones),
        Kind::User => list!(UserServiceClient::list_users, ListUsersRequest, users),
        Kind::ServiceParameters => Ok((get(kind, "", client).await?.into_iter().collect(), String::new())),
    }
}

fn values<M: Message + Name>(messages: &[M]) -> Result<Vec<Value>, Failure> {
    messages.iter().map(json).collect()
}

/// The stored resource of that name, in any spelling of it; `None` when there is none.
pub(super) async fn get(kind: Kind, key: &str, client: &Client) -> Result<Option<Value>, Failure> {
    macro_rules! one {
        ($service:ident :: $method:ident, $request:expr, $field:ident) => {{
            let request = $request;
            let ask = |service| {
                let request = request.clone();
                async move { $service::new(service).$method(request).await }
            };
            match client.try_call(ask).await? {
                Ok(answer) => answer.$field.as_ref().map(json).transpose(),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(client.failure(&status)),
            }
        }};
    }
    let name = key.to_owned();
    match kind {
        Kind::DevicePool => {
            one!(DevicePoolServiceClient::get_device_pool, GetDevicePoolRequest { name }, device_pool)
        }
        Kind::PhoneTemplate => one!(
            PhoneTemplateServiceClient::get_phone_template,
            GetPhoneTemplateRequest { name },
            phone_template
        ),
        Kind::LineTemplate => {
            one!(LineTemplateServiceClient::get_line_template, GetLineTemplateRequest { name }, line_template)
        }
        Kind::PresenceGroup => one!(
            PresenceGroupServiceClient::get_presence_group,
            GetPresenceGroupRequest { name },
            presence_group
        ),
        Kind::PhoneServiceDefinition => one!(
            PhoneServiceDefinitionServiceClient::get_phone_service_definition,
            GetPhoneServiceDefinitionRequest { name },
            phone_service_definition
        ),
        Kind::Line => one!(LineServiceClient::get_line, GetLineRequest { name }, line),
        Kind::UserDeviceProfile => one!(
            UserDeviceProfileServiceClient::get_user_device_profile,
            GetUserDeviceProfileRequest { name },
            user_device_profile
        ),
        Kind::DefaultDeviceProfile => one!(
            DefaultDeviceProfileServiceClient::get_default_device_profile,
            GetDefaultDeviceProfileRequest { model: name },
            default_device_profile
        ),
        Kind::LogoutProfile => one!(
            LogoutProfileServiceClient::get_logout_profile,
            GetLogoutProfileRequest { tag: tag(key)? },
            logout_profile
        ),
        Kind::Phone => one!(PhoneServiceClient::get_phone, GetPhoneRequest { name }, phone),
        Kind::User => one!(UserServiceClient::get_user, GetUserRequest { user_id: name }, user),
        Kind::ServiceParameters => one!(
            ServiceParametersServiceClient::get_service_parameters,
            GetServiceParametersRequest {},
            service_parameters
        ),
    }
}

/// Deletes a resource; one that is gone already is no error. The inner result is the server's refusal.
pub(super) async fn delete(kind: Kind, key: &str, client: &Client) -> Result<Result<(), Status>, Failure> {
    macro_rules! delete {
        ($service:ident :: $method:ident, $request:expr) => {{
            let request = $request;
            let ask = |service| {
                let request = request.clone();
                async move { $service::new(service).$method(request).await }
            };
            match client.try_call(ask).await? {
                Err(status) if status.code() != Code::NotFound => Ok(Err(status)),
                _ => Ok(Ok(())),
            }
        }};
    }
    let (name, etag) = (key.to_owned(), String::new());
    match kind {
        Kind::DevicePool => {
            delete!(DevicePoolServiceClient::delete_device_pool, DeleteDevicePoolRequest { name, etag })
        }
        Kind::PhoneTemplate => delete!(
            PhoneTemplateServiceClient::delete_phone_template,
            DeletePhoneTemplateRequest { name, etag }
        ),
        Kind::LineTemplate => {
            delete!(LineTemplateServiceClient::delete_line_template, DeleteLineTemplateRequest { name, etag })
        }
        Kind::PresenceGroup => delete!(
            PresenceGroupServiceClient::delete_presence_group,
            DeletePresenceGroupRequest { name, etag }
        ),
        Kind::PhoneServiceDefinition => delete!(
            PhoneServiceDefinitionServiceClient::delete_phone_service_definition,
            DeletePhoneServiceDefinitionRequest { name, etag }
        ),
        Kind::Line => delete!(LineServiceClient::delete_line, DeleteLineRequest { name, etag }),
        Kind::UserDeviceProfile => delete!(
            UserDeviceProfileServiceClient::delete_user_device_profile,
            DeleteUserDeviceProfileRequest { name, etag, force: false }
        ),
        Kind::DefaultDeviceProfile => delete!(
            DefaultDeviceProfileServiceClient::delete_default_device_profile,
            DeleteDefaultDeviceProfileRequest { model: name, etag }
        ),
        Kind::LogoutProfile => delete!(
            LogoutProfileServiceClient::delete_logout_profile,
            DeleteLogoutProfileRequest { tag: tag(key)?, etag }
        ),
        Kind::Phone => {
            delete!(PhoneServiceClient::delete_phone, DeletePhoneRequest { name, etag, force: false })
        }
        Kind::User => delete!(UserServiceClient::delete_user, DeleteUserRequest { user_id: name, etag }),
        Kind::ServiceParameters => Err(Failure::other("service parameters cannot be deleted")),
    }
}

fn tag(key: &str) -> Result<u32, Failure> {
    key.parse().map_err(|_| Failure::other(format!("{key:?} is no tag of a logout profile")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_message_that_a_resource_carries_and_a_field_names() {
        let resource = POOL.get_message_by_name("roamline.profile.v1.Resource").unwrap();
        assert_eq!(resource.fields().count(), Kind::ALL.len());
        for kind in Kind::ALL {
            let message = kind.message().unwrap();
            assert_eq!(
                resource.get_field_by_json_name(kind.carrier()).unwrap().kind().as_message(),
                Some(&message)
            );
            assert!(kind.key_field().is_none_or(|field| message.get_field_by_json_name(field).is_some()));
        }
    }

    #[test]
    fn kinds_are_read_in_every_usual_spelling_and_a_wrong_one_gets_a_suggestion() {
        for text in ["UserDeviceProfile", "user-device-profile", "user_device_profiles", "userdeviceprofile"]
        {
            assert_eq!(text.parse(), Ok(Kind::UserDeviceProfile));
        }
        assert_eq!("service-parameters".parse(), Ok(Kind::ServiceParameters));
        let refused = "Phon".parse::<Kind>().unwrap_err();
        assert!(refused.contains("`Phon`") && refused.contains("`Phone`"), "{refused}");
    }
}
