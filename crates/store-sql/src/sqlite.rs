//! How a SQLite file is made and used: one connection writes, four others read and never wait for it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roamline_domain::ClusterId;
use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, SqlxError, SqlxSqliteConnector};

use crate::SqlStore;
use crate::error::is_not_a_database;
use crate::open::{OpenError, all_migrations, migrate, pending, up_to_date};
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

/// A file that is a database, or shall be.
#[derive(Clone)]
pub(crate) struct SqliteFile {
    path: PathBuf,
    options: SqliteOptions,
}

impl SqliteFile {
    pub(crate) fn new(path: &Path, options: SqliteOptions) -> Self {
        Self { path: path.into(), options }
    }

    pub(crate) fn named(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) async fn pending(&self) -> Result<Vec<String>, OpenError> {
        if !self.path.exists() {
            return Ok(all_migrations());
        }
        let failed = |error| self.unusable(error);
        let reader = connect(pool(1), file(&self.path).read_only(true)).await.map_err(failed)?;
        let found = pending(&reader, &self.named(), failed).await;
        close(reader).await;
        found
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        create_directory(&self.path)?;
        let turn = Turn::take(&self.path).await?;
        create_file(&self.path)?;
        let connection = writer(&self.path, self.options).await.map_err(|error| self.unusable(error))?;
        let failed = |error: DbErr| match is_not_a_database(&error) {
            true => OpenError::NotADatabase { path: self.path.clone() },
            false => OpenError::Migrate { database: self.named(), source: error.into() },
        };
        let migrated = match Writer::new(connection.clone(), None).begin().await {
            Ok(tx) => migrate(tx, &self.named(), failed).await,
            Err(error) => Err(failed(error)),
        };
        close(connection).await;
        drop(turn);
        migrated
    }

    pub(crate) async fn open(&self, cluster: ClusterId) -> Result<SqlStore, OpenError> {
        if !self.path.exists() {
            return Err(OpenError::Pending { database: self.named(), migrations: all_migrations() });
        }
        let failed = |error| self.unusable(error);
        let turn = Turn::take(&self.path).await?;
        let connection = writer(&self.path, self.options).await.map_err(failed)?;
        drop(turn);
        up_to_date(&connection, &self.named(), failed).await?;
        let readers = readers(&self.path).await.map_err(failed)?;
        let writer = Writer::new(connection, None);
        let writers = Writers {
            sessions: writer.clone(),
            directory: writer.clone(),
            credentials: writer.clone(),
            audit: writer,
        };
        let started = SqlStore::start(cluster, readers, writers, None).await;
        started.map_err(|error| OpenError::Unusable { database: self.named(), source: error.into() })
    }

    fn unusable(&self, error: DbErr) -> OpenError {
        match is_not_a_database(&error) {
            true => OpenError::NotADatabase { path: self.path.clone() },
            false => OpenError::Unusable { database: self.named(), source: error.into() },
        }
    }
}

/// The last connection to a file puts what was written in its place. That it cannot changes nothing.
async fn close(connection: DatabaseConnection) {
    let _ = connection.close().await;
}

/// The turn of one process, or one store of it, to make a file or to change how it is written: SQLite refuses the
/// others at once then, without waiting. What is locked is the directory, because whoever closes a file of SQLite's
/// takes away the locks that his process has on it.
struct Turn {
    _directory: File,
}

impl Turn {
    async fn take(path: &Path) -> Result<Self, OpenError> {
        let directory = directory(path).to_path_buf();
        let failed = |source| OpenError::CreateFile { path: path.into(), source };
        let locked = tokio::task::spawn_blocking(move || {
            let directory = File::open(directory)?;
            directory.lock()?;
            Ok(directory)
        });
        let directory = locked.await.map_err(|error| failed(error.into()))?.map_err(failed)?;
        Ok(Self { _directory: directory })
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_directory(path: &Path) -> Result<(), OpenError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(directory(path));
    made.map_err(|source| OpenError::CreateDirectory { path: directory(path).into(), source })
}

/// Makes the file before SQLite does, because its journals inherit its mode; one that is there is not touched.
fn create_file(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.create_new(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_file() => Ok(()),
        made => made.map(drop).map_err(|source| OpenError::CreateFile { path: path.into(), source }),
    }
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
