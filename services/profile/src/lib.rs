//! The profile service: the directory of a cluster (users, phones, profiles, lines, service parameters) and what its
//! phones wear.
//!
//! It keeps the directory whole: every record that is written was parsed, checked against the rules and against what
//! it refers to, and committed only if nothing of that has moved. Who is logged in where is not known here.

mod apply;
mod claims;
mod convert;
mod create;
mod delete;
mod examine;
mod grpc;
mod lint;
mod list;
mod page_token;
mod prepare;
mod preview;
mod read;
mod record;
mod refusal;
mod surroundings;
mod update;

use std::sync::Arc;

use roamline_domain::catalogue::Catalogue;
use roamline_serve::{Api, Clock};
use roamline_store::DirectoryStore;

/// How often a decision is taken again because what it was made from has moved. Each time, somebody else's change was
/// made, so that only a store under more writers than this gives up.
const ATTEMPTS: usize = 256;

/// The profile service.
#[derive(Clone)]
pub struct Profile {
    store: Arc<dyn DirectoryStore>,
    clock: Clock,
    catalogue: &'static Catalogue,
}

impl Profile {
    /// A service over that store; `clock` dates the changes.
    pub fn new(store: Arc<dyn DirectoryStore>, clock: Clock) -> Self {
        Self { store, clock, catalogue: Catalogue::builtin() }
    }

    /// Adds its gRPC services. What a caller may do is for the layer around the API to enforce.
    pub fn add_to(self, api: &mut Api) {
        grpc::add_to(&self, api);
    }
}
