//! Stores under the service: each case gets a cluster of its own.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roamline_domain::ClusterId;
use roamline_store::SessionStore;
use roamline_store::memory::MemoryStore;
use roamline_store_redis::{Durability, RedisOptions, RedisServers, RedisStore};
use roamline_store_sql::{PostgresOptions, SqlDatabase, SqliteOptions};
use tempfile::TempDir;

use crate::gate::Fault;
use crate::postgres::Server as Postgres;
use crate::redis::{Cluster as Nodes, MASTER, Redis, Replicated};

/// How a store is opened: as by a process of its own, where several processes may use it.
#[async_trait]
pub(crate) trait Backend: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// The store of one case.
    fn of_case(case: u32) -> Self;
    /// Opens it, as a replica does.
    async fn open(&self) -> Arc<dyn SessionStore>;
    /// Whether one process opens it once.
    const ONE_PROCESS: bool;
    /// What is wrong with it on purpose.
    const FAULT: Option<Fault> = None;
}

/// The number of a case in this process.
pub(crate) fn next_case() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn cluster(case: u32) -> ClusterId {
    format!("case-{case}").parse().expect("an id")
}

pub(crate) struct Memory(Arc<MemoryStore>);

#[async_trait]
impl Backend for Memory {
    const NAME: &'static str = "memory";
    const ONE_PROCESS: bool = true;

    fn of_case(_case: u32) -> Self {
        Self(Arc::new(MemoryStore::new()))
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        self.0.clone()
    }
}

/// The faults that [`Broken`] stores have, by their numbers.
pub(crate) const FAULTS: [Fault; 3] = [Fault::HidesOthers, Fault::ForgetsReplies, Fault::IsLate];

/// A store in memory that has a fault.
pub(crate) struct Broken<const FAULT: usize>(Memory);

#[async_trait]
impl<const FAULT: usize> Backend for Broken<FAULT> {
    const NAME: &'static str = "a broken store";
    const ONE_PROCESS: bool = true;
    const FAULT: Option<Fault> = Some(FAULTS[FAULT]);

    fn of_case(case: u32) -> Self {
        Self(Memory::of_case(case))
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        self.0.open().await
    }
}

pub(crate) struct Sqlite(u32);

#[async_trait]
impl Backend for Sqlite {
    const NAME: &'static str = "SQLite";
    const ONE_PROCESS: bool = true;

    fn of_case(case: u32) -> Self {
        Self(case)
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        static FOLDER: OnceLock<TempDir> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| TempDir::new().expect("a folder"));
        let database = SqlDatabase::sqlite(&folder.path().join("model.db"), SqliteOptions::default());
        database.migrate().await.expect("the tables are made");
        Arc::new(database.open(cluster(self.0)).await.expect("it opens"))
    }
}

pub(crate) struct PostgreSql(u32);

#[async_trait]
impl Backend for PostgreSql {
    const NAME: &'static str = "PostgreSQL";
    const ONE_PROCESS: bool = false;

    fn of_case(case: u32) -> Self {
        Self(case)
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        static MADE: OnceLock<()> = OnceLock::new();
        let server = Postgres::of_all();
        MADE.get_or_init(|| server.create("model"));
        let options = PostgresOptions { max_connections: 6, look_every: Duration::from_millis(5) };
        let database = SqlDatabase::postgres(&server.url("model"), options).expect("an address");
        database.migrate().await.expect("the tables are made");
        Arc::new(database.open(cluster(self.0)).await.expect("it opens"))
    }
}

async fn open_redis(case: u32, servers: RedisServers, replicas: u32) -> Arc<dyn SessionStore> {
    let durability = Durability { replicas, timeout: Duration::from_secs(10) };
    let command_timeout = Duration::from_secs(20);
    let options = RedisOptions { durability, command_timeout, ..RedisOptions::of(servers) };
    Arc::new(RedisStore::open(cluster(case), options).await.expect("it opens"))
}

pub(crate) struct Standalone(u32);

#[async_trait]
impl Backend for Standalone {
    const NAME: &'static str = "Redis";
    const ONE_PROCESS: bool = false;

    fn of_case(case: u32) -> Self {
        Self(case)
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        open_redis(self.0, RedisServers::Standalone { url: Redis::of_all().url() }, 0).await
    }
}

/// A replica must have each change before it is acknowledged.
pub(crate) struct Sentinel(u32);

#[async_trait]
impl Backend for Sentinel {
    const NAME: &'static str = "Redis behind Sentinel";
    const ONE_PROCESS: bool = false;

    fn of_case(case: u32) -> Self {
        Self(case)
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        let urls = Replicated::of_all().sentinel_urls();
        let servers = RedisServers::Sentinel { urls, master: MASTER.into(), username: None, password: None };
        open_redis(self.0, servers, 1).await
    }
}

pub(crate) struct Cluster(u32);

#[async_trait]
impl Backend for Cluster {
    const NAME: &'static str = "Redis Cluster";
    const ONE_PROCESS: bool = false;

    fn of_case(case: u32) -> Self {
        Self(case)
    }

    async fn open(&self) -> Arc<dyn SessionStore> {
        open_redis(self.0, RedisServers::Cluster { urls: Nodes::of_all().urls() }, 0).await
    }
}
