//! What Roamline keeps, in SQL: the stores of a cluster over one SQLite file or, with the feature `postgres`,
//! one PostgreSQL database, through SeaORM: one code path, one set of migrations.
//!
//! Every row carries the cluster's id, so that several clusters may share a database. Instants are kept to the
//! microsecond; those inside a session, to the nanosecond. Commits of sessions that wait at the same time share one
//! transaction, and so one wait for the disk: see [`committer`].
//!
//! A SQLite file is written by one connection and read by four others that never wait for it (WAL). Who may open the
//! file at the same time is for the caller to see to; the store itself takes no lasting lock. A PostgreSQL database
//! may be used by any number of processes at once: those that write take turns, see [`Writer`].

mod audit;
mod column;
mod committer;
mod credential;
mod directory;
mod entity;
mod error;
mod federation;
mod import;
mod latest;
mod migration;
mod open;
mod phone;
#[cfg(feature = "postgres")]
mod postgres;
mod session;
mod sqlite;
mod token;
mod write;
mod writer;

#[cfg(test)]
mod fault_tests;

use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_store::{Sequence, StoreError};
use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::committer::{Committer, QUEUE};
use crate::writer::{Writer, Writers};

pub use open::{OpenError, SqlDatabase};
#[cfg(feature = "postgres")]
pub use postgres::PostgresOptions;
pub use sqlite::{SqliteOptions, Synchronous};

/// What a cluster keeps, in a SQL database.
#[derive(Debug)]
pub struct SqlStore {
    cluster: ClusterId,
    readers: DatabaseConnection,
    writers: Writers,
    commits: mpsc::Sender<committer::Job>,
    latest: watch::Sender<Sequence>,
    /// The committer and who looks for others' events; they end with the store.
    _tasks: JoinSet<()>,
}

impl SqlStore {
    /// Sets the store to work. `look_every` says how often it looks for events that other processes have committed,
    /// where there may be any.
    async fn start(
        cluster: ClusterId,
        readers: DatabaseConnection,
        writers: Writers,
        look_every: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let committer = Committer::new(cluster.clone(), writers.sessions.clone());
        let latest = watch::Sender::new(committer.last().await?);
        let (commits, queue) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(committer.run(queue, latest.clone()));
        if let Some(every) = look_every {
            tasks.spawn(latest::follow(cluster.clone(), readers.clone(), every, latest.clone()));
        }
        Ok(Self { cluster, readers, writers, commits, latest, _tasks: tasks })
    }

    /// A view of the whole database as of one instant.
    async fn read(&self) -> Result<DatabaseTransaction, StoreError> {
        self.readers.begin().await.map_err(error::failed("the database"))
    }

    /// A transaction of that writer.
    async fn write(&self, writer: &Writer) -> Result<DatabaseTransaction, StoreError> {
        writer.begin().await.map_err(error::failed("the database"))
    }
}
