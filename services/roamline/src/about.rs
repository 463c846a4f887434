//! What a process says of itself at `/about` of its admin port, in JSON, for `roamctl doctor`: its release, its tables, its
//! Redis. No secret and no user's name is in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_serve::inventory::REDIS_REPLICAS;
use roamline_serve::{Api, Clock, Outset};
use roamline_store_redis::{RedisAbout, RedisStore};
use roamline_store_sql::SqlDatabase;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::sessions::Sessions;
use crate::stores::{Places, Stores};

/// Where it is.
const PATH: &str = "/about";
/// How often Redis is asked about itself.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    /// `up`, or the role.
    service: &'a str,
    version: &'static str,
    cluster_id: &'a str,
    started_at: Timestamp,
    now: Timestamp,
    store: Store,
    sessions: Option<Live<'a>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    place: String,
    is_embedded: bool,
    /// The last migration of its tables.
    schema: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Live<'a> {
    place: &'a str,
    mode: &'static str,
    /// How many replicas must have a change at least before it is acknowledged, as it is set.
    replicas_waited_for: u32,
    /// What Redis says of itself; nothing while it does not answer.
    server: Option<Server>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    address: String,
    version: String,
    append_only: bool,
    replicas: u32,
    /// How many of them must have a change now.
    replicas_needed: u32,
    used_memory: u64,
    max_memory: u64,
}

impl From<RedisAbout> for Server {
    fn from(about: RedisAbout) -> Self {
        let RedisAbout { server, version, append_only, replicas, needed, used_memory, max_memory } = about;
        let (address, replicas_needed) = (server, needed);
        Self { address, version, append_only, replicas, replicas_needed, used_memory, max_memory }
    }
}

/// Where live sessions are, as long as the process runs.
struct Redis {
    place: String,
    mode: &'static str,
    replicas_waited_for: u32,
    server: Arc<Mutex<Option<Server>>>,
}

/// Adds the page to those of the admin port.
pub(crate) fn add_page(
    api: &mut Api,
    service: &'static str,
    cluster: &ClusterId,
    places: &Places,
    stores: &Stores,
    outset: &Outset,
) {
    let store = Store {
        place: places.store.database().to_string(),
        is_embedded: places.store.is_embedded(),
        schema: SqlDatabase::newest(),
    };
    let redis = places.sessions.as_ref().zip(stores.redis()).map(|(sessions, redis)| {
        let server = followed(redis, outset);
        Redis::new(sessions, server)
    });
    let (cluster, clock, started_at) = (cluster.to_string(), outset.clock.clone(), outset.clock.now());
    api.add_page(PATH, move || text(service, &cluster, &clock, started_at, &store, redis.as_ref()));
}

fn text(
    service: &str,
    cluster_id: &str,
    clock: &Clock,
    started_at: Timestamp,
    store: &Store,
    redis: Option<&Redis>,
) -> String {
    let page = Page {
        service,
        version: env!("CARGO_PKG_VERSION"),
        cluster_id,
        started_at,
        now: clock.now(),
        store: store.clone(),
        sessions: redis.map(Redis::now),
    };
    serde_json::to_string(&page).unwrap_or_default()
}

impl Redis {
    fn new(sessions: &Sessions, server: Arc<Mutex<Option<Server>>>) -> Self {
        Self {
            place: sessions.to_string(),
            mode: sessions.mode(),
            replicas_waited_for: sessions.replicas_waited_for(),
            server,
        }
    }

    fn now(&self) -> Live<'_> {
        Live {
            place: &self.place,
            mode: self.mode,
            replicas_waited_for: self.replicas_waited_for,
            server: self.server.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// What Redis says of itself, asked again and again until the process stops.
fn followed(redis: Arc<RedisStore>, Outset { tasks, .. }: &Outset) -> Arc<Mutex<Option<Server>>> {
    let known = Arc::new(Mutex::new(None));
    let (told, stopping) = (Arc::clone(&known), tasks.stopping());
    let asking = async move {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = redis.about().await.ok().map(Server::from);
            measure(answer.as_ref());
            *told.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        }
    };
    tasks.spawn("about redis", async move {
        let _: Option<()> = stopping.run_until_cancelled(asking).await;
    });
    known
}

/// Tells the metrics how many replicas there are, and how many are needed.
fn measure(server: Option<&Server>) {
    for state in ["connected", "needed"] {
        match server {
            Some(server) => {
                let count = if state == "needed" { server.replicas_needed } else { server.replicas };
                REDIS_REPLICAS.set_for(count.into(), &[("state", state)]);
            }
            None => REDIS_REPLICAS.forget(&[("state", state)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_its_release_its_tables_and_whom_its_redis_waits_for() {
        let (clock, _) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
        let store = Store { place: "PostgreSQL".into(), is_embedded: false, schema: SqlDatabase::newest() };
        let server = Arc::new(Mutex::new(None));
        let redis =
            Redis { place: "Redis at redis".into(), mode: "standalone", replicas_waited_for: 1, server };
        let page = text("session", "main", &clock, clock.now(), &store, Some(&redis));
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        assert_eq!(page["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(page["now"], "2026-03-02T08:00:00Z");
        assert!(page["store"]["schema"].as_str().unwrap().starts_with('m'), "{page}");
        assert_eq!(page["sessions"]["replicasWaitedFor"], 1);
        assert!(page["sessions"]["server"].is_null(), "{page}");
    }
}
