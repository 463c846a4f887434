//! The emcc service: an agent of one cluster at a phone of another (XC-1 to XC-10).
//!
//! Each half of a cross-cluster session is an ordinary session of its own cluster's session service, under one id. This
//! service finds the home of a user, authenticates and renders for its peers' phones, and keeps the halves in step: by
//! messages at once, and by comparison at an interval where a message was lost. The halves are written down before they
//! begin, so that no crash leaves one alone.

mod audit;
mod config;
mod convert;
#[cfg(test)]
mod ends_tests;
mod find;
mod follow;
mod grpc;
mod home;
mod identity;
mod peers;
mod reconcile;
mod refresh;
mod refusal;
mod settings;
mod tell;
mod trust;
mod users;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use roamline_domain::{ClusterId, SessionId};
use roamline_serve::{Api, Clock, Ids, Tasks};
use roamline_store::{AuditStore, FederationStore};
use tokio::sync::Notify;

pub use config::EmccConfig;
pub use grpc::{Local, Neighbours};
pub use trust::{Trust, TrustConfig};

use audit::Audit;
use find::Found;
use identity::Gates;
use peers::Peers;
use settings::Recalled;
use users::OwnFilter;

/// What the emcc service keeps, and the audit trail that it adds to.
pub trait EmccStore: FederationStore + AuditStore {}

impl<T: FederationStore + AuditStore> EmccStore for T {}

/// The emcc service of a cluster.
#[derive(Clone)]
pub struct Emcc {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    cluster: ClusterId,
    config: EmccConfig,
    store: Arc<dyn FederationStore>,
    audit: Arc<Audit>,
    local: Local,
    neighbours: Neighbours,
    clock: Clock,
    ids: Ids,
    recalled: ArcSwap<Recalled>,
    /// Taken while the settings are read, so that what was read before does not take the place of what was read after.
    recalling: tokio::sync::Mutex<()>,
    peers: ArcSwap<Peers>,
    gates: Gates,
    own_filter: ArcSwapOption<OwnFilter>,
    found: Found,
    /// Rung when there may be an end to tell another cluster of.
    ended: Notify,
    /// Rung when a setting was changed here.
    changed: Notify,
    /// Peers whose halves are to be compared before the interval is over.
    soon: Mutex<BTreeSet<ClusterId>>,
    /// Where a comparison with a peer was broken off because it took long.
    left_off: Mutex<BTreeMap<ClusterId, SessionId>>,
    /// Taken while a session of ours elsewhere is rendered anew.
    rendering: tokio::sync::Mutex<()>,
}

impl Inner {
    fn soon(&self) -> MutexGuard<'_, BTreeSet<ClusterId>> {
        self.soon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_off(&self) -> MutexGuard<'_, BTreeMap<ClusterId, SessionId>> {
        self.left_off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Emcc {
    /// The service over its store and the other services of its cluster, with its background work begun in `tasks`. What it
    /// refuses is told to the audit trail with what `trust` refuses.
    pub fn start(
        config: EmccConfig,
        cluster: ClusterId,
        store: Arc<dyn EmccStore>,
        (local, neighbours): (Local, Neighbours),
        trust: &Trust,
        (clock, ids): (Clock, Ids),
        tasks: &Tasks,
    ) -> Self {
        let inner = Arc::new(Inner {
            audit: trust.audit(),
            gates: Gates::new(config.max_requests_per_peer),
            cluster,
            config,
            store,
            local,
            neighbours,
            clock,
            ids,
            recalled: ArcSwap::default(),
            recalling: tokio::sync::Mutex::default(),
            peers: ArcSwap::default(),
            own_filter: ArcSwapOption::default(),
            found: Found::default(),
            ended: Notify::new(),
            changed: Notify::new(),
            soon: Mutex::default(),
            left_off: Mutex::default(),
            rendering: tokio::sync::Mutex::default(),
        });
        let stopping = tasks.stopping();
        macro_rules! begin {
            ($($name:literal: $work:path),+ $(,)?) => {
                $(
                    let (inner_, stopping_) = (Arc::clone(&inner), stopping.clone());
                    tasks.spawn($name, async move {
                        let _: Option<()> = stopping_.run_until_cancelled($work(&inner_)).await;
                    });
                )+
            };
        }
        begin! {
            "federation settings": settings::run,
            "other clusters": peers::run,
            "users at home": users::run,
            "ends of sessions": follow::run,
            "ends to tell": tell::run,
            "halves of sessions": reconcile::run,
            "maintenance of halves": reconcile::maintain,
        }
        Self { inner }
    }

    /// Adds the service's gRPC services to a process.
    pub fn add_to(&self, api: &mut Api) {
        grpc::add_to(&self.inner, api);
    }
}
