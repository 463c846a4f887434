//! Every metric there is, once: its name, its labels with their closed values, what it says, and which processes have it.
//! `docs/reference/metrics.md` is written from it. No label holds the name of a user or of a phone.

use roamline_proto::contract::RPCS;
use roamline_proto::error::ErrorReason;
use roamline_proto::session::LogoutReason;

use crate::call_metrics::{CODES, STANDARD};
use crate::metrics::{Counter, Gauge, Histogram, Label, Level};

pub use self::Values::{Clusters, Codes, Logouts, Methods, OneOf, Reasons, Words};

/// A metric as it is listed.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its dotted name.
    pub name: &'static str,
    /// How it is recorded.
    pub kind: Kind,
    /// Its unit by UCUM; empty for a number of things.
    pub unit: &'static str,
    /// Which processes have it.
    pub of: &'static str,
    /// Its labels. Where one says nothing, it is left out.
    pub labels: &'static [LabelOf],
    /// What it says.
    pub says: &'static str,
}

/// How a metric is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How values are spread.
    Histogram,
}

/// A label, and what it may say.
pub type LabelOf = (&'static str, Values);

/// What a label may say.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A reason of the contract (`docs/reference/errors.md`), `OK`, or nothing.
    Reasons,
    /// Why a session ended, of the contract.
    Logouts,
    /// An RPC of the contract or of gRPC itself; `_OTHER` for any other path.
    Methods,
    /// A status of gRPC.
    Codes,
    /// The id of a cluster that an administrator has made known.
    Clusters,
    /// What the process itself is: a version, the name of a migration, a number that is configured.
    Words,
}

const EVERY: &str = "all";
const AUTH: &str = "auth";
const SESSION: &str = "session";
const EMCC: &str = "emcc";

/// Operations of stores: whose store, and what is asked of it.
const OPERATIONS: &[&str] = &[
    "audit.append",
    "audit.live",
    "audit.live_among",
    "audit.place",
    "audit.prune",
    "audit.recorded",
    "audit.records",
    "credential.delete_principals",
    "credential.principal",
    "credential.set_principals",
    "directory.commit",
    "directory.find",
    "directory.first_users",
    "directory.list",
    "directory.owners",
    "directory.revision",
    "directory.used_by",
    "import.commit_import",
    "import.discard_import",
    "import.discard_imports_before",
    "import.find_import",
    "import.find_staged",
    "import.open_import",
    "import.stage",
    "import.staged",
    "session.begin",
    "session.commit",
    "session.count",
    "session.due",
    "session.events",
    "session.is_begun",
    "session.list",
    "session.load",
    "session.next_deadline",
    "session.phone",
    "session.place",
    "session.reply",
    "session.session",
    "session.snapshot",
    "session.tell",
    "session.trim",
    "token.begin_sign_in",
    "token.keys",
    "token.refresh_sign_in",
    "token.revocations",
    "token.revoke",
    "token.sign_in",
    "token.swap_keys",
    "token.trim_tokens",
];

/// Duration of an RPC that was answered.
pub static SERVER_CALLS: Histogram = Histogram::new(
    "rpc.server.call.duration",
    EVERY,
    &[
        ("rpc.system.name", OneOf(&["grpc"])),
        ("rpc.method", Methods),
        ("rpc.response.status_code", Codes),
        ("error.type", Codes),
    ],
    "Duration of an RPC that was answered, until its last byte; `error.type` where the server failed",
);
/// Duration of an RPC that was made.
pub static CLIENT_CALLS: Histogram = Histogram::new(
    "rpc.client.call.duration",
    EVERY,
    &[
        ("rpc.system.name", OneOf(&["grpc"])),
        ("rpc.method", Methods),
        ("rpc.response.status_code", Codes),
        ("error.type", Codes),
        ("peer", Clusters),
    ],
    "Duration of an RPC to another service, until its last byte; `peer` where that is another cluster, `error.type` where it failed",
);
/// Duration of an operation of a store.
pub static STORE_CALLS: Histogram = Histogram::new(
    "db.client.operation.duration",
    EVERY,
    &[
        ("db.system.name", OneOf(&["postgresql", "redis", "sqlite"])),
        ("db.operation.name", OneOf(OPERATIONS)),
        ("error.type", OneOf(&["corrupt", "in_doubt", "lost", "unavailable"])),
    ],
    "Duration of an operation of a store; `error.type` where it failed",
);
/// Whether the process is ready.
pub static READY: Level =
    Level::new("roamline.ready", "", EVERY, &[], "1 while the process is ready to serve, else 0");
/// Which build runs.
pub static BUILD: Level = Level::new(
    "roamline.build",
    "",
    EVERY,
    &[("version", Words)],
    "1, with the version of the build that runs",
);
/// The database, and its tables.
pub static SCHEMA: Level = Level::new(
    "roamline.schema",
    "",
    EVERY,
    &[("db.system.name", OneOf(&["postgresql", "sqlite"])), ("version", Words)],
    "1, with the kind of database that is used and the last migration of its tables",
);
/// The Redis that is used.
pub static REDIS: Level = Level::new(
    "roamline.redis",
    "",
    SESSION,
    &[("mode", OneOf(&["cluster", "sentinel", "standalone"])), ("replicas", Words)],
    "1, with how the Redis that is used is set up, and how many replicas have a change at least once it is acknowledged",
);
/// Its replicas.
pub static REDIS_REPLICAS: Level = Level::new(
    "roamline.redis.replicas",
    "",
    SESSION,
    &[("state", OneOf(&["connected", "needed"]))],
    "Replicas that are connected to the Redis that is used, and how many must have a change now before it is acknowledged; \
     as it was up to five seconds ago, and nothing while it does not answer",
);
/// Connections that are open.
pub static CONNECTIONS_OPEN: Gauge =
    Gauge::new("roamline.connections.open", EVERY, &[], "Connections to the API that are open");
/// Connections closed by a limit.
pub static CONNECTIONS_CLOSED: Counter = Counter::new(
    "roamline.connections.closed",
    EVERY,
    &[("reason", OneOf(&["crowded", "full", "idle", "old", "slow"]))],
    "Connections to the API that were closed by a limit",
);
/// Connections that could not be accepted.
pub static ACCEPT_FAILURES: Counter = Counter::new(
    "roamline.connections.accept_failures",
    EVERY,
    &[],
    "Times that no connection could be accepted",
);
/// TLS handshakes.
pub static HANDSHAKES: Counter = Counter::new(
    "roamline.tls.handshakes",
    EVERY,
    &[("result", OneOf(&["crowded", "failed", "late", "ok"]))],
    "TLS handshakes, by result",
);
/// Changes of the files of TLS.
pub static TLS_RELOADS: Counter = Counter::new(
    "roamline.tls.reloads",
    EVERY,
    &[("result", OneOf(&["failed", "ok"]))],
    "Times that the files of certificates had changed, by result",
);
/// When the certificate ends.
pub static CERTIFICATE_NOT_AFTER: Level = Level::new(
    "roamline.tls.certificate.not_after",
    "s",
    EVERY,
    &[],
    "When the certificate ends, since 1970",
);
/// Streams of health and reflection that are open.
pub static PUBLIC_STREAMS_OPEN: Gauge =
    Gauge::new("roamline.public_streams.open", EVERY, &[], "Streams of health and reflection that are open");
/// Streams of health and reflection that were ended.
pub static PUBLIC_STREAMS_ENDED: Counter = Counter::new(
    "roamline.public_streams.ended",
    EVERY,
    &[("reason", OneOf(&["connection", "crowded"]))],
    "Streams of health and reflection that were ended by a limit",
);
/// Tokens that were looked at.
pub static TOKENS: Counter = Counter::new(
    "roamline.token.verified",
    EVERY,
    &[("cache", OneOf(&["hit", "miss"]))],
    "Tokens that were looked at: remembered (`hit`), or by their signature (`miss`)",
);
/// Telemetry that was sent, or was not.
pub static TELEMETRY: Counter = Counter::new(
    "roamline.telemetry.records",
    EVERY,
    &[("signal", OneOf(&["logs", "traces"])), ("result", OneOf(&["dropped", "failed", "sent"]))],
    "Spans, and lines of the log, for the collector: sent, not taken by it (`failed`), or without room to wait (`dropped`)",
);
/// Credentials and opaque tokens refused unseen.
pub static THROTTLED: Counter = Counter::new(
    "roamline.auth.throttled",
    AUTH,
    &[("by", OneOf(&["phone", "source", "token", "user"]))],
    "Credentials that were refused unseen because of failures before, by what was counted; `token`: opaque tokens",
);
/// When the next key signs.
pub static SIGNING_KEY_DUE: Level = Level::new(
    "roamline.auth.signing_key.due",
    "s",
    AUTH,
    &[],
    "When the next key is to sign tokens, since 1970; 0 where keys are in files, which are changed by hand",
);
/// Work that waits for a hashing thread.
pub static HASHING_WAITING: Gauge = Gauge::new(
    "roamline.auth.hashing.waiting",
    AUTH,
    &[],
    "Secrets that wait for a thread to be hashed or compared",
);
/// How long work has waited for a hashing thread.
pub static HASHING_WAIT: Histogram = Histogram::new(
    "roamline.auth.hashing.wait",
    AUTH,
    &[],
    "How long a secret has waited until it was its turn",
);
/// Work for which there was no room.
pub static HASHING_SHED: Counter = Counter::new(
    "roamline.auth.hashing.shed",
    AUTH,
    &[],
    "Requests that were sent away since too many secrets waited",
);
/// Logins.
pub static LOGINS: Counter = Counter::new(
    "roamline.session.logins",
    SESSION,
    &[("result", OneOf(&["ok", "refused"])), ("reason", Reasons)],
    "Logins by result and reason of refusal",
);
/// Phases of a login.
pub static LOGIN_PHASES: Histogram = Histogram::new(
    "roamline.session.login.phase",
    SESSION,
    &[("phase", OneOf(&["prepare", "roam", "authenticate", "load", "commit", "acknowledge"]))],
    "Duration of the phases of a login: what the phone shall wear (`prepare`), a look in other clusters (`roam`), the \
     credential (`authenticate`), the store (`load`, `commit`), and from the login until the phone has said that it wears \
     it (`acknowledge`)",
);
/// Logouts.
pub static LOGOUTS: Counter =
    Counter::new("roamline.session.logouts", SESSION, &[("reason", Logouts)], "Logouts by reason");
/// Lateness of automatic logouts.
pub static LATENESS: Histogram = Histogram::new(
    "roamline.session.deadline_lateness",
    SESSION,
    &[],
    "How long after its instant an automatic logout was made",
);
/// Live sessions.
pub static LIVE: Level = Level::new(
    "roamline.session.live",
    "",
    SESSION,
    &[],
    "Live sessions of the cluster; each replica says the same, so take the maximum and not the sum",
);
/// Open watches.
pub static WATCHERS: Gauge = Gauge::new(
    "roamline.session.watchers",
    SESSION,
    &[("kind", OneOf(&["phone", "phones", "sessions"]))],
    "Open watches by kind",
);
/// Phones that are served.
pub static PHONES_WATCHED: Gauge =
    Gauge::new("roamline.session.phones_watched", SESSION, &[], "Phones that are served by open links");
/// Streams whose readers took nothing.
pub static SLOW_READERS: Counter = Counter::new(
    "roamline.session.slow_readers",
    SESSION,
    &[],
    "Streams that were ended since their readers took nothing",
);
/// Events that the audit trail misses.
pub static AUDIT_BEHIND: Gauge = Gauge::new(
    "roamline.session.audit_behind",
    SESSION,
    &[],
    "Events that the audit trail does not have yet",
);
/// Audit records deleted.
pub static AUDIT_PRUNED: Counter = Counter::new(
    "roamline.session.audit_pruned",
    SESSION,
    &[],
    "Audit records deleted by this process for their age",
);
/// Session stores that were rebuilt.
pub static STORE_REBUILT: Counter = Counter::new(
    "roamline.session.store_rebuilt",
    SESSION,
    &[],
    "Times that this process began a lost session store",
);
/// What became of the sessions of a lost store.
pub static REBUILT: Counter = Counter::new(
    "roamline.session.rebuilt",
    SESSION,
    &[("result", OneOf(&["ended", "live"]))],
    "Sessions of lost session stores, by what became of them",
);
/// How old the service parameters are.
pub static PARAMETERS_AGE: Level = Level::new(
    "roamline.session.parameters.age",
    "s",
    SESSION,
    &[],
    "How long ago the service parameters were read that hold now",
);
/// Whether another cluster answers.
pub static PEER_UP: Level = Level::new(
    "roamline.emcc.peer.up",
    "",
    EMCC,
    &[("cluster", Clusters)],
    "1 where the other cluster answers, else 0",
);
/// How fast another cluster answers.
pub static PEER_ROUND_TRIP: Histogram = Histogram::new(
    "roamline.emcc.peer.round_trip",
    EMCC,
    &[("cluster", Clusters)],
    "How long another cluster took to say who it is",
);
/// When authorities end.
pub static TRUST_NOT_AFTER: Level = Level::new(
    "roamline.emcc.trust.not_after",
    "s",
    EMCC,
    &[("cluster", Clusters)],
    "When the last authority of a cluster expires, since 1970; of this one, the certificate at its address",
);
/// Invitations that were used.
pub static INVITATIONS: Counter = Counter::new(
    "roamline.emcc.invitations",
    EMCC,
    &[("result", Reasons)],
    "Times that a cluster came with an invitation, by what became of it",
);
/// How old the settings of the federation are.
pub static SETTINGS_AGE: Level = Level::new(
    "roamline.emcc.settings.age",
    "s",
    EMCC,
    &[],
    "How long ago the settings of the federation were read that hold now",
);

/// All of them, as they stand in the reference.
pub static ALL: &[&Entry] = &[
    SERVER_CALLS.entry(),
    CLIENT_CALLS.entry(),
    STORE_CALLS.entry(),
    READY.entry(),
    BUILD.entry(),
    SCHEMA.entry(),
    REDIS.entry(),
    REDIS_REPLICAS.entry(),
    CONNECTIONS_OPEN.entry(),
    CONNECTIONS_CLOSED.entry(),
    ACCEPT_FAILURES.entry(),
    HANDSHAKES.entry(),
    TLS_RELOADS.entry(),
    CERTIFICATE_NOT_AFTER.entry(),
    PUBLIC_STREAMS_OPEN.entry(),
    PUBLIC_STREAMS_ENDED.entry(),
    TOKENS.entry(),
    TELEMETRY.entry(),
    THROTTLED.entry(),
    SIGNING_KEY_DUE.entry(),
    HASHING_WAITING.entry(),
    HASHING_WAIT.entry(),
    HASHING_SHED.entry(),
    LOGINS.entry(),
    LOGIN_PHASES.entry(),
    LOGOUTS.entry(),
    LATENESS.entry(),
    LIVE.entry(),
    WATCHERS.entry(),
    PHONES_WATCHED.entry(),
    SLOW_READERS.entry(),
    AUDIT_BEHIND.entry(),
    AUDIT_PRUNED.entry(),
    STORE_REBUILT.entry(),
    REBUILT.entry(),
    PARAMETERS_AGE.entry(),
    PEER_UP.entry(),
    PEER_ROUND_TRIP.entry(),
    TRUST_NOT_AFTER.entry(),
    INVITATIONS.entry(),
    SETTINGS_AGE.entry(),
];

impl Entry {
    /// Its name in the text of the admin port, without the endings of a histogram's series.
    pub fn exposed(&self) -> String {
        let unit = if self.unit == "s" { "_seconds" } else { "" };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }

    /// Whether it can be recorded with these labels.
    pub fn takes(&self, labels: &[Label<'_>]) -> bool {
        labels.iter().all(|(name, value)| {
            self.labels.iter().any(|(known, values)| known == name && values.have(value))
        })
    }
}

impl Values {
    /// Whether it is one of them.
    pub fn have(self, value: &str) -> bool {
        match self {
            OneOf(values) => values.contains(&value),
            Reasons => {
                value.is_empty()
                    || value == "OK"
                    || ErrorReason::from_str_name(&format!("ERROR_REASON_{value}")).is_some()
            }
            Logouts => LogoutReason::from_str_name(&format!("LOGOUT_REASON_{value}")).is_some(),
            Methods => {
                value == "_OTHER"
                    || STANDARD.contains(&value)
                    || RPCS.contains_key(format!("/{value}").as_str())
            }
            Codes => CODES.contains(&value),
            Clusters | Words => !value.is_empty(),
        }
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
