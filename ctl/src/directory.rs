//! Lists and records of the directory. Lists are read page by page and written as one.

use clap::Subcommand;
use prost::{Message, Name};
use roamline_proto::profile::default_device_profile_service_client::DefaultDeviceProfileServiceClient;
use roamline_proto::profile::line_service_client::LineServiceClient;
use roamline_proto::profile::logout_profile_service_client::LogoutProfileServiceClient;
use roamline_proto::profile::phone_model_service_client::PhoneModelServiceClient;
use roamline_proto::profile::phone_service_client::PhoneServiceClient;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    DeviceSettings, GetDefaultDeviceProfileRequest, GetLineRequest, GetLogoutProfileRequest,
    GetPhoneModelRequest, GetPhoneRequest, GetUserDeviceProfileRequest, GetUserRequest,
    ListDefaultDeviceProfilesRequest, ListDefaultDeviceProfilesResponse, ListLinesRequest, ListLinesResponse,
    ListLogoutProfilesRequest, ListLogoutProfilesResponse, ListPhoneModelsRequest, ListPhonesRequest,
    ListPhonesResponse, ListUserDeviceProfilesRequest, ListUserDeviceProfilesResponse, ListUsersRequest,
    ListUsersResponse, Phone, phone::LogoutProfile,
};
use serde_json::Value;

use crate::client::Client;
use crate::exit::Failure;
use crate::output::{Out, json, table};
use crate::tables;
use crate::words::of_enum;

/// Commands about records that have a name.
#[derive(Debug, Subcommand)]
pub(crate) enum Named {
    /// All of them
    List,
    /// One of them
    Get {
        /// Its name
        name: String,
    },
}

/// Commands about records that have a tag.
#[derive(Debug, Subcommand)]
pub(crate) enum Tagged {
    /// All of them
    List,
    /// One of them
    Get {
        /// Its tag
        tag: u32,
    },
}

/// Asks one RPC; the request may be sent twice.
macro_rules! ask {
    ($client:expr, $service:ident :: $method:ident, $request:expr) => {{
        let request = $request;
        $client
            .call(|service| {
                let request = request.clone();
                async move { $service::new(service).$method(request).await }
            })
            .await
    }};
}
pub(crate) use ask;

/// Asks for all pages of a list.
macro_rules! all_pages {
    ($client:expr, $service:ident :: $method:ident, $request:ident, $response:ident . $items:ident) => {{
        let mut all = $response::default();
        loop {
            let request = $request { page_size: 500, page_token: all.next_page_token.clone() };
            let page = ask!($client, $service::$method, request)?;
            all.$items.extend(page.$items);
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_empty() {
                break;
            }
        }
        all
    }};
}

/// Writes one record: as it came, or as field and value.
fn record<M: Message + Name>(out: &mut Out, answer: &M) -> Result<(), Failure> {
    if out.is_json() {
        return out.value(&json(answer)?);
    }
    let inner = match json(answer)? {
        Value::Object(fields) => fields.into_iter().map(|(_, value)| value).next().unwrap_or_default(),
        other => other,
    };
    out.text(&tables::details(&inner))
}

/// How many lines and speed dials there are.
fn counts(settings: Option<&DeviceSettings>) -> [String; 2] {
    let count = |of: fn(&DeviceSettings) -> usize| settings.map(of).unwrap_or_default().to_string();
    [count(|settings| settings.lines.len()), count(|settings| settings.speed_dials.len())]
}

/// `phone list`.
pub(crate) async fn list_phones(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let all =
        all_pages!(client, PhoneServiceClient::list_phones, ListPhonesRequest, ListPhonesResponse.phones);
    let row = |phone: &Phone| {
        let worn = match &phone.logout_profile {
            Some(LogoutProfile::SharedLogoutProfile(tag)) => format!("logout profile {tag}"),
            Some(LogoutProfile::UserDeviceProfile(name)) => format!("profile {name}"),
            None => "its own settings".into(),
        };
        vec![
            phone.name.clone(),
            phone.model.clone(),
            of_enum(phone.protocol().as_str_name(), "PHONE_PROTOCOL_"),
            if phone.extension_mobility_enabled { "yes" } else { "no" }.into(),
            worn,
            phone.description.clone(),
        ]
    };
    let header = ["NAME", "MODEL", "PROTOCOL", "LOGIN", "WEARS LOGGED OUT", "DESCRIPTION"];
    out.message(&all, |all| table(&header, all.phones.iter().map(row)))
}

/// `phone get`.
pub(crate) async fn get_phone(name: String, client: &Client, out: &mut Out) -> Result<(), Failure> {
    record(out, &ask!(client, PhoneServiceClient::get_phone, GetPhoneRequest { name })?)
}

pub(crate) async fn profiles(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            let request = GetUserDeviceProfileRequest { name };
            record(out, &ask!(client, UserDeviceProfileServiceClient::get_user_device_profile, request)?)
        }
        Named::List => {
            let all = all_pages!(
                client,
                UserDeviceProfileServiceClient::list_user_device_profiles,
                ListUserDeviceProfilesRequest,
                ListUserDeviceProfilesResponse.user_device_profiles
            );
            out.message(&all, |all| {
                let rows = all.user_device_profiles.iter().map(|profile| {
                    let [lines, dials] = counts(profile.settings.as_ref());
                    let model = if profile.model.is_empty() { "every model" } else { &profile.model };
                    let agent = profile.agent.as_ref().map(|a| format!("agent, ACD line {}", a.acd_line));
                    vec![profile.name.clone(), model.into(), lines, dials, agent.unwrap_or_default()]
                });
                table(&["NAME", "MODEL", "LINES", "SPEED DIALS", "AGENT"], rows)
            })
        }
    }
}

pub(crate) async fn users(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            record(out, &ask!(client, UserServiceClient::get_user, GetUserRequest { user_id: name })?)
        }
        Named::List => {
            let all =
                all_pages!(client, UserServiceClient::list_users, ListUsersRequest, ListUsersResponse.users);
            out.message(&all, |all| {
                let rows = all.users.iter().map(|user| {
                    let profiles = user.profiles.join(", ");
                    vec![
                        user.user_id.clone(),
                        user.display_name.clone(),
                        user.primary_extension.clone(),
                        profiles,
                    ]
                });
                table(&["USER", "NAME", "EXTENSION", "PROFILES"], rows)
            })
        }
    }
}

pub(crate) async fn lines(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            record(out, &ask!(client, LineServiceClient::get_line, GetLineRequest { name })?)
        }
        Named::List => {
            let all =
                all_pages!(client, LineServiceClient::list_lines, ListLinesRequest, ListLinesResponse.lines);
            out.message(&all, |all| {
                let rows = all.lines.iter().map(|line| {
                    let capacity = of_enum(line.capacity().as_str_name(), "LINE_CAPACITY_");
                    vec![line.name.clone(), capacity, line.description.clone()]
                });
                table(&["LINE", "CAPACITY", "DESCRIPTION"], rows)
            })
        }
    }
}

pub(crate) async fn logout_profiles(command: Tagged, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Tagged::Get { tag } => {
            let request = GetLogoutProfileRequest { tag };
            record(out, &ask!(client, LogoutProfileServiceClient::get_logout_profile, request)?)
        }
        Tagged::List => {
            let all = all_pages!(
                client,
                LogoutProfileServiceClient::list_logout_profiles,
                ListLogoutProfilesRequest,
                ListLogoutProfilesResponse.logout_profiles
            );
            out.message(&all, |all| {
                let rows = all.logout_profiles.iter().map(|profile| {
                    let [lines, dials] = counts(profile.settings.as_ref());
                    vec![profile.tag.to_string(), lines, dials, profile.description.clone()]
                });
                table(&["TAG", "LINES", "SPEED DIALS", "DESCRIPTION"], rows)
            })
        }
    }
}

pub(crate) async fn default_device_profiles(
    command: Named,
    client: &Client,
    out: &mut Out,
) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            let request = GetDefaultDeviceProfileRequest { model: name };
            record(
                out,
                &ask!(client, DefaultDeviceProfileServiceClient::get_default_device_profile, request)?,
            )
        }
        Named::List => {
            let all = all_pages!(
                client,
                DefaultDeviceProfileServiceClient::list_default_device_profiles,
                ListDefaultDeviceProfilesRequest,
                ListDefaultDeviceProfilesResponse.default_device_profiles
            );
            out.message(&all, |all| {
                let profiles = all.default_device_profiles.iter();
                table(
                    &["MODEL", "DESCRIPTION"],
                    profiles.map(|p| vec![p.model.clone(), p.description.clone()]),
                )
            })
        }
    }
}

pub(crate) async fn models(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => record(
            out,
            &ask!(client, PhoneModelServiceClient::get_phone_model, GetPhoneModelRequest { name })?,
        ),
        Named::List => {
            let all = ask!(client, PhoneModelServiceClient::list_phone_models, ListPhoneModelsRequest {})?;
            out.message(&all, |all| {
                let rows = all.phone_models.iter().map(|model| {
                    let protocols: Vec<_> =
                        model.protocols().map(|p| of_enum(p.as_str_name(), "PHONE_PROTOCOL_")).collect();
                    let modules: Vec<_> = model.modules.iter().map(|module| module.name.as_str()).collect();
                    let login = if model.extension_mobility { "yes" } else { "no" };
                    let buttons = model.buttons.to_string();
                    let title = model.title.clone();
                    vec![
                        model.name.clone(),
                        buttons,
                        protocols.join(" "),
                        modules.join(" "),
                        login.into(),
                        title,
                    ]
                });
                table(&["MODEL", "BUTTONS", "PROTOCOLS", "MODULES", "LOGIN", "TITLE"], rows)
            })
        }
    }
}
