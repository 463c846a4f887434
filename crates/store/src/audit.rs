//! The audit trail: every login and logout, refused ones too, in records that are never changed and hang together by
//! a chain of hashes (EV-1). It is fed from the event log of the sessions, and outlives it. The oldest records may be
//! deleted; a record that stays says where the others ended.

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark, Hash};
use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, SessionId};

use crate::{Sequence, StoreError};

/// How far the trail has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPlace {
    /// The last event that it has, in the event log of the sessions; 0 before the first.
    pub sequence: Sequence,
    /// What that event is, so that another one in its place is seen: a store that failed over may have lost the end of
    /// its log, and filled the places anew. Empty where there is nothing to be compared: before the first, and where the
    /// log begins anew.
    pub fingerprint: Vec<u8>,
    /// The number of the last record; 0 before the first.
    pub number: u64,
    /// Its hash; zeros before the first.
    pub hash: Hash,
}

/// One step of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditStep {
    /// Where the trail must stand; the step is refused as moved otherwise.
    pub from: AuditPlace,
    /// Where it stands afterwards.
    pub to: AuditPlace,
    /// New records, in the order of their numbers.
    pub records: Vec<AuditRecord>,
    /// Sessions that have begun by it or gone on changed, as they are now; at most one on a phone, which is in the place of
    /// any other that the trail has there.
    pub live: Vec<Session>,
    /// Sessions that have ended by it: they are live no more, unless they are among `live`, too.
    pub ended: Vec<SessionId>,
}

/// Why a step was not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The trail stands somewhere else: another process was faster.
    #[error("the audit trail has moved")]
    Moved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those about this user, as he was named; `None` for all.
    pub user: Option<String>,
    /// Only those about this phone.
    pub phone: Option<PhoneName>,
    /// Only those of these kinds; none for all.
    pub kinds: Vec<AuditKind>,
    /// Only those from this instant on.
    pub from: Option<Timestamp>,
    /// Only those before this instant.
    pub until: Option<Timestamp>,
}

/// The audit trail of a cluster. Instants of its records are kept to the microsecond.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// How far the trail has come.
    async fn place(&self) -> Result<AuditPlace, StoreError>;

    /// Makes a step, all of it or nothing, in one that survives the process. Of two from the same place, one is made:
    /// so any number of processes feed the trail at once, and each event is recorded once.
    ///
    /// # Errors
    /// [`AuditError::Moved`] as said there.
    async fn append(&self, step: AuditStep) -> Result<(), AuditError>;

    /// Makes a step as [`append`](Self::append) does, and deletes the records up to that number by it. Sessions that are
    /// live stay so.
    ///
    /// # Errors
    /// [`AuditError::Moved`] as said there; nothing was deleted then.
    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError>;

    /// Records that match and were not deleted, with numbers greater than `after`, the oldest first, at most `limit`.
    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError>;

    /// The events with places greater than `after`, up to `until`, that records tell of, in the order of their places. After
    /// a loss of the log, two of them may have the same place.
    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError>;

    /// Sessions that are live as far as the trail knows, in the order of their phones, after `after`, at most `limit`.
    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// Those of these sessions that are live as far as the trail knows, in the order of their phones.
    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError>;
}
