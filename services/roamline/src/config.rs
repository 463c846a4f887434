//! The configuration of the process: a section for each part, each part's own struct.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use roamline_auth::AuthConfig;
use roamline_emcc::EmccConfig;
use roamline_serve::config::ConfigError;
use roamline_serve::telemetry::Format;
use roamline_serve::{ServeConfig, TelemetryConfig};
use roamline_session::SessionConfig;
use roamline_token::SsoConfig;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::services::ServicesConfig;

/// An administrator's password that could be guessed is none.
const LEAST_OF_A_PASSWORD: usize = 12;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub server: ServeConfig,
    pub store: StoreConfig,
    pub redis: RedisConfig,
    pub auth: AuthConfig,
    pub sso: SsoConfig,
    pub session: SessionConfig,
    pub emcc: EmccConfig,
    pub services: ServicesConfig,
    pub administrator: AdministratorConfig,
    pub log: LogConfig,
    pub telemetry: TelemetryConfig,
}

/// Where everything is kept: in PostgreSQL where there is a `url`, else in a SQLite file in the data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreConfig {
    /// Address of a PostgreSQL database: `postgres://user:password@host:5432/name?sslmode=verify-full&sslrootcert=FILE`.
    /// Several processes with one cluster id on one database are replicas of each other.
    #[schemars(with = "String")]
    pub url: Secret,
    /// A file with the address, in place of `url`.
    pub url_file: PathBuf,
    /// Connections of this process to PostgreSQL at most; at least 6 are made.
    pub max_connections: u32,
    /// Who brings the tables up to date: `auto`, the server when it starts; `manual`, `roamline migrate`, and the
    /// server is not ready until that is done. `auto` for SQLite and `manual` for PostgreSQL if it is not set.
    pub migrate: Option<Migrate>,
    /// What an acknowledged change has survived in SQLite: `full`, the loss of the machine; `normal`, the end of the
    /// process (a loss of power may take the last moments).
    pub durability: Durability,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            url_file: PathBuf::new(),
            max_connections: 10,
            migrate: None,
            durability: Durability::default(),
        }
    }
}

/// Where live sessions, their deadlines and events are kept, if it is Redis: one server, one behind Sentinel, or a
/// Cluster. They are in the store with everything else where none of `url`, `url_file`, `sentinel` and `cluster` is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RedisConfig {
    /// Address of one server: `redis://host:6379`, or `rediss://host:6379` with TLS.
    #[schemars(with = "String")]
    pub url: Secret,
    /// A file with the address, in place of `url`.
    pub url_file: PathBuf,
    /// The sentinels that know the server, in place of its address.
    pub sentinel: SentinelConfig,
    /// Addresses of some servers of a Redis Cluster, in place of that of one server.
    pub cluster: Vec<String>,
    /// User of the access list; none is Redis's `default`.
    pub username: String,
    /// His password.
    #[schemars(with = "String")]
    pub password: Secret,
    /// A file with the password, in place of `password`.
    pub password_file: PathBuf,
    /// Whom to believe, and who we are, with `rediss://`.
    pub tls: RedisTlsConfig,
    /// What an acknowledged change has survived.
    pub durability: RedisDurabilityConfig,
    /// How long a command may take, and a connection to be made.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub command_timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            url_file: PathBuf::new(),
            sentinel: SentinelConfig::default(),
            cluster: Vec::new(),
            username: String::new(),
            password: Secret::default(),
            password_file: PathBuf::new(),
            tls: RedisTlsConfig::default(),
            durability: RedisDurabilityConfig::default(),
            command_timeout: Duration::from_secs(2),
        }
    }
}

/// The sentinels that watch over a Redis server and its replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SentinelConfig {
    /// Their addresses: `redis://host:26379`.
    pub urls: Vec<String>,
    /// By which name they know the server.
    pub master: String,
    /// User of the sentinels' own access list, if they have one.
    pub username: String,
    /// His password.
    #[schemars(with = "String")]
    pub password: Secret,
    /// A file with the password, in place of `password`.
    pub password_file: PathBuf,
}

/// TLS to Redis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RedisTlsConfig {
    /// Certificates of the authorities to believe (PEM); none is the public ones.
    pub ca_file: PathBuf,
    /// Our certificate (PEM), where the server asks for one.
    pub certificate_file: PathBuf,
    /// Its key (PEM).
    pub key_file: PathBuf,
}

/// What an acknowledged change has survived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RedisDurabilityConfig {
    /// How many replicas must have a change at least before it is acknowledged, beside all that may take over; 0 is none.
    pub replicas: u32,
    /// How long they may take; a change that takes longer is answered as unknown, and may hold.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

impl Default for RedisDurabilityConfig {
    fn default() -> Self {
        Self { replicas: 0, timeout: Duration::from_secs(1) }
    }
}

/// The first administrator, `admin`: who he is before anybody can sign in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdministratorConfig {
    /// A file with the password that he is made with. It is not looked at once he is there. Without it one is made up, and
    /// written to `admin.toml` in the data directory.
    pub password_file: PathBuf,
}

impl AdministratorConfig {
    /// The password, if it is given.
    ///
    /// # Errors
    /// When the file cannot be read, or holds fewer than 12 characters.
    pub(crate) fn password(&self) -> anyhow::Result<Option<SecretString>> {
        let password = Secret::default().or_in("administrator.password", &self.password_file)?;
        let length = password.as_ref().map(|password| password.expose_secret().chars().count());
        if length.is_some_and(|length| length < LEAST_OF_A_PASSWORD) {
            bail!(
                "administrator.password_file: {} holds fewer than {LEAST_OF_A_PASSWORD} characters",
                self.password_file.display()
            );
        }
        Ok(password)
    }
}

/// Who brings the tables up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Migrate {
    /// The server, when it starts.
    Auto,
    /// Somebody, with `roamline migrate`.
    Manual,
}

/// How far a change has gone when it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// To the disk.
    #[default]
    Full,
    /// To the operating system.
    Normal,
}

/// A text that is neither printed nor written out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(SecretString);

impl Secret {
    /// The text, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The text, or what is in the file that is named in its place, if it is either. `key` is what it is called in the
    /// configuration; the file's has `_file` at its end.
    ///
    /// # Errors
    /// When it is both, or the file cannot be read or is empty.
    pub(crate) fn or_in(&self, key: &str, file: &Path) -> anyhow::Result<Option<SecretString>> {
        match (self.expose(), file.as_os_str().is_empty()) {
            ("", true) => Ok(None),
            (text, true) => Ok(Some(SecretString::from(text))),
            ("", false) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("{key}_file: {} cannot be read", file.display()))?;
                match text.trim() {
                    "" => bail!("{key}_file: {} is empty", file.display()),
                    text => Ok(Some(SecretString::from(text))),
                }
            }
            (_, false) => bail!("{key} and {key}_file are both set"),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

/// Logs, on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `pretty` for people, `json` for machines.
    pub format: Format,
    /// Which events: a level, or a list such as `info,roamline_session=debug`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: Format::default(), filter: "warn,roamline=info".into() }
    }
}

/// The configuration from a file and the environment.
///
/// # Errors
/// When the file cannot be read, or a key or value is wrong.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    roamline_serve::config::load(file, "ROAMLINE_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_neither_printed_nor_written_out() {
        let url = "postgres://roamline:s3cret@db/roamline";
        let store: StoreConfig = toml::from_str(&format!("url = '{url}'\nmigrate = 'auto'")).unwrap();
        assert_eq!(store.url.expose(), url);
        assert_eq!(store.migrate, Some(Migrate::Auto));
        let written = toml::to_string(&store).unwrap();
        assert!(!format!("{store:?} {written}").contains("s3cret"), "{store:?} {written}");
    }

    #[test]
    fn an_administrators_password_is_read_and_must_not_be_short() {
        let folder = tempfile::tempdir().unwrap();
        let config = AdministratorConfig { password_file: folder.path().join("password") };
        assert!(AdministratorConfig::default().password().unwrap().is_none());
        let refused = config.password().unwrap_err().to_string();
        assert!(
            refused.contains("administrator.password_file") && refused.contains("cannot be read"),
            "{refused}"
        );
        std::fs::write(&config.password_file, "s3cret\n").unwrap();
        let refused = config.password().unwrap_err().to_string();
        assert!(refused.contains("fewer than 12") && !refused.contains("s3cret"), "{refused}");
        std::fs::write(&config.password_file, "twelve chars\n").unwrap();
        assert_eq!(config.password().unwrap().unwrap().expose_secret(), "twelve chars");
    }

    /// The reference of the configuration, from which the chart's is made. `cargo xtask gen` sets the variable, and has it
    /// written instead.
    #[test]
    fn the_schema_is_the_one_that_is_kept() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.schema.json");
        let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
        if std::env::var_os("ROAMLINE_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, format!("{schema:#}\n")).unwrap();
        }
        let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(kept == schema, "{} is out of date: run `cargo xtask gen`", path.display());
    }
}
