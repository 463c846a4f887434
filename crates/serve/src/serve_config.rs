//! The `[server]` section: how the ports serve, and how much of everything they bear.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::allow::{AllowError, AllowLayer};

/// How a process serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Web origins that may call with gRPC-web: `https://console.example.org`, or `*` alone for all.
    pub cors_origins: Vec<String>,
    /// How long the process still serves after it has said that it will not.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drain_for: Duration,
    /// How long calls, streams and tasks get to finish.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub grace_for: Duration,
    /// How often a connection is asked whether it is alive; 0 is never.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keepalive_every: Duration,
    /// How long it may take to answer that; then it is closed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keepalive_timeout: Duration,
    /// How old a connection gets before its client is asked to open another; 0 is without limit.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub max_connection_age: Duration,
    /// How long calls on a connection of that age may still take before it is closed; 0 is without limit.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub max_connection_age_grace: Duration,
    /// How long a connection may be without a call before it is closed; 0 is without limit.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub max_connection_idle: Duration,
    /// Connections at once. Beyond, one without a call gives way to a new one: of those that never had one, or else of
    /// all, the one that has been so for longest. One with calls without a token counts as idle since the last of them
    /// began. Where all have others, the new one is closed.
    pub max_connections: NonZeroU32,
    /// Calls at once on one connection; the client holds further ones back.
    pub max_concurrent_streams: NonZeroU32,
    /// Calls at once over all connections, streams among them; further ones are refused, to be tried again. Each takes some
    /// 17 kB.
    pub max_open_calls: NonZeroU32,
    /// Streams of health and reflection at once; beyond, the oldest is ended for a new one. They need no token, and keep no
    /// connection from giving way.
    pub max_public_streams: NonZeroU32,
    /// Such streams at once on one connection; further ones are refused.
    pub max_public_streams_on_one: NonZeroU32,
    /// Calls on one connection that its client has taken back before they were looked at; beyond, it is closed.
    pub max_pending_accept_reset_streams: NonZeroU32,
    /// Calls on one connection that were ended because its client broke the protocol; beyond, it is closed.
    pub max_local_error_reset_streams: NonZeroU32,
    /// All headers of a call together, in bytes.
    pub max_header_bytes: NonZeroU32,
    /// TLS on the port of the API.
    pub tls: TlsConfig,
}

impl ServeConfig {
    /// What can be told without looking at files.
    ///
    /// # Errors
    /// When the allow list cannot be kept.
    pub fn check(&self) -> Result<(), AllowError> {
        AllowLayer::new(&self.tls).map(drop)
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            drain_for: Duration::ZERO,
            grace_for: Duration::from_secs(10),
            keepalive_every: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: Duration::ZERO,
            max_connection_age_grace: Duration::from_mins(5),
            max_connection_idle: Duration::from_mins(15),
            max_connections: at_least_one(10_000),
            max_concurrent_streams: at_least_one(200),
            max_open_calls: at_least_one(20_000),
            max_public_streams: at_least_one(1000),
            max_public_streams_on_one: at_least_one(10),
            max_pending_accept_reset_streams: at_least_one(20),
            max_local_error_reset_streams: at_least_one(1024),
            max_header_bytes: at_least_one(16 * 1024),
            tls: TlsConfig::default(),
        }
    }
}

/// TLS 1.2 and 1.3, where there is a certificate; plain text, where there is none. The files are read again when they
/// change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate and those between it and its authority (PEM).
    pub certificate_file: PathBuf,
    /// The key of the certificate (PEM).
    pub key_file: PathBuf,
    /// Certificates of the authorities whose clients are believed (PEM); none is to ask clients for no certificate.
    pub client_ca_file: PathBuf,
    /// Whether a client must have a certificate, if it is asked for one.
    pub client_certificate: ClientCertificate,
    /// How long a handshake may take.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub handshake_timeout: Duration,
    /// Handshakes at once; beyond, the one that has taken longest is given up for a new one.
    pub max_handshakes: NonZeroU32,
    /// Services that only clients with certain certificates may call, whatever token they bring: the full name of a
    /// service, `roamline.session.v1.PhoneLinkService`, and the SPIFFE ids that may call it. It needs
    /// `client_ca_file`. A service that is not named is open to all.
    pub allow: BTreeMap<String, BTreeSet<String>>,
}

impl TlsConfig {
    /// Whether anything of it was asked for. What is missing then is an error when the process begins to serve.
    pub fn is_on(&self) -> bool {
        [&self.certificate_file, &self.key_file, &self.client_ca_file]
            .iter()
            .any(|file| !file.as_os_str().is_empty())
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
            client_ca_file: PathBuf::new(),
            client_certificate: ClientCertificate::default(),
            handshake_timeout: Duration::from_secs(5),
            max_handshakes: at_least_one(512),
            allow: BTreeMap::new(),
        }
    }
}

/// Whether a client must have a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// One without is refused.
    #[default]
    Required,
    /// One without is nobody; one with a bad certificate is refused.
    Optional,
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
