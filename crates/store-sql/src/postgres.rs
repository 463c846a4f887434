//! How a PostgreSQL database is reached, and what lets several processes share it.
//!
//! Each of the three stores is written by one transaction of a cluster at a time: a transaction first takes the
//! store's advisory lock, which it holds until it has ended. It is READ COMMITTED, so that each of its statements sees
//! all that was committed before the lock was got; a snapshot taken earlier, as by REPEATABLE READ or SERIALIZABLE,
//! would not. So versions that were read hold until COMMIT, no transaction is ever to be repeated, and events become
//! visible in the order of their places, without gaps. Readers wait for nobody; theirs is REPEATABLE READ, one instant
//! for all statements of a transaction.

use std::time::Duration;

use roamline_domain::ClusterId;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqlxPostgresConnector,
    Statement, TransactionTrait,
};

use crate::SqlStore;
use crate::error::Cause;
use crate::open::{OpenError, migrate};
use crate::writer::{Writer, Writers};

/// How long a request waits for the server or for a connection.
const ACQUIRE_FOR: Duration = Duration::from_secs(5);
/// How long a transaction waits for its turn, and for how long it may do nothing: a process that is cut off gives up
/// its turn then.
const SETTINGS: [(&str, &str); 2] = [("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "10s")];
const WRITES: [(&str, &str); 1] = [("default_transaction_isolation", "read committed")];
const READS: [(&str, &str); 2] =
    [("default_transaction_isolation", "repeatable read"), ("default_transaction_read_only", "on")];

/// How a PostgreSQL database is used.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// Connections of this process at most. Three of them write; at least one reads, even if less than 4 is said.
    pub max_connections: u32,
    /// How often this process looks for events that others have committed.
    pub look_every: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { max_connections: 10, look_every: Duration::from_millis(100) }
    }
}

impl SqlStore {
    /// Opens a database, given as `postgres://user:password@host:port/name`, as the store of a
    /// cluster, together with whoever else has opened it. Brings the tables up to date first. Must be called in the
    /// runtime that the store shall live in; the work of commits ends with the store.
    ///
    /// There is no TLS yet: a database that demands it, or a URL that does (`sslmode=require` and stricter), is refused.
    ///
    /// A store that was opened outlives the loss of its server: what is asked meanwhile is unavailable. Where a
    /// connection is lost in the middle of COMMIT, nobody knows whether it was made; that is unavailable too, and a
    /// repeat finds out by the versions it reads.
    ///
    /// # Errors
    /// [`OpenError`], without the password; the database is as it was then.
    pub async fn open_postgres(
        url: &str,
        cluster: ClusterId,
        options: PostgresOptions,
    ) -> Result<SqlStore, OpenError> {
        let server = server(url).map_err(|source| OpenError::Url { source })?;
        let database = named(&server);
        let unusable = |source: Cause| OpenError::Unusable { database: database.clone(), source };
        answers(&server).await.map_err(unusable)?;

        let writer = |part: &str| {
            let turn = turn(&format!("roamline {part} of {cluster}"));
            Writer::new(pool(server.clone().options(WRITES), 1), Some(turn))
        };
        let writers = Writers {
            sessions: writer("sessions"),
            directory: writer("directory"),
            credentials: writer("credentials"),
        };
        let failed = |error: DbErr| OpenError::Migrate { database: database.clone(), source: error.into() };
        let tx = begin_migration(writers.directory.connection()).await.map_err(failed)?;
        migrate(tx, &database, failed).await?;

        let readers = options.max_connections.saturating_sub(3).max(1);
        let readers = pool(server.options(READS), readers);
        let started = SqlStore::start(cluster, readers, writers, Some(options.look_every)).await;
        started.map_err(|error| unusable(error.into()))
    }
}

fn server(url: &str) -> Result<PgConnectOptions, Cause> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err("it does not begin with `postgres://`".into());
    }
    let server = url.parse::<PgConnectOptions>()?.options(SETTINGS).disable_statement_logging();
    Ok(match server.get_application_name() {
        Some(_) => server,
        None => server.application_name("roamline"),
    })
}

/// The database in words, without user and password.
fn named(server: &PgConnectOptions) -> String {
    let name = server.get_database().unwrap_or(server.get_username());
    match server.get_socket() {
        Some(socket) => format!("{name} at {}", socket.display()),
        None => format!("{name} at {}:{}", server.get_host(), server.get_port()),
    }
}

/// That the database can be reached: a pool would only say that it has waited in vain.
async fn answers(server: &PgConnectOptions) -> Result<(), Cause> {
    let connected = tokio::time::timeout(ACQUIRE_FOR, server.connect()).await;
    let connection = connected.map_err(|_| "the server does not answer")??;
    Ok(connection.close().await?)
}

fn pool(server: PgConnectOptions, connections: u32) -> DatabaseConnection {
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_FOR);
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(server))
}

/// Waits until no other transaction has that turn.
fn turn(name: &str) -> Statement {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()])
}

/// Waits for those that migrate now, however long they take.
async fn begin_migration(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let tx = connection.begin().await?;
    tx.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
    tx.execute_raw(turn("roamline migrations")).await?;
    Ok(tx)
}
