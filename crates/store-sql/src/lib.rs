//! What Roamline keeps, in SQL: the three stores of a cluster over one SQLite file, through SeaORM.
//!
//! Every row carries the cluster's id, so that several clusters may share a database. Instants are kept to the
//! microsecond; those inside a session, to the nanosecond. The file is written by one connection and read by four
//! others that never wait for it (WAL). Commits of sessions that wait at the same time share one transaction, and so
//! one wait for the disk: see [`committer`].
//!
//! Who may open the file at the same time is for the caller to see to; the store itself takes no lasting lock.

mod column;
mod committer;
mod credential;
mod directory;
mod entity;
mod error;
mod migration;
mod open;
mod phone;
mod session;
mod write;

#[cfg(test)]
mod fault_tests;

use roamline_domain::ClusterId;
use roamline_store::{Sequence, StoreError};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use open::{OpenError, SqliteOptions, Synchronous};

/// What a cluster keeps, in a SQL database.
#[derive(Debug)]
pub struct SqlStore {
    cluster: ClusterId,
    readers: DatabaseConnection,
    writer: DatabaseConnection,
    commits: mpsc::Sender<committer::Job>,
    latest: watch::Sender<Sequence>,
    /// The committer, which ends with the store.
    _tasks: JoinSet<()>,
}

impl SqlStore {
    /// A view of the whole database as of one instant.
    async fn read(&self) -> Result<DatabaseTransaction, StoreError> {
        self.readers.begin().await.map_err(error::failed("the database"))
    }

    async fn write(&self) -> Result<DatabaseTransaction, StoreError> {
        begin_write(&self.writer).await.map_err(error::failed("the database"))
    }
}

/// A transaction that is a writer from its first statement: nobody else can write between what it reads and what it
/// writes.
async fn begin_write(writer: &DatabaseConnection) -> Result<DatabaseTransaction, sea_orm::DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    writer.begin_with_options(options).await
}
