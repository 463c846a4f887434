//! What a process keeps things in: where that is, how it is opened, and whether it can be used as long as it runs.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::{ClusterId, PhoneName, RequestId};
use roamline_serve::inventory::SCHEMA;
use roamline_serve::{Ids, Outset, Readiness, Tasks};
use roamline_store::{About, AuditStore, Commit, CommitError, Reply, SessionStore, StoreError};
use roamline_store_redis::RedisStore;
use roamline_store_sql::{SqlDatabase, SqlStore};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::measured::Measured;
use crate::sessions::{self, Sessions};
use crate::store::Store;
use crate::waiting::Waiting;

/// How often stores that are open are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer of theirs may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The phone that no phone is, by which it is tried whether changes are taken; and how often that is tried while
/// somebody else changes it.
const NOWHERE: &str = "SEP000000000000";
const TRIES: usize = 3;
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
    /// Which kind of database it is.
    system: &'static str,
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
        let system = if places.store.is_embedded() { "sqlite" } else { "postgresql" };
        SCHEMA.set_for(1, &[("db.system.name", system), ("version", &SqlDatabase::newest())]);
        Ok(Self { database, redis, system })
    }

    /// Those of the session service.
    pub(crate) fn of_sessions(&self) -> roamline_session::Stores {
        let sessions: Arc<dyn SessionStore> = match &self.redis {
            Some(redis) => Measured::new("redis", redis.clone()),
            None => self.measured(),
        };
        roamline_session::Stores { sessions, audit: self.measured() }
    }

    /// The database, as services use it.
    pub(crate) fn measured(&self) -> Arc<Measured<SqlStore>> {
        Measured::new(self.system, self.database.clone())
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

    /// Where live sessions are, if that is Redis.
    pub(crate) fn redis(&self) -> Option<Arc<RedisStore>> {
        self.redis.clone()
    }

    /// Sees to it that the process is not ready while one of the stores cannot be used.
    pub(crate) fn look_after(&self, Outset { clock, readiness, tasks }: &Outset) {
        let database = self.database.clone();
        let looked = move || {
            let database = Arc::clone(&database);
            async move {
                let place = within(AuditStore::place(&*database)).await;
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
/// off from its replicas still answers questions. A commit that was not made because something had moved proves nothing.
async fn takes_changes(sessions: &dyn SessionStore, now: Timestamp) -> Result<(), String> {
    // The id is one that no client can guess, and remember an answer for.
    let (Ok(phone), Ok(request)) = (NOWHERE.parse::<PhoneName>(), Ids::new().opaque().parse::<RequestId>())
    else {
        return Err(format!("session store: {NOWHERE} and an opaque id cannot be asked for"));
    };
    let committed = async {
        for _ in 0..TRIES {
            let read = sessions.load(&About::phone(phone.clone())).await?;
            let reply = Reply {
                request: request.clone(),
                fingerprint: Vec::new(),
                answer: Vec::new(),
                expires_at: now,
            };
            let (states, events) = (Vec::new(), Vec::new());
            match sessions.commit(Commit { read, states, events, reply: Some(reply), at: now }).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Moved) => {}
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Ok(false)
    };
    match within(committed).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(format!("session store: whenever {NOWHERE} is to be changed, somebody else has done it"))
        }
        Err(error) => Err(sessions::said("session store", &*error)),
    }
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
