//! The session service: logins, logouts, who is where, and the link to phones.
//!
//! Every change follows one pattern: load what it is about with versions, decide by the rules of the domain, commit
//! if nothing has moved, else decide again ([`decide`]). What the directory and the auth service know is asked of
//! them over gRPC. Sweeps run in every replica; the commit makes each logout happen once.

mod agent_state;
mod asker;
mod associated;
mod audit;
mod believed;
mod config;
mod convert;
mod decide;
mod desk;
mod events;
mod grpc;
mod limit;
mod login;
mod logout;
mod logout_all;
mod observe;
mod parameters;
mod peers;
mod personal;
mod phone_link;
mod phone_links;
mod reach;
mod read;
mod readers;
mod recovery;
mod refresh;
mod refusal;
mod refused;
mod roam;
#[cfg(test)]
mod sample;
mod schedule;
mod sweep;
mod team;
mod watch;
mod whereabouts;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use roamline_domain::deadline::DailyLogouts;
use roamline_domain::parameters::ServiceParameters;
use roamline_serve::{Api, Clock, Ids, Tasks};
use roamline_store::{AuditStore, SessionStore};
use tokio::sync::{Mutex, SetOnce};

pub use audit::{AuditConfig, KeepFor};
pub use config::SessionConfig;
pub use grpc::GrpcPeers;
pub use peers::{LoginFacts, LoginPlace, LogoutFacts, Peers, Prepared, RoamAsk, Roamed};
pub use team::Teams;

use events::Events;
use limit::Limit;
use readers::Readers;

/// Where the service keeps what it keeps.
#[derive(Clone)]
pub struct Stores {
    /// Live sessions, their deadlines and events.
    pub sessions: Arc<dyn SessionStore>,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
}

/// The session service of a cluster.
#[derive(Clone)]
pub struct Session {
    core: Arc<Core>,
}

pub(crate) struct Core {
    config: SessionConfig,
    store: Arc<dyn SessionStore>,
    audit: Arc<dyn AuditStore>,
    peers: Arc<dyn Peers>,
    clock: Clock,
    ids: Ids,
    tasks: Tasks,
    events: Events,
    readers: Readers,
    limit: Limit,
    refusals: refused::Gate,
    logout_all: logout_all::Running,
    recalled_teams: team::Recalled,
    recalled_associations: associated::Recalled,
    parameters: ArcSwap<ServiceParameters>,
    /// The daily logout times as the directory last told them; `None` before the first time.
    daily: ArcSwapOption<DailyLogouts>,
    /// Those by which the deadlines of the live sessions were last set.
    scheduled: Mutex<Option<Arc<DailyLogouts>>>,
    /// Set once the session store was seen to hold something.
    begun: SetOnce<()>,
}

impl Session {
    /// The service over its stores, with its background work (sweeps, the tail of events, the
    /// service parameters) begun in `tasks`.
    pub fn start(
        config: SessionConfig,
        stores: Stores,
        peers: Arc<dyn Peers>,
        clock: Clock,
        ids: Ids,
        tasks: &Tasks,
    ) -> Self {
        let Stores { sessions: store, audit } = stores;
        let events = Events::new(Arc::clone(&store));
        let core = Arc::new(Core {
            config,
            store,
            audit,
            peers,
            clock,
            ids,
            tasks: tasks.clone(),
            events,
            readers: Readers::default(),
            limit: Limit::default(),
            refusals: refused::Gate::default(),
            logout_all: logout_all::Running::default(),
            recalled_teams: team::Recalled::default(),
            recalled_associations: associated::Recalled::default(),
            parameters: ArcSwap::default(),
            daily: ArcSwapOption::default(),
            scheduled: Mutex::default(),
            begun: SetOnce::new(),
        });
        tasks.spawn("session store", recovery::run(Arc::clone(&core)));
        tasks
            .spawn("session events", recovery::once_begun(Arc::clone(&core), events::run(Arc::clone(&core))));
        tasks.spawn(
            "ended sessions",
            recovery::once_begun(Arc::clone(&core), events::recall(Arc::clone(&core))),
        );
        tasks.spawn("audit trail", audit::run(Arc::clone(&core)));
        tasks
            .spawn("live sessions", recovery::once_begun(Arc::clone(&core), observe::run(Arc::clone(&core))));
        tasks.spawn("refusals", refused::run(Arc::clone(&core)));
        tasks.spawn("slow readers", readers::run(Arc::clone(&core)));
        tasks.spawn("service parameters", parameters::run(Arc::clone(&core)));
        tasks.spawn(
            "daily logouts",
            recovery::once_begun(Arc::clone(&core), schedule::run(Arc::clone(&core))),
        );
        tasks.spawn("session sweep", recovery::once_begun(Arc::clone(&core), sweep::run(Arc::clone(&core))));
        Self { core }
    }

    /// Adds the service's gRPC services to a process.
    pub fn add_to(&self, api: &mut Api) {
        grpc::add_to(&self.core, api);
    }

    /// Takes over changed daily logout times and ends what is due now, as the background work does; returns how many
    /// sessions ended. For tests, which set the clock themselves.
    pub async fn sweep_once(&self) -> usize {
        schedule::once(&self.core).await;
        sweep::once(&self.core).await
    }
}
