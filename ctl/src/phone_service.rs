//! `phone-service`: definitions of phone services, and who subscribes to them (DP-11).

use clap::{Args, Subcommand};
use roamline_proto::profile::phone_service_definition_service_client::PhoneServiceDefinitionServiceClient;
use roamline_proto::profile::{
    GetPhoneServiceDefinitionRequest, ListPhoneServiceDefinitionsRequest,
    ListPhoneServiceDefinitionsResponse, SubscribeRequest, UnsubscribeRequest, UpdateSubscriptionsRequest,
    subscribe_request, unsubscribe_request,
};

use crate::client::Client;
use crate::directory::{Named, all_pages, ask, record};
use crate::exit::Failure;
use crate::output::{Out, table};

/// Commands about phone services.
#[derive(Debug, Subcommand)]
pub(crate) enum PhoneService {
    #[command(flatten)]
    Named(Named),
    /// Subscribe a profile or a phone, or subscribe it anew with the definition's URL and defaults
    Subscribe {
        /// The definition's name
        name: String,
        #[command(flatten)]
        subscriber: Subscriber,
        /// A parameter's value; the others take their defaults
        #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
        parameters: Vec<(String, String)>,
    },
    /// End the subscription of a profile or a phone
    Unsubscribe {
        /// The definition's name
        name: String,
        #[command(flatten)]
        subscriber: Subscriber,
    },
    /// Push the definition's URL and its new parameters to everybody who subscribes to it
    UpdateSubscriptions {
        /// The definition's name
        name: String,
    },
}

/// Who subscribes.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Subscriber {
    /// A user device profile
    #[arg(long)]
    profile: Option<String>,
    /// A phone, in any spelling of its MAC
    #[arg(long)]
    phone: Option<String>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

pub(crate) async fn run(command: PhoneService, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        PhoneService::Named(Named::Get { name }) => {
            let request = GetPhoneServiceDefinitionRequest { name };
            record(
                out,
                &ask!(client, PhoneServiceDefinitionServiceClient::get_phone_service_definition, request)?,
            )
        }
        PhoneService::Named(Named::List(listing)) => {
            let all = all_pages!(
                client,
                listing,
                PhoneServiceDefinitionServiceClient::list_phone_service_definitions,
                ListPhoneServiceDefinitionsRequest,
                ListPhoneServiceDefinitionsResponse.phone_service_definitions
            );
            out.message(&all, |all| {
                let rows = all.phone_service_definitions.iter().map(|service| {
                    let parameters: Vec<&str> = service.parameters.iter().map(|p| p.name.as_str()).collect();
                    vec![
                        service.name.clone(),
                        service.url.clone(),
                        parameters.join(" "),
                        service.description.clone(),
                    ]
                });
                table(&["NAME", "URL", "PARAMETERS", "DESCRIPTION"], rows)
            })
        }
        PhoneService::Subscribe { name, subscriber, parameters } => {
            use subscribe_request::Subscriber::{Phone, UserDeviceProfile};
            let subscriber = subscriber.profile.map(UserDeviceProfile).or(subscriber.phone.map(Phone));
            let parameters = parameters.into_iter().collect();
            let request = SubscribeRequest { name, subscriber, parameters };
            record(out, &ask!(client, PhoneServiceDefinitionServiceClient::subscribe, request)?)
        }
        PhoneService::Unsubscribe { name, subscriber } => {
            use unsubscribe_request::Subscriber::{Phone, UserDeviceProfile};
            let subscriber = subscriber.profile.map(UserDeviceProfile).or(subscriber.phone.map(Phone));
            let request = UnsubscribeRequest { name, subscriber };
            let done = ask!(client, PhoneServiceDefinitionServiceClient::unsubscribe, request)?;
            out.message(&done, |_| "unsubscribed".to_owned())
        }
        PhoneService::UpdateSubscriptions { name } => {
            let request = UpdateSubscriptionsRequest { name };
            let done = ask!(client, PhoneServiceDefinitionServiceClient::update_subscriptions, request)?;
            out.message(&done, |done| match done.updated_count {
                1 => "1 subscription was set right".to_owned(),
                count => format!("{count} subscriptions were set right"),
            })
        }
    }
}
