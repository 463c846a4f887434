//! The configuration of the process: a section for each part, each part's own struct.

use std::path::Path;

use roamline_auth::AuthConfig;
use roamline_serve::ServeConfig;
use roamline_serve::config::ConfigError;
use roamline_serve::telemetry::Format;
use roamline_session::SessionConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub server: ServeConfig,
    pub store: StoreConfig,
    pub auth: AuthConfig,
    pub session: SessionConfig,
    pub log: LogConfig,
}

/// The embedded store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreConfig {
    /// What an acknowledged change has survived: `full`, the loss of the machine; `normal`, the end of the process
    /// (a loss of power may take the last moments).
    pub durability: Durability,
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
