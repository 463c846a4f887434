//! Where Redis is, and what is demanded of it.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Where the servers are. A URL is `redis://HOST:PORT/DATABASE`, with `rediss:` for TLS, or `unix:PATH`; a user and a
/// password in it count where the options have none.
#[derive(Clone, Debug)]
pub enum RedisServers {
    /// One server.
    Standalone {
        /// Its URL.
        url: String,
    },
    /// The master that sentinels watch.
    Sentinel {
        /// URLs of the sentinels. The master is reached with TLS where they are, in the database that they name.
        urls: Vec<String>,
        /// The name by which they know it.
        master: String,
        /// The user at the sentinels.
        username: Option<String>,
        /// His password.
        password: Option<SecretString>,
    },
    /// The node of a Redis Cluster that has the slot of the cluster.
    Cluster {
        /// URLs of some nodes.
        urls: Vec<String>,
    },
}

/// What TLS needs beside the URLs, as PEM files; they are read anew at each connection.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// Authorities that the servers' certificates are checked against; those of the system where it is absent.
    pub authority: Option<PathBuf>,
    /// The certificate shown to the servers, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// When a change is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durability {
    /// How many replicas must have it at least; all that may take over must have it beside. With 0 none must, and it may
    /// be lost with the master.
    pub replicas: u32,
    /// How long they have for it; [`InDoubt`](roamline_store::StoreError::InDoubt) afterwards.
    pub timeout: Duration,
}

impl Durability {
    /// Whether any replica must have it.
    pub(crate) fn is_asked(self) -> bool {
        self.replicas > 0
    }
}

impl Default for Durability {
    fn default() -> Self {
        Self { replicas: 0, timeout: Duration::from_secs(1) }
    }
}

/// How a Redis is used.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is.
    pub servers: RedisServers,
    /// The ACL user; the default one where it is absent.
    pub username: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// For `rediss:`.
    pub tls: Option<RedisTls>,
    /// When a change is acknowledged.
    pub durability: Durability,
    /// How long a command may take, a connection, and what waits for one. At least 10 ms.
    pub command_timeout: Duration,
}

impl RedisOptions {
    /// One server, with nothing demanded.
    pub fn standalone(url: impl Into<String>) -> Self {
        Self::of(RedisServers::Standalone { url: url.into() })
    }

    /// These servers, with nothing demanded.
    pub fn of(servers: RedisServers) -> Self {
        Self {
            servers,
            username: None,
            password: None,
            tls: None,
            durability: Durability::default(),
            command_timeout: Duration::from_secs(2),
        }
    }
}
