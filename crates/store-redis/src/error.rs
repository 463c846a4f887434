//! What Redis says, as what a store says: by the codes of its errors.

use std::sync::Arc;

use redis::{RedisError, ServerError, Value};
use roamline_store::StoreError;

/// Any error, boxed as [`StoreError`] keeps it.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a Redis cannot be used. No password stands in any of it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options are no options.
    #[error("{0}")]
    Options(String),
    /// A file of TLS cannot be read.
    #[error("cannot read {file}")]
    File {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No server answers there.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// Its address.
        server: String,
        /// What it said, or the system.
        #[source]
        source: RedisError,
    },
    /// The sentinels know no such master, or the nodes nobody who has the slot.
    #[error("{0}")]
    NoMaster(String),
    /// The user or the password is wrong.
    #[error("{server} refuses the user or the password")]
    Refused {
        /// Its address.
        server: String,
        /// What it said.
        #[source]
        source: RedisError,
    },
    /// The server is too old.
    #[error("{server} is Redis {version}; 6.2 or newer is needed")]
    TooOld {
        /// Its address.
        server: String,
        /// Its version.
        version: String,
    },
    /// The server is of another kind than the options say.
    #[error("{server} is {found}, and the options say {expected}")]
    WrongKind {
        /// Its address.
        server: String,
        /// What it is.
        found: String,
        /// What the options say.
        expected: &'static str,
    },
    /// The server is a replica.
    #[error("{server} is read-only: it is a replica; name its master, or the sentinels")]
    ReadOnly {
        /// Its address.
        server: String,
    },
    /// The server would throw sessions away when it is full.
    #[error(
        "{server} drops keys when it is full (maxmemory-policy {policy}): set maxmemory-policy noeviction"
    )]
    Evicts {
        /// Its address.
        server: String,
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// The user may not do what is needed.
    #[error("{server} does not permit the user {}: add them to his ACL", .commands.join(", "))]
    NotPermitted {
        /// Its address.
        server: String,
        /// The commands that he lacks, or `keys`.
        commands: Vec<String>,
    },
    /// A key of this cluster holds something else.
    #[error("the key {key} is {found} and not ours: give the cluster another id, or Redis another database")]
    Foreign {
        /// The key.
        key: String,
        /// What it is.
        found: String,
    },
    /// What is kept was written by another version.
    #[error(
        "what is kept has the layout {found}, and this release knows 2: empty the Redis or use the other release"
    )]
    Format {
        /// Its format.
        found: String,
    },
}

impl OpenError {
    /// What a failed command means before a server is used.
    pub(crate) fn of(server: &str, source: RedisError) -> Self {
        let server = server.to_owned();
        let refused = source.kind() == redis::ErrorKind::AuthenticationFailed
            || matches!(source.code(), Some("NOAUTH" | "WRONGPASS"));
        if refused {
            OpenError::Refused { server, source }
        } else if source.code() == Some("NOPERM") {
            let said = source.detail().unwrap_or_default();
            let command = said.split('\'').nth(1).unwrap_or("all keys of the cluster").to_owned();
            OpenError::NotPermitted { server, commands: vec![command] }
        } else {
            OpenError::Unreachable { server, source }
        }
    }
}

/// There is no connection to a master.
#[derive(Debug, thiserror::Error)]
#[error("no server can be used")]
pub(crate) struct NoLink(#[source] pub(crate) Arc<OpenError>);

pub(crate) fn unavailable(cause: impl Into<Cause>) -> StoreError {
    StoreError::Unavailable(cause.into())
}

/// The store's word for a record that cannot be read.
pub(crate) fn corrupt(what: impl Into<String>) -> impl FnOnce(Cause) -> StoreError {
    let what = what.into();
    move |source| StoreError::Corrupt { what, source }
}

/// An answer that no script of ours gives.
pub(crate) fn strange(what: &str) -> StoreError {
    corrupt(what)("the script's answer has another form".into())
}

/// The store's word for what the server refuses before it does anything. A key of another type than ours is corrupt.
pub(crate) fn refused(error: ServerError) -> StoreError {
    match error.code() {
        "WRONGTYPE" => corrupt("a key of the cluster")(error.into()),
        _ => unavailable(error),
    }
}

/// Whether the server says of itself that it is the wrong one now, or does not say what is wrong.
pub(crate) fn is_wrong_server(code: &str) -> bool {
    matches!(
        code,
        "READONLY"
            | "MOVED"
            | "ASK"
            | "CLUSTERDOWN"
            | "MASTERDOWN"
            | "LOADING"
            | "UNBLOCKED"
            | "ERR"
            | "NOAUTH"
    )
}

/// A server error that stands in a value.
pub(crate) fn outcome(value: Value) -> Result<Value, ServerError> {
    match value {
        Value::ServerError(error) => Err(error),
        value => Ok(value),
    }
}
