//! The service on the wire: handlers that parse, call a use case, and answer.

mod audit;
mod peers;
mod phone_link;
mod roaming;
mod session;

use std::sync::Arc;

use roamline_proto::session::audit_service_server::AuditServiceServer;
use roamline_proto::session::phone_link_service_server::PhoneLinkServiceServer;
use roamline_proto::session::roaming_session_service_server::RoamingSessionServiceServer;
use roamline_proto::session::session_service_server::SessionServiceServer;
use roamline_serve::{Api, MAX_REQUEST_BYTES};

pub use peers::GrpcPeers;

use crate::Core;

pub(crate) fn add_to(core: &Arc<Core>, api: &mut Api) {
    let sessions = session::Handler(Arc::clone(core));
    api.add(SessionServiceServer::new(sessions).max_decoding_message_size(MAX_REQUEST_BYTES));
    let phones = phone_link::Handler(Arc::clone(core));
    api.add(PhoneLinkServiceServer::new(phones).max_decoding_message_size(MAX_REQUEST_BYTES));
    let roaming = roaming::Handler(Arc::clone(core));
    api.add(RoamingSessionServiceServer::new(roaming).max_decoding_message_size(MAX_REQUEST_BYTES));
    let trail = audit::Handler(Arc::clone(core));
    api.add(AuditServiceServer::new(trail).max_decoding_message_size(MAX_REQUEST_BYTES));
}
