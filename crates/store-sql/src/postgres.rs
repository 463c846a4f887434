//! How a PostgreSQL database is reached, and what lets several processes share it.
//!
//! Each of the four stores is written by one transaction of a cluster at a time: a transaction first takes the
//! store's advisory lock, which it holds until it has ended. It is READ COMMITTED, so that each of its statements sees
//! all that was committed before the lock was got; a snapshot taken earlier, as by REPEATABLE READ or SERIALIZABLE,
//! would not. So versions that were read hold until COMMIT, no transaction is ever to be repeated, and events become
//! visible in the order of their places, without gaps. Readers wait for nobody; theirs is REPEATABLE READ, one instant
//! for all statements of a transaction.
//!
//! The address says whether TLS is asked for (`sslmode`): rustls with aws-lc-rs speaks it. With `verify-ca` and
//! `verify-full`, a certificate is believed that one in `sslrootcert` or a public authority has signed.

use std::io::{self, ErrorKind::InvalidData, ErrorKind::TimedOut};
use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_store::StoreError;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqlxError,
    SqlxPostgresConnector, Statement, TransactionTrait,
};

use crate::SqlStore;
use crate::error::{Cause, driver};
use crate::open::{OpenError, migrate, pending, up_to_date};
use crate::writer::{Writer, Writers};

/// How long a request waits for the server or for a connection.
const ACQUIRE_FOR: Duration = Duration::from_secs(5);
/// How long a transaction waits for its turn, and for how long it may do nothing: a process that is cut off gives up
/// its turn then.
const SETTINGS: [(&str, &str); 2] = [("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "10s")];
/// Connections that read at least: one may be held by the reading of a whole directory.
const READERS: u32 = 2;
/// How long a change of the directory waits for its turn: the commit of a large import takes a while.
const DIRECTORY: [(&str, &str); 1] = [("lock_timeout", "30s")];
const DIRECTORY_FOR: Duration = Duration::from_secs(30);
const WRITES: [(&str, &str); 1] = [("default_transaction_isolation", "read committed")];
const READS: [(&str, &str); 2] =
    [("default_transaction_isolation", "repeatable read"), ("default_transaction_read_only", "on")];

/// Classes of SQLSTATE that pass: connection exceptions, insufficient resources, an operator's intervention.
const PASSING: [&str; 3] = ["08", "53", "57"];

/// How a PostgreSQL database is used.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// Connections of this process at most. Four of them write; at least two read, even if less than 6 is said.
    pub max_connections: u32,
    /// How often this process looks for events that others have committed.
    pub look_every: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { max_connections: 10, look_every: Duration::from_millis(100) }
    }
}

/// A database and its server.
#[derive(Clone)]
pub(crate) struct PostgresServer {
    server: PgConnectOptions,
    name: String,
    options: PostgresOptions,
}

/// A store that was opened outlives the loss of its server: what is asked meanwhile is unavailable. Where a connection
/// is lost in the middle of COMMIT, nobody knows whether it was made; that is unavailable too, and a repeat finds out
/// by the versions it reads.
impl PostgresServer {
    pub(crate) fn new(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let server = server(url).map_err(|source| OpenError::Url { source })?;
        Ok(Self { name: named(&server), server, options })
    }

    /// Without user and password.
    pub(crate) fn named(&self) -> &str {
        &self.name
    }

    pub(crate) async fn pending(&self) -> Result<Vec<String>, OpenError> {
        self.answers().await?;
        let reader = pool(self.server.clone().options(READS), 1);
        let found = pending(&reader, &self.name, |error| self.unusable(error)).await;
        close(reader).await;
        found
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        self.answers().await?;
        let connection = pool(self.server.clone().options(WRITES), 1);
        let failed = |error| match self.unusable(error) {
            OpenError::Unusable { database, source } => OpenError::Migrate { database, source },
            unreachable => unreachable,
        };
        let migrated = match begin_migration(&connection).await {
            Ok(tx) => migrate(tx, &self.name, failed).await,
            Err(error) => Err(failed(error)),
        };
        close(connection).await;
        migrated
    }

    pub(crate) async fn open(&self, cluster: ClusterId) -> Result<SqlStore, OpenError> {
        self.answers().await?;
        let readers = self.options.max_connections.saturating_sub(4).max(READERS);
        let readers = pool(self.server.clone().options(READS), readers);
        up_to_date(&readers, &self.name, |error| self.unusable(error)).await?;

        let writer = |part: &str| {
            let turn = turn(&format!("roamline {part} of {cluster}"));
            let server = self.server.clone().options(WRITES);
            let connection = match part {
                "directory" => pool_of(server.options(DIRECTORY), 1, DIRECTORY_FOR),
                _ => pool(server, 1),
            };
            Writer::new(connection, Some(turn))
        };
        let writers = Writers {
            sessions: writer("sessions"),
            directory: writer("directory"),
            credentials: writer("credentials"),
            audit: writer("audit"),
        };
        let started = SqlStore::start(cluster, readers, writers, Some(self.options.look_every)).await;
        started.map_err(|error| match error {
            StoreError::Unavailable(source) => OpenError::Unreachable { database: self.name.clone(), source },
            StoreError::Corrupt { .. } | StoreError::InDoubt(_) | StoreError::Lost => {
                OpenError::Unusable { database: self.name.clone(), source: error.into() }
            }
        })
    }

    /// That the database can be reached: a pool would only say that it has waited in vain.
    async fn answers(&self) -> Result<(), OpenError> {
        let connect = async { self.server.connect().await?.close().await };
        let connected = match tokio::time::timeout(ACQUIRE_FOR, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(SqlxError::Io(io::Error::new(TimedOut, "the server does not answer"))),
        };
        connected.map_err(|error| match may_pass(&error) {
            true => OpenError::Unreachable { database: self.name.clone(), source: error.into() },
            false => OpenError::Unusable { database: self.name.clone(), source: error.into() },
        })
    }

    fn unusable(&self, error: DbErr) -> OpenError {
        match driver(&error).is_some_and(may_pass) {
            true => OpenError::Unreachable { database: self.name.clone(), source: error.into() },
            false => OpenError::Unusable { database: self.name.clone(), source: error.into() },
        }
    }
}

/// Whether the same may succeed later without anybody's doing: the server cannot be reached, begins or ends, or takes
/// no more connections. A certificate that is not believed is an error of reading, too, and stays one.
fn may_pass(error: &SqlxError) -> bool {
    match error {
        SqlxError::Io(error) => error.kind() != InvalidData,
        SqlxError::PoolTimedOut | SqlxError::PoolClosed | SqlxError::WorkerCrashed => true,
        SqlxError::Database(error) => {
            error.code().is_some_and(|state| PASSING.iter().any(|class| state.starts_with(class)))
        }
        _ => false,
    }
}

async fn close(connection: DatabaseConnection) {
    // The server sees to what is left.
    let _ = connection.close().await;
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

fn pool(server: PgConnectOptions, connections: u32) -> DatabaseConnection {
    pool_of(server, connections, ACQUIRE_FOR)
}

fn pool_of(server: PgConnectOptions, connections: u32, acquire_for: Duration) -> DatabaseConnection {
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(acquire_for);
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
