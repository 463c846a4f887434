//! What a process keeps things in: where that is, how it is opened, and whether it can be used as long as it runs.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_domain::login::Held;
use roamline_domain::phone_state::PhoneState;
use roamline_serve::{Outset, Readiness, Tasks};
use roamline_store::{AuditStore, Commit, CommitError, Loaded, Reply, SessionStore, StoreError};
use roamline_store_redis::RedisStore;
use roamline_store_sql::SqlStore;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::sessions::{self, Sessions};
use crate::store::Store;
use crate::waiting::Waiting;

/// How often stores that are open are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer of theirs may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The phone that no phone is, and the request that nobody makes, by which it is tried whether changes are taken.
const NOWHERE: &str = "SEP000000000000";
const PROBE: &str = "roamline:ready";
/// How often it is looked whether the sessions have been rebuilt.
const BEGUN_EVERY: Duration = Duration::from_millis(50);

/// Where a process keeps what it keeps.
pub(crate) struct Places {
    /// The data directory.
    pub data: PathBuf,
    /// Everything that is not kept somewhere else.
    pub store: Store,
    /// Live sessions, where they are in Redis.
    pub sessions: Option<Sessions>,
}

/// Stores that are open.
pub(crate) struct Stores {
    /// The directory, credentials, the audit trail, and live sessions where there is no Redis.
    pub database: Arc<SqlStore>,
    redis: Option<Arc<RedisStore>>,
}

impl Stores {
    /// Waits until every store can be used; `/readyz` says meanwhile what is waited for.
    ///
    /// # Errors
    /// When waiting would not help.
    pub(crate) async fn open(
        places: &Places,
        cluster: &ClusterId,
        readiness: &Readiness,
    ) -> anyhow::Result<Self> {
        let database = Arc::new(places.store.open(cluster, readiness).await?);
        let redis = match &places.sessions {
            Some(sessions) => Some(Arc::new(sessions.open(cluster, readiness).await?)),
            None => None,
        };
        Ok(Self { database, redis })
    }

    /// Those of the session service.
    pub(crate) fn of_sessions(&self) -> roamline_session::Stores {
        let audit = self.database.clone();
        roamline_session::Stores { sessions: self.sessions(), audit }
    }

    fn sessions(&self) -> Arc<dyn SessionStore> {
        match &self.redis {
            Some(redis) => redis.clone(),
            None => self.database.clone(),
        }
    }

    /// Waits until the session store holds what it must: the session service brings that about.
    pub(crate) async fn begun(&self, readiness: &Readiness) {
        let sessions = self.sessions();
        let mut waiting = Waiting::new(readiness);
        let mut ticks = interval(BEGUN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match is_begun(&*sessions).await {
                Ok(()) => return,
                Err(reason) => waiting.because(&reason),
            }
        }
    }

    /// Sees to it that the process is not ready while one of the stores cannot be used.
    pub(crate) fn look_after(&self, Outset { clock, readiness, tasks }: &Outset) {
        let database = self.database.clone();
        let looked = move || {
            let database = Arc::clone(&database);
            async move {
                let place = within(database.place()).await;
                place.map(|_| ()).map_err(|error| sessions::said("store", &*error))
            }
        };
        follow("store", readiness, tasks, looked);
        let Some(redis) = self.redis.clone() else { return };
        let clock = clock.clone();
        let looked = move || {
            let (redis, now) = (Arc::clone(&redis), clock.now());
            async move {
                is_begun(&*redis).await?;
                takes_changes(&*redis, now).await
            }
        };
        follow("session store", readiness, tasks, looked);
    }
}

/// Looks again and again, until the process stops.
fn follow<L: Future<Output = Result<(), String>> + Send>(
    what: &'static str,
    readiness: &Readiness,
    tasks: &Tasks,
    look: impl Fn() -> L + Send + 'static,
) {
    let mut waiting = Waiting::new(readiness);
    let stopping = tasks.stopping();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = async move {
        loop {
            ticks.tick().await;
            match look().await {
                Ok(()) if waiting.over() => tracing::info!("{what}: it can be used again"),
                Ok(()) => {}
                Err(reason) => waiting.because(&reason),
            }
        }
    };
    tasks.spawn(what, async move {
        let _: Option<()> = stopping.run_until_cancelled(looking).await;
    });
}

async fn is_begun(sessions: &dyn SessionStore) -> Result<(), String> {
    match within(sessions.is_begun()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err("session store: it holds nothing, and is being rebuilt".into()),
        Err(error) => Err(sessions::said("session store", &*error)),
    }
}

/// Commits an answer to a request that nobody made, which is forgotten at once: a store that is full, read-only or cut
/// off from its replicas still answers questions.
async fn takes_changes(sessions: &dyn SessionStore, now: Timestamp) -> Result<(), String> {
    let (Ok(phone), Ok(request)) = (NOWHERE.parse(), PROBE.parse()) else {
        return Err(format!("session store: {NOWHERE} and {PROBE} cannot be asked for"));
    };
    let held = Held { phone: PhoneState::new(phone), others: Vec::new() };
    let reply = Reply { request, fingerprint: Vec::new(), answer: Vec::new(), expires_at: now };
    let commit = Commit {
        read: Loaded { held, guards: Vec::new() },
        states: Vec::new(),
        events: Vec::new(),
        reply: Some(reply),
        at: now,
    };
    let committed = async {
        match sessions.commit(commit).await {
            // Somebody uses the id for something else.
            Ok(_) | Err(CommitError::Moved) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    };
    within(committed).await.map_err(|error| sessions::said("session store", &*error))
}

async fn within<T>(
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.into()),
        Err(_elapsed) => Err(format!("no answer within {ANSWER_WITHIN:?}").into()),
    }
}
