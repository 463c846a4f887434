//! A database as it is found: looked at, brought up to date, and opened as the store of a cluster.

use std::fmt;
use std::path::{Path, PathBuf};

use roamline_domain::ClusterId;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait, QueryOrder};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait, SchemaManager, seaql_migrations};

use crate::SqlStore;
use crate::error::Cause;
use crate::migration::Migrator;
#[cfg(feature = "postgres")]
use crate::postgres::{PostgresOptions, PostgresServer};
use crate::sqlite::{SqliteFile, SqliteOptions};

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
    /// The server is not there, or takes nobody at this moment: the same may succeed later.
    #[error("cannot reach the database {database}")]
    Unreachable {
        /// The database and its server.
        database: String,
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// The database cannot be used: locked, read-only, damaged, the disk full; no such database, user or certificate.
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
    /// The tables are those of an older version, or not there.
    #[error("the tables of {database} are not up to date: {} must be applied", .migrations.join(", "))]
    Pending {
        /// The file, or the database and its server.
        database: String,
        /// What has not been applied, in order.
        migrations: Vec<String>,
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

/// A database that holds what a cluster keeps, or shall. It prints without its password.
#[derive(Clone)]
pub struct SqlDatabase(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(SqliteFile),
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresServer>),
}

impl SqlDatabase {
    /// A SQLite file, which need not be there yet.
    pub fn sqlite(path: &Path, options: SqliteOptions) -> Self {
        Self(Kind::Sqlite(SqliteFile::new(path, options)))
    }

    /// A PostgreSQL database, given as `postgres://user:password@host:port/name`; what else may stand in the address
    /// (`sslmode`, `sslrootcert`, `host` for a socket) is what sqlx takes. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`OpenError::Url`] when that is no such address.
    #[cfg(feature = "postgres")]
    pub fn postgres(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        Ok(Self(Kind::Postgres(Box::new(PostgresServer::new(url, options)?))))
    }

    /// The last migration of tables that are up to date.
    pub fn newest() -> String {
        Migrator::migrations().last().map(|last| last.name().to_owned()).unwrap_or_default()
    }

    /// The migrations that are not applied, in order; changes nothing, and asks for no right to.
    ///
    /// # Errors
    /// [`OpenError`], among others when the database is newer.
    pub async fn pending(&self) -> Result<Vec<String>, OpenError> {
        match &self.0 {
            Kind::Sqlite(file) => file.pending().await,
            #[cfg(feature = "postgres")]
            Kind::Postgres(server) => server.pending().await,
        }
    }

    /// Brings the tables up to date, and makes a SQLite file that is not there. What was applied, in order: nothing
    /// where somebody else was faster; those that migrate at once take turns.
    ///
    /// # Errors
    /// [`OpenError`]; the database is as it was then.
    pub async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        match &self.0 {
            Kind::Sqlite(file) => file.migrate().await,
            #[cfg(feature = "postgres")]
            Kind::Postgres(server) => server.migrate().await,
        }
    }

    /// Opens the database, whose tables must be up to date, as the store of a cluster. Must be called in the runtime
    /// that the store shall live in; the work of commits ends with the store.
    ///
    /// # Errors
    /// [`OpenError`], among others [`OpenError::Pending`].
    pub async fn open(&self, cluster: ClusterId) -> Result<SqlStore, OpenError> {
        match &self.0 {
            Kind::Sqlite(file) => file.open(cluster).await,
            #[cfg(feature = "postgres")]
            Kind::Postgres(server) => server.open(cluster).await,
        }
    }
}

/// The file, or the database and its server, without user and password.
impl fmt::Display for SqlDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(file) => f.write_str(&file.named()),
            #[cfg(feature = "postgres")]
            Kind::Postgres(server) => f.write_str(server.named()),
        }
    }
}

impl fmt::Debug for SqlDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlDatabase({self})")
    }
}

impl SqlStore {
    /// Brings a SQLite file up to date and opens it: [`SqlDatabase::migrate`], then [`SqlDatabase::open`]. Makes it,
    /// with its directory, where it is not there; only its owner can read it then.
    ///
    /// # Errors
    /// [`OpenError`]; the file is as it was then.
    pub async fn open_sqlite(
        path: &Path,
        cluster: ClusterId,
        options: SqliteOptions,
    ) -> Result<SqlStore, OpenError> {
        let database = SqlDatabase::sqlite(path, options);
        database.migrate().await?;
        database.open(cluster).await
    }

    /// Brings a PostgreSQL database up to date and opens it, together with whoever else has opened it:
    /// [`SqlDatabase::migrate`], then [`SqlDatabase::open`].
    ///
    /// # Errors
    /// [`OpenError`], without the password; the database is as it was then.
    #[cfg(feature = "postgres")]
    pub async fn open_postgres(
        url: &str,
        cluster: ClusterId,
        options: PostgresOptions,
    ) -> Result<SqlStore, OpenError> {
        let database = SqlDatabase::postgres(url, options)?;
        database.migrate().await?;
        database.open(cluster).await
    }
}

/// What is known here, in order.
pub(crate) fn all_migrations() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// What is not applied, in order; reads only.
pub(crate) async fn pending<'c>(
    db: impl IntoSchemaManagerConnection<'c>,
    database: &str,
    failed: impl Fn(DbErr) -> OpenError,
) -> Result<Vec<String>, OpenError> {
    let applied = applied(&SchemaManager::new(db)).await.map_err(failed)?;
    let mut known = all_migrations();
    if let Some(unknown) = applied.iter().find(|applied| !known.contains(applied)) {
        return Err(OpenError::Newer { database: database.to_owned(), migration: unknown.clone() });
    }
    known.retain(|known| !applied.contains(known));
    Ok(known)
}

/// What is applied, in order. The crate's own way makes a table where there is none, for which a right is needed.
async fn applied(manager: &SchemaManager<'_>) -> Result<Vec<String>, DbErr> {
    if !manager.has_table(Migrator::migration_table_name().to_string()).await? {
        return Ok(Vec::new());
    }
    let rows = seaql_migrations::Entity::find().order_by_asc(seaql_migrations::Column::Version);
    Ok(rows.all(manager.get_connection()).await?.into_iter().map(|row| row.version).collect())
}

/// As [`pending`]; that something is, is an error.
pub(crate) async fn up_to_date<'c>(
    db: impl IntoSchemaManagerConnection<'c>,
    database: &str,
    failed: impl Fn(DbErr) -> OpenError,
) -> Result<(), OpenError> {
    let migrations = pending(db, database, failed).await?;
    match migrations.is_empty() {
        true => Ok(()),
        false => Err(OpenError::Pending { database: database.to_owned(), migrations }),
    }
}

/// All migrations in one transaction, in which nobody else migrates: two processes that start at once take turns, and
/// a failure leaves nothing.
pub(crate) async fn migrate(
    tx: DatabaseTransaction,
    database: &str,
    failed: impl Fn(DbErr) -> OpenError,
) -> Result<Vec<String>, OpenError> {
    let pending = pending(&tx, database, &failed).await?;
    if !pending.is_empty() {
        Migrator::up(&tx, None).await.map_err(&failed)?;
    }
    tx.commit().await.map_err(&failed)?;
    Ok(pending)
}
