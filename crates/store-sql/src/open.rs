//! How a SQLite file is made and opened, and how any database is brought up to date.

use std::fs::{DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roamline_domain::ClusterId;
use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqlxError, SqlxSqliteConnector};
use sea_orm_migration::MigratorTrait;

use crate::SqlStore;
use crate::error::{Cause, is_not_a_database};
use crate::migration::Migrator;
use crate::writer::{Writer, Writers};

const READERS: u32 = 4;
/// How long a statement waits for another process that writes.
const BUSY_FOR: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const ACQUIRE_FOR: Duration = Duration::from_secs(10);

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// When the disk has it: nothing acknowledged is lost, not even by a power failure.
    #[default]
    Full,
    /// When the operating system has it: a power failure may lose the last moments, a killed process nothing.
    Normal,
}

/// How a SQLite file is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqliteOptions {
    /// When a commit counts as done.
    pub synchronous: Synchronous,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is not there and cannot be made.
    #[error("cannot create the directory {}", path.display())]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be made or written.
    #[error("cannot create or write {}", path.display())]
    CreateFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{} is not a SQLite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The address of the database cannot be read. The reason leaves the password out.
    #[error("the address of the database is not like postgres://user@host:5432/name")]
    Url {
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// The database cannot be used: locked, read-only, damaged, out of reach, the disk full.
    #[error("cannot open the database {database}")]
    Unusable {
        /// The file, or the database and its server.
        database: String,
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// A newer version has changed the tables.
    #[error("{database} was written by a newer version (it knows `{migration}`)")]
    Newer {
        /// The file, or the database and its server.
        database: String,
        /// The first migration that is unknown here.
        migration: String,
    },
    /// The tables cannot be brought up to date; nothing was changed.
    #[error("cannot bring the tables of {database} up to date")]
    Migrate {
        /// The file, or the database and its server.
        database: String,
        /// What the driver said.
        #[source]
        source: Cause,
    },
}

impl SqlStore {
    /// Opens the file as the store of a cluster, and makes it, with its directory, where it is not there; only its
    /// owner can read it then. Brings the tables up to date first. Must be called in the runtime that the store
    /// shall live in; the work of commits ends with the store.
    ///
    /// # Errors
    /// [`OpenError`]; the file is as it was then.
    pub async fn open_sqlite(
        path: &Path,
        cluster: ClusterId,
        options: SqliteOptions,
    ) -> Result<SqlStore, OpenError> {
        create(path)?;
        let database = path.display().to_string();
        let unusable = |error: DbErr| match is_not_a_database(&error) {
            true => OpenError::NotADatabase { path: path.into() },
            false => OpenError::Unusable { database: database.clone(), source: error.into() },
        };
        let failed = |error: DbErr| match is_not_a_database(&error) {
            true => OpenError::NotADatabase { path: path.into() },
            false => OpenError::Migrate { database: database.clone(), source: error.into() },
        };
        let writer = Writer::new(writer(path, options).await.map_err(unusable)?, None);
        migrate(writer.begin().await.map_err(failed)?, &database, failed).await?;
        let readers = readers(path).await.map_err(unusable)?;
        let writers = Writers { sessions: writer.clone(), directory: writer.clone(), credentials: writer };
        let started = SqlStore::start(cluster, readers, writers, None).await;
        started.map_err(|error| OpenError::Unusable { database, source: error.into() })
    }
}

/// Makes the file before SQLite does, because its journals inherit its mode.
fn create(path: &Path) -> Result<(), OpenError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.create(parent);
        made.map_err(|source| OpenError::CreateDirectory { path: parent.into(), source })?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path);
    opened.map(drop).map_err(|source| OpenError::CreateFile { path: path.into(), source })
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_FOR)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

fn file(path: &Path) -> SqliteConnectOptions {
    use sea_orm::sqlx::ConnectOptions as _;
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_FOR)
        .foreign_keys(true)
        .statement_cache_capacity(512)
        .disable_statement_logging()
}

async fn writer(path: &Path, options: SqliteOptions) -> Result<DatabaseConnection, DbErr> {
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    let options = file(path).journal_mode(SqliteJournalMode::Wal).synchronous(synchronous);
    // SQLite ends a transaction by itself when, say, the disk is full; the driver goes on counting it. Such a
    // connection is not used again.
    let whole = pool(1).after_release(|connection, _| {
        Box::pin(async move {
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    });
    connect(whole, options).await
}

async fn readers(path: &Path) -> Result<DatabaseConnection, DbErr> {
    connect(pool(READERS), file(path).read_only(true)).await
}

async fn connect(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
) -> Result<DatabaseConnection, DbErr> {
    let connected: Result<SqlitePool, SqlxError> = pool.connect_with(options).await;
    let pool = connected.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// All migrations in one transaction, in which nobody else migrates: two processes that start at once take turns, and
/// a failure leaves nothing.
pub(crate) async fn migrate(
    tx: DatabaseTransaction,
    database: &str,
    failed: impl Fn(DbErr) -> OpenError,
) -> Result<(), OpenError> {
    let applied = Migrator::get_migration_models(&tx).await.map_err(&failed)?;
    let known = Migrator::migrations();
    let unknown = applied.into_iter().find(|row| known.iter().all(|known| known.name() != row.version));
    if let Some(unknown) = unknown {
        return Err(OpenError::Newer { database: database.to_owned(), migration: unknown.version });
    }
    Migrator::up(&tx, None).await.map_err(&failed)?;
    tx.commit().await.map_err(&failed)
}
