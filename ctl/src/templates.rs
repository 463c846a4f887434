//! Lists and records of what phones and profiles have in common: device pools, templates, presence groups.

use roamline_proto::profile::device_pool_service_client::DevicePoolServiceClient;
use roamline_proto::profile::line_template_service_client::LineTemplateServiceClient;
use roamline_proto::profile::phone_template_service_client::PhoneTemplateServiceClient;
use roamline_proto::profile::presence_group_service_client::PresenceGroupServiceClient;
use roamline_proto::profile::{
    GetDevicePoolRequest, GetLineTemplateRequest, GetPhoneTemplateRequest, GetPresenceGroupRequest,
    ListDevicePoolsRequest, ListDevicePoolsResponse, ListLineTemplatesRequest, ListLineTemplatesResponse,
    ListPhoneTemplatesRequest, ListPhoneTemplatesResponse, ListPresenceGroupsRequest,
    ListPresenceGroupsResponse,
};

use crate::client::Client;
use crate::directory::{Named, all_pages, ask, record};
use crate::exit::Failure;
use crate::output::{Out, table};
use crate::words::of_enum;

pub(crate) async fn device_pools(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => record(
            out,
            &ask!(client, DevicePoolServiceClient::get_device_pool, GetDevicePoolRequest { name })?,
        ),
        Named::List(listing) => {
            let all = all_pages!(
                client,
                listing,
                DevicePoolServiceClient::list_device_pools,
                ListDevicePoolsRequest,
                ListDevicePoolsResponse.device_pools
            );
            out.message(&all, |all| {
                let rows = all.device_pools.iter().map(|pool| {
                    vec![
                        pool.name.clone(),
                        pool.user_locale.clone(),
                        pool.region.clone(),
                        pool.geolocation.clone(),
                        pool.emergency_numbers.join(" "),
                        pool.description.clone(),
                    ]
                });
                table(&["NAME", "LOCALE", "REGION", "GEOLOCATION", "EMERGENCY", "DESCRIPTION"], rows)
            })
        }
    }
}

pub(crate) async fn phone_templates(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            let request = GetPhoneTemplateRequest { name };
            record(out, &ask!(client, PhoneTemplateServiceClient::get_phone_template, request)?)
        }
        Named::List(listing) => {
            let all = all_pages!(
                client,
                listing,
                PhoneTemplateServiceClient::list_phone_templates,
                ListPhoneTemplatesRequest,
                ListPhoneTemplatesResponse.phone_templates
            );
            out.message(&all, |all| {
                let rows = all.phone_templates.iter().map(|template| {
                    let buttons: Vec<String> = template
                        .feature_buttons()
                        .map(|b| of_enum(b.as_str_name(), "FEATURE_BUTTON_"))
                        .collect();
                    vec![
                        template.name.clone(),
                        template.phone_button_template.clone(),
                        template.softkey_template.clone(),
                        buttons.join(" "),
                        template.description.clone(),
                    ]
                });
                table(&["NAME", "BUTTON TEMPLATE", "SOFTKEYS", "FEATURE BUTTONS", "DESCRIPTION"], rows)
            })
        }
    }
}

pub(crate) async fn line_templates(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            let request = GetLineTemplateRequest { name };
            record(out, &ask!(client, LineTemplateServiceClient::get_line_template, request)?)
        }
        Named::List(listing) => {
            let all = all_pages!(
                client,
                listing,
                LineTemplateServiceClient::list_line_templates,
                ListLineTemplatesRequest,
                ListLineTemplatesResponse.line_templates
            );
            out.message(&all, |all| {
                let said = |limit: u32| if limit == 0 { String::new() } else { limit.to_string() };
                let rows = all.line_templates.iter().map(|template| {
                    vec![
                        template.name.clone(),
                        template.label.clone(),
                        said(template.max_calls),
                        said(template.busy_trigger),
                        template.description.clone(),
                    ]
                });
                table(&["NAME", "LABEL", "MAX CALLS", "BUSY TRIGGER", "DESCRIPTION"], rows)
            })
        }
    }
}

pub(crate) async fn presence_groups(command: Named, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Named::Get { name } => {
            let request = GetPresenceGroupRequest { name };
            record(out, &ask!(client, PresenceGroupServiceClient::get_presence_group, request)?)
        }
        Named::List(listing) => {
            let all = all_pages!(
                client,
                listing,
                PresenceGroupServiceClient::list_presence_groups,
                ListPresenceGroupsRequest,
                ListPresenceGroupsResponse.presence_groups
            );
            out.message(&all, |all| {
                let groups = all.presence_groups.iter();
                let rows = groups
                    .map(|group| vec![group.name.clone(), group.sees.join(", "), group.description.clone()]);
                table(&["NAME", "SEES", "DESCRIPTION"], rows)
            })
        }
    }
}
