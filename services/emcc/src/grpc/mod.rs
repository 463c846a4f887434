//! The service on the wire, and what it calls: the other services of its cluster, and other clusters.

mod administration;
mod exchange;
mod federation;
mod local;
mod refused;
mod remote;
mod roaming;
mod trust;

use std::sync::Arc;

use roamline_proto::emcc::Capability;
use roamline_proto::emcc::federation_administration_service_server::FederationAdministrationServiceServer;
use roamline_proto::emcc::federation_service_server::FederationServiceServer;
use roamline_proto::emcc::roaming_service_server::RoamingServiceServer;
use roamline_serve::{Api, MAX_REQUEST_BYTES};

pub(crate) use exchange::Exchange;
pub use local::Local;
pub use remote::Neighbours;
pub(crate) use remote::{Pem, Remote};
pub(crate) use trust::add_trust_to;

use crate::Inner;

/// What this release can do, however it is configured.
const OURS: [Capability; 3] = [Capability::UserFilter, Capability::Refresh, Capability::ProveOnly];

pub(crate) fn add_to(inner: &Arc<Inner>, api: &mut Api) {
    let federation = federation::Handler(Arc::clone(inner));
    api.add(FederationServiceServer::new(federation).max_decoding_message_size(MAX_REQUEST_BYTES));
    let roaming = roaming::Handler(Arc::clone(inner));
    api.add(RoamingServiceServer::new(roaming).max_decoding_message_size(MAX_REQUEST_BYTES));
    let administration = administration::Handler(Arc::clone(inner));
    let server = FederationAdministrationServiceServer::new(administration);
    api.add(server.max_decoding_message_size(MAX_REQUEST_BYTES));
}
