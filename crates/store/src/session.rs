//! Live sessions: load what a decision is about, decide, commit.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_domain::{LineName, PhoneName, RequestId, SessionId, UserId};
use tokio::sync::watch;

use crate::StoreError;

/// Place of an event in the order of commits: from 1, without gaps in what a reader sees. 0 is before the first.
pub type Sequence = u64;

/// How many places a store leaves out at least where it may have lost the end of its log: more than any process can have
/// seen of events that are gone.
pub const PLACES_SKIPPED: Sequence = 1_000_000;

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The phone.
    pub phone: PhoneName,
    /// The user whose other phones matter.
    pub user: Option<UserId>,
    /// The ACD line whose other phones matter (CC-7).
    pub acd_line: Option<LineName>,
}

impl About {
    /// About one phone alone.
    pub fn phone(phone: PhoneName) -> Self {
        Self { phone, user: None, acd_line: None }
    }

    /// The guards of all phones that it is about.
    pub fn guards(&self) -> Vec<Guard> {
        let user = self.user.clone().map(Guard::User);
        user.into_iter().chain(self.acd_line.clone().map(Guard::AcdLine)).collect()
    }
}

/// Something that a decision was made from beside the phones themselves: the set of phones that a user is logged in
/// to, or on which an ACD line is worn. Its version grows whenever a session of that user, or with that ACD line,
/// begins or ends, and when a session of his goes on with another ACD line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// The phones of a user.
    User(UserId),
    /// The phones that wear an ACD line.
    AcdLine(LineName),
}

/// What was loaded, and the versions it had. The version of a phone is its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The phone, and the others that matter. A phone without a record is as [`without_record`] says.
    pub held: Held,
    /// Versions of the guards. One that never moved, or was forgotten because there is no such session, is at the floor
    /// of guards: beyond all that a lost store gave, and not below any that was forgotten.
    pub guards: Vec<(Guard, u64)>,
    /// Of which history of the store it is. A server that takes over may lack changes and count others as the same, so a
    /// commit that was made from another history is refused as moved. Empty where a store has one history alone.
    pub history: Arc<str>,
}

/// A phone that a store has no record of: nothing is known of it, and its epochs and generations go on after the store's
/// floor, 0 where the store never lost anything.
pub fn without_record(phone: PhoneName, floor: u64) -> PhoneState {
    PhoneState { epoch: floor, generation: floor, acknowledged: floor, ..PhoneState::new(phone) }
}

/// Whether a store has a record of the phone, or nothing is known of it: every change makes its epoch grow, and what a
/// phone acknowledges cannot grow without one.
pub fn has_record(state: &PhoneState) -> bool {
    state.epoch != state.acknowledged
}

/// The remembered answer to a request id (LI-11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The id.
    pub request: RequestId,
    /// What the request was, so that the same id for another one is seen.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub answer: Vec<u8>,
    /// Until when it is remembered.
    pub expires_at: Timestamp,
}

/// One decision, to be committed whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// What the decision was made from: it is refused if any of these phones' epochs or guards has moved.
    pub read: Loaded,
    /// New states of phones that were read; each one epoch on from what was read.
    pub states: Vec<PhoneState>,
    /// What others are told, in order.
    pub events: Vec<SessionEvent>,
    /// The answer to remember.
    pub reply: Option<Reply>,
    /// When it was decided.
    pub at: Timestamp,
}

/// Why a commit was not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that was read has moved, or the request id has been answered meanwhile: load and decide again.
    #[error("what the decision was made from has moved")]
    Moved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place.
    pub sequence: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: SessionEvent,
}

/// Events in order, without a gap from the one asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events; empty when there is nothing newer.
    pub events: Vec<StoredEvent>,
}

/// Why events cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Some after that place are gone: begin anew with a snapshot.
    #[error("events after {after} are gone; the oldest kept is {oldest}")]
    TooOld {
        /// The place asked for.
        after: Sequence,
        /// The oldest that is kept.
        oldest: Sequence,
    },
    /// The place asked for has not been reached: it is from another store.
    #[error("there is no event {after} yet")]
    Ahead {
        /// The place asked for.
        after: Sequence,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Phones with a session as they were at one instant, and the place of the last event before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Events after this one are not in `phones` yet.
    pub sequence: Sequence,
    /// In the order of their names.
    pub phones: Vec<PhoneState>,
}

/// What of the past must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Events decided at or after this instant: for watches that resume.
    pub since: Timestamp,
    /// Events after this place: those that the audit trail does not have yet.
    pub after: Sequence,
}

/// Live sessions, their deadlines, and the events that tell of them.
///
/// A store that can lose everything it holds while its server lives on, Redis, must be begun before it is used: what
/// a process does with one that was never begun, or was lost and begun anew behind its back, fails with
/// [`StoreError::Lost`] and changes nothing. The other stores are always begun.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Whether the store holds the sessions of the cluster, rather than nothing at all: `false` where it was never
    /// begun, and where everything was lost.
    async fn is_begun(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Begins a store that is not begun: with these phones as they are given, and events to come in places after
    /// `after`. Of many that do so at once one does, and all the others are answered `false`, as is everyone who
    /// begins a store that is begun. Until it is done nobody sees any of it.
    ///
    /// With any phone, or with `after` beyond 0, there was a store before. Then epochs and generations of phones that
    /// are not given, and versions of guards, begin at a floor that is beyond all that it can have given: a decision made
    /// from what it held is refused as moved, and what it told of such a phone is from before all that is told from now
    /// on.
    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        let _ = (phones, after);
        Ok(false)
    }

    /// The phone, every other phone with a session of that user or wearing that ACD line, and the versions of all of
    /// it as of one instant.
    async fn load(&self, about: &About) -> Result<Loaded, StoreError>;

    /// What this process knows of it from its own last commits, without asking; `None` where it does not know all of it.
    /// It may be old: a decision made from it holds only once its commit is made, and whoever is refused by it, or changes
    /// nothing, loads and decides again.
    fn recall(&self, about: &About) -> Option<Loaded>;

    /// Makes the changes, or none of them, in one step that survives the process. Guards of every user and ACD line
    /// whose sessions begin or end by it move. Events get the next places in order. Of two commits made from the
    /// same versions, one is made. Returns the place of the last event, or of the last one before if there was none
    /// to tell.
    ///
    /// # Errors
    /// [`CommitError::Moved`] as said there; nothing was changed then.
    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError>;

    /// Tells of what changed nothing, such as a login that was refused. The events get the next places in order, as
    /// those of a commit do. Returns the place of the last of them.
    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError>;

    /// The phone's record, if there is one.
    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError>;

    /// The phone that holds the session, if it is live.
    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError>;

    /// Phones with a session in the order of their names, after `after`, at most `limit`; only one user's if given.
    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError>;

    /// How many phones there are with a session.
    async fn count(&self) -> Result<u64, StoreError>;

    /// All phones with a session, or one user's, and the place they belong to, as of one instant.
    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError>;

    /// The place of the last event as the store has it now, 0 before the first: that of a snapshot taken in its stead.
    async fn place(&self) -> Result<Sequence, StoreError>;

    /// Phones whose session has its next deadline ([`PhoneState::due_at`]) at or before `now`, the longest overdue
    /// first, at most `limit`.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError>;

    /// The earliest deadline of all sessions, whether it has passed or not.
    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Events after that place, at most `limit`.
    ///
    /// # Errors
    /// [`EventsError::TooOld`] when some of them are gone.
    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError>;

    /// The place of the last event that this process knows to be committed; changes when there is a newer one.
    fn latest(&self) -> watch::Receiver<Sequence>;

    /// The answer remembered for a request id, if it has not expired at `now`.
    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError>;

    /// Forgets replies that have expired at `now`, and the oldest events, up to the first that must be kept; the last
    /// event is always kept. It may forget guards of users and ACD lines without a session, which makes decisions moved
    /// that were made from other such guards at the same time.
    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError>;
}
