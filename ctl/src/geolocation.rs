//! `geolocation` and `geolocation-filter`: where phones stand, and which of it counts.

use clap::Subcommand;
use prost::Name;
use roamline_proto::contract::POOL;
use roamline_proto::emcc::federation_administration_service_client::FederationAdministrationServiceClient;
use roamline_proto::emcc::{
    self, DeleteGeolocationFilterRequest, DeleteGeolocationRequest, GeolocationFilter,
    ListGeolocationsRequest, ListGeolocationsResponse, SetGeolocationFilterRequest, SetGeolocationRequest,
};
use roamline_proto::mask;

use crate::client::Client;
use crate::directory::{ask, deleted, record};
use crate::exit::{Exit, Failure};
use crate::output::{Out, json, table};
use crate::{parameters, tables};

/// Commands about geolocations.
#[derive(Debug, Subcommand)]
pub(crate) enum Geolocation {
    /// All of them
    List,
    /// One of them
    Get {
        /// Its name
        name: String,
    },
    /// Create one, or change one: country=CH community_name=Zurich local_route_group=zurich
    Set {
        /// Its name
        name: String,
        /// Field and value; an empty value clears the field
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Delete one; device pools that name it match nothing then
    Delete {
        /// Its name
        name: String,
    },
}

/// Commands about geolocation filters.
#[derive(Debug, Subcommand)]
pub(crate) enum Filter {
    /// All of them
    List,
    /// Create one, or put other fields in the place of those that it has: country community_name
    Set {
        /// Its name
        name: String,
        /// Fields of a geolocation that count
        #[arg(required = true, value_name = "FIELD")]
        fields: Vec<String>,
    },
    /// Delete one that the parameters do not name
    Delete {
        /// Its name
        name: String,
    },
}

async fn listed(client: &Client) -> Result<ListGeolocationsResponse, Failure> {
    let request = ListGeolocationsRequest {};
    ask!(client, FederationAdministrationServiceClient::list_geolocations, request)
}

pub(crate) async fn run(command: Geolocation, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Geolocation::List => {
            let all = ListGeolocationsResponse { geolocation_filters: Vec::new(), ..listed(client).await? };
            out.message(&all, |all| {
                let rows = all.geolocations.iter().map(|at| {
                    vec![
                        at.name.clone(),
                        place(at),
                        at.adjunct_calling_search_space.clone(),
                        at.local_route_group.clone(),
                    ]
                });
                table(&["NAME", "PLACE", "ADJUNCT SEARCH SPACE", "LOCAL ROUTE GROUP"], rows)
            })
        }
        Geolocation::Get { name } => {
            let found = listed(client).await?.geolocations.into_iter().find(|at| at.name == name);
            let missing = || Failure::new(Exit::NotFound, format!("there is no geolocation {name}"));
            out.message(&found.ok_or_else(missing)?, |at| {
                json(at).map(|fields| tables::details(&fields)).unwrap_or_default()
            })
        }
        Geolocation::Set { name, changes } => set(name, &changes, client, out).await,
        Geolocation::Delete { name } => {
            let request = DeleteGeolocationRequest { name: name.clone() };
            ask!(client, FederationAdministrationServiceClient::delete_geolocation, request)?;
            deleted(out, "geolocation", &name)
        }
    }
}

async fn set(name: String, changes: &[String], client: &Client, out: &mut Out) -> Result<(), Failure> {
    let message = POOL
        .get_message_by_name(&emcc::Geolocation::full_name())
        .ok_or_else(|| Failure::other("the contract has no geolocations"))?;
    let (wanted, paths) = parameters::read_fields(&message, changes).map_err(Failure::usage)?;
    if paths.iter().any(|path| path == "name") {
        return Err(Failure::usage("a geolocation keeps its name"));
    }
    let stored = listed(client).await?.geolocations.into_iter().find(|at| at.name == name);
    let stored = stored.unwrap_or_else(|| emcc::Geolocation { name, ..emcc::Geolocation::default() });
    let mask = prost_types::FieldMask { paths };
    let changed =
        mask::merge(&stored, &wanted, Some(&mask)).map_err(|error| Failure::other(error.to_string()))?;
    let request = SetGeolocationRequest { geolocation: Some(changed) };
    record(out, &ask!(client, FederationAdministrationServiceClient::set_geolocation, request)?)
}

pub(crate) async fn filters(command: Filter, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Filter::List => {
            let all = ListGeolocationsResponse { geolocations: Vec::new(), ..listed(client).await? };
            out.message(&all, |all| {
                let filters = all.geolocation_filters.iter();
                table(&["NAME", "FIELDS"], filters.map(|f| vec![f.name.clone(), f.fields.join(" ")]))
            })
        }
        Filter::Set { name, fields } => {
            let filter = GeolocationFilter { name, fields, etag: String::new() };
            let request = SetGeolocationFilterRequest { geolocation_filter: Some(filter) };
            record(
                out,
                &ask!(client, FederationAdministrationServiceClient::set_geolocation_filter, request)?,
            )
        }
        Filter::Delete { name } => {
            let request = DeleteGeolocationFilterRequest { name: name.clone() };
            ask!(client, FederationAdministrationServiceClient::delete_geolocation_filter, request)?;
            deleted(out, "geolocation filter", &name)
        }
    }
}

/// What it says of a place, from the large to the small.
fn place(at: &emcc::Geolocation) -> String {
    let parts = [
        &at.country,
        &at.national_subdivision,
        &at.district,
        &at.community_name,
        &at.city_division,
        &at.neighbourhood,
        &at.leading_street_direction,
        &at.street,
        &at.street_suffix,
        &at.trailing_street_suffix,
        &at.house_number,
        &at.house_number_suffix,
        &at.landmark,
        &at.location,
        &at.floor,
        &at.occupant_name,
        &at.postal_code,
    ];
    let said = parts.into_iter().filter(|part| !part.is_empty());
    said.map(String::as_str).collect::<Vec<_>>().join(" ")
}
