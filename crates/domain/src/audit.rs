//! Records of the audit trail, and the chain of hashes that binds them (EV-1).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// A login.
    Login,
    /// A logout.
    Logout,
    /// A login that was refused.
    LoginRefused,
    /// A logout that was refused.
    LogoutRefused,
    /// A logout that waits for the handset from now on (LO-4).
    LogoutPending,
    /// A session that goes on with its profile as it is now (DP-10).
    Refresh,
    /// The session store lost changes that it had told of.
    StoreCut,
    /// The session store was lost, and was rebuilt from the trail.
    StoreRebuilt,
    /// The session store was lost, and a rebuild begins with what the trail knew until then.
    RebuildBegun,
    /// The oldest records were deleted, since they were older than they are kept for.
    Pruned,
    /// A login whose record was deleted while its session goes on, told of again.
    LoginKept,
    /// A refresh token was used again after it had been spent; the sign-in was ended.
    RefreshTokenReused,
    /// Requests of another cluster were refused, or a certificate that names one (XC-10).
    PeerRefused,
    /// Which other clusters are known, or how they are believed, has changed (XC-10).
    PeerChanged,
    /// Somebody did not prove who he is: at a sign-in, at the change of his credential, or as a service.
    SignInRefused,
}

impl AuditKind {
    /// Whether services tell of it by themselves, at any time: beside what the event log of the sessions feeds, and what
    /// the trail says of that log and of itself.
    pub fn is_told_by_itself(self) -> bool {
        match self {
            Self::RefreshTokenReused | Self::PeerRefused | Self::PeerChanged | Self::SignInRefused => true,
            Self::Login
            | Self::Logout
            | Self::LoginRefused
            | Self::LogoutRefused
            | Self::LogoutPending
            | Self::Refresh
            | Self::StoreCut
            | Self::StoreRebuilt
            | Self::RebuildBegun
            | Self::Pruned
            | Self::LoginKept => false,
        }
    }
}

/// A SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of a record with that body, after one with this hash; zeros are before the first record.
    #[must_use]
    pub fn then(self, body: &str) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(body.as_bytes()).finalize().into())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An event of the session store's log: its place there, and what is in it, in short. A log that lost its end may have
/// filled its places anew, so that the place alone does not say which event it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMark {
    /// Its place in the log.
    pub sequence: u64,
    /// What tells it from any other event in that place.
    pub fingerprint: Vec<u8>,
}

/// One record. What it is found by stands beside the body, which has everything and is what is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number: from 1, without gaps; the first that is kept is greater where the oldest were deleted.
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: AuditKind,
    /// The phone; empty for what is about none.
    pub phone: String,
    /// The user, as he was named; empty for what is about none.
    pub user: String,
    /// The record as JSON, in the bytes that are hashed.
    pub body: String,
    /// The event that it tells of; `None` for what was no event.
    pub event: Option<EventMark>,
    /// The hash of the record before it, then of this body: see [`Hash::then`].
    pub hash: Hash,
}
