//! Where everything is kept: which database the configuration means, and how the server comes by it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use roamline_domain::ClusterId;
use roamline_serve::Readiness;
use roamline_store_sql::{OpenError, PostgresOptions, SqlDatabase, SqlStore, SqliteOptions, Synchronous};
use secrecy::ExposeSecret;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Durability, Migrate, StoreConfig};
use crate::waiting::Waiting;

/// The file in the data directory.
const FILE: &str = "roamline.db";
/// How often a database that cannot be used yet is looked at again.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// A database that may not be usable yet.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: SqlDatabase,
    migrate: Migrate,
    is_embedded: bool,
}

impl Store {
    /// The one that the configuration means.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or names what is no address of a database.
    pub(crate) fn new(config: &StoreConfig, data: &Path) -> anyhow::Result<Self> {
        let Some(url) = config.url.or_in("store.url", &config.url_file)? else {
            let synchronous = match config.durability {
                Durability::Full => Synchronous::Full,
                Durability::Normal => Synchronous::Normal,
            };
            let database = SqlDatabase::sqlite(&data.join(FILE), SqliteOptions { synchronous });
            let migrate = config.migrate.unwrap_or(Migrate::Auto);
            return Ok(Self { database, migrate, is_embedded: true });
        };
        let options = PostgresOptions { max_connections: config.max_connections, ..Default::default() };
        let database = SqlDatabase::postgres(url.expose_secret(), options).context("store.url")?;
        let migrate = config.migrate.unwrap_or(Migrate::Manual);
        Ok(Self { database, migrate, is_embedded: false })
    }

    /// The database, without its password.
    pub(crate) fn database(&self) -> &SqlDatabase {
        &self.database
    }

    /// Whether it is a file in the data directory.
    pub(crate) fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    /// Whether the server waits for somebody else to bring the tables up to date.
    pub(crate) fn waits(&self) -> bool {
        self.migrate == Migrate::Manual
    }

    /// Waits until the database can be reached and its tables are up to date, for as long as that takes; `/readyz` says
    /// meanwhile what is waited for. With `auto`, brings the tables up to date.
    ///
    /// # Errors
    /// When waiting would not help: the database is newer, is none, or lets nobody in.
    pub(crate) async fn open(&self, cluster: &ClusterId, readiness: &Readiness) -> anyhow::Result<SqlStore> {
        let mut waiting = Waiting::new(readiness);
        let mut ticks = interval(AGAIN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let reason = match self.try_open(cluster).await {
                Ok(store) => {
                    if waiting.over() {
                        tracing::info!(database = %self.database, "the store is open");
                    }
                    return Ok(store);
                }
                Err(OpenError::Pending { migrations, .. }) => format!(
                    "the tables of {} are not up to date; `roamline migrate` applies {}",
                    self.database,
                    migrations.join(", ")
                ),
                Err(error @ OpenError::Unreachable { .. }) => error.to_string(),
                Err(error) => return Err(error).context("the store cannot be opened"),
            };
            waiting.because(&reason);
        }
    }

    async fn try_open(&self, cluster: &ClusterId) -> Result<SqlStore, OpenError> {
        if self.migrate == Migrate::Auto {
            self.database.migrate().await?;
        }
        self.database.open(cluster.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(text: &str) -> Result<Store, String> {
        let config: StoreConfig = toml::from_str(text).unwrap();
        Store::new(&config, Path::new("/data")).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn without_an_address_it_is_a_file_that_the_server_brings_up_to_date() {
        let embedded = store("").unwrap();
        assert_eq!(embedded.database().to_string(), "/data/roamline.db");
        assert!(embedded.is_embedded() && !embedded.waits());
        assert!(store("migrate = 'manual'").unwrap().waits());
    }

    #[test]
    fn with_an_address_it_is_that_database_and_somebody_brings_it_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "postgresql://roamline:s3cret@db.example.org/phones\n").unwrap();
        for text in [
            "url = 'postgres://roamline:s3cret@db.example.org/phones'".to_owned(),
            format!("url_file = '{}'", file.display()),
        ] {
            let found = store(&text).unwrap();
            assert_eq!(found.database().to_string(), "phones at db.example.org:5432");
            assert!(!found.is_embedded() && found.waits());
            assert!(!format!("{found:?}").contains("s3cret"));
            assert!(!store(&format!("{text}\nmigrate = 'auto'")).unwrap().waits());
        }
    }

    #[test]
    fn what_is_no_address_is_named_without_its_password() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let wrong = [
            ("url = 'mysql://roamline:s3cret@db/phones'".to_owned(), "store.url"),
            ("url = 'postgres://roamline:s3cret@db:port/phones'".to_owned(), "store.url"),
            ("url = 'postgres://roamline:s3cret@db/phones'\nurl_file = '/x'".to_owned(), "both set"),
            ("url_file = '/nonexistent/url'".to_owned(), "/nonexistent/url cannot be read"),
            (format!("url_file = '{}'", empty.display()), "is empty"),
        ];
        for (text, says) in wrong {
            let refused = store(&text).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("s3cret"), "{refused}");
        }
    }
}
