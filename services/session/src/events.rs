//! The tail of the event log, shared by all watches of this process: the last events in memory, who is where by them,
//! and a position to wait for.
//!
//! A store that failed over may have lost the end of its log, and may have filled the places anew. So a place in the
//! log is known by its number and by a mark of the event that stands there; whenever events are read, the mark is
//! compared. Where it is another, the log was cut: everything in memory is thrown away and read anew, and every watch
//! that was open is told to begin anew, so that nobody goes on believing in what was lost.

mod follow;
mod place;
mod recall;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roamline_domain::LineName;
use roamline_domain::phone_state::Session;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{EventsError, Sequence, SessionStore, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::desk::Bells;
use crate::refusal;
use crate::whereabouts::{Filter, Whereabouts};

pub(crate) use follow::run;
pub(crate) use place::{Mark, Noted, Place, fingerprint};
pub(crate) use recall::run as recall;

/// Events that a watch takes at once: what a slow reader holds.
const TAKEN: u32 = 64;
/// How long who asks for the present state waits for it.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(5);
/// How old the last look may be for answers that are a little behind.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// Why events cannot be had from a place.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The log is another one at that place, or does not reach back to it: begin anew.
    Cut,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Lost => Self::Cut,
            other => Self::Store(other),
        }
    }
}

/// How far this process has come: in which log, and where in it. Logs are counted by the cuts that this process saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub log: u64,
    pub sequence: Sequence,
}

/// Sessions as they were at one place in the log.
pub(crate) struct Seen {
    /// Of which log.
    pub log: u64,
    pub place: Place,
    pub sessions: Vec<Arc<Session>>,
}

pub(crate) struct Events {
    store: Arc<dyn SessionStore>,
    tail: Mutex<Tail>,
    position: watch::Sender<Position>,
    /// Looks that were asked for, and the last of them that was answered by a look begun after it.
    asked: watch::Sender<u64>,
    looked: watch::Sender<u64>,
    /// The log of which it is known which sessions ended before it was followed.
    recalled: watch::Sender<u64>,
    pub(crate) bells: Bells,
}

#[derive(Default)]
struct Tail {
    log: u64,
    /// Whether the whereabouts were read; nothing else here means anything before.
    begun: bool,
    /// The last event that was taken over.
    place: Place,
    /// All events after `floor` up to `place`.
    ring: VecDeque<Arc<Noted>>,
    floor: Sequence,
    whereabouts: Whereabouts,
    /// When it was last found that there is no more to take over.
    fresh_at: Option<Instant>,
}

impl Events {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            tail: Mutex::default(),
            position: watch::Sender::default(),
            asked: watch::Sender::default(),
            looked: watch::Sender::default(),
            recalled: watch::Sender::default(),
            bells: Bells::default(),
        }
    }

    /// How far watches can read; changes when there is more, and when the log was cut.
    pub(crate) fn position(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Waits until everything is taken over that was committed before this call.
    async fn caught_up(&self) -> Result<(), Refusal> {
        let mut mine = 0;
        let mut looked = self.looked.subscribe();
        self.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        match timeout(CAUGHT_UP_WITHIN, looked.wait_for(|looked| *looked >= mine)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(unreadable()),
        }
    }

    /// The sessions that match as of one place in the log, at which everything is taken over that was committed before
    /// this call.
    pub(crate) async fn matching(&self, filter: &Filter) -> Result<Seen, Refusal> {
        self.caught_up().await?;
        let tail = self.tail();
        if tail.fresh_at.is_none() {
            return Err(unreadable());
        }
        let sessions = tail.whereabouts.matching(filter);
        Ok(Seen { log: tail.log, place: tail.place, sessions })
    }

    /// The sessions that match as of that place, if it is the last one that this process knows of.
    pub(crate) fn matching_at(&self, filter: &Filter, log: u64, place: &Place) -> Option<Vec<Arc<Session>>> {
        let tail = self.tail();
        let is_last = tail.log == log && tail.place.sequence == place.sequence && tail.fresh_at.is_some();
        is_last.then(|| tail.whereabouts.matching(filter))
    }

    /// The log as it is now.
    pub(crate) async fn log(&self) -> Result<u64, Refusal> {
        self.caught_up().await?;
        Ok(self.tail().log)
    }

    /// The sessions that wear a line, as of the newest event that this process knows of.
    pub(crate) fn wearing(&self, line: &LineName) -> Result<Vec<Arc<Session>>, Refusal> {
        let tail = self.tail();
        match tail.fresh_at {
            Some(at) if at.elapsed() <= FRESH_FOR => Ok(tail.whereabouts.wearing(line)),
            _ => Err(unreadable()),
        }
    }

    /// Some of the next events after a place, from memory where they are there, else from the store.
    pub(crate) async fn after(&self, log: u64, place: &Place) -> Result<Vec<Arc<Noted>>, Broken> {
        {
            let tail = self.tail();
            if tail.log != log {
                return Err(Broken::Cut);
            }
            if place.sequence >= tail.floor {
                let from = tail.ring.partition_point(|event| event.stored.sequence <= place.sequence);
                return Ok(tail.ring.iter().skip(from).take(TAKEN as usize).cloned().collect());
            }
        }
        self.read(place, TAKEN).await
    }

    /// Whether a place is still the one that it was.
    pub(crate) async fn still_has(&self, place: &Place) -> Result<(), Broken> {
        if place.mark.is_none() && self.event_at(place.sequence).await?.is_some() {
            return Err(Broken::Cut);
        }
        self.read(place, 1).await.map(drop)
    }

    /// Events after a place from the store, once the place has proved to be the same.
    async fn read(&self, place: &Place, limit: u32) -> Result<Vec<Arc<Noted>>, Broken> {
        // Together with the event at the place itself, if it has one.
        let (after, limit) = match &place.mark {
            Some(_) => (place.sequence.checked_sub(1).ok_or(Broken::Cut)?, limit + 1),
            None => (place.sequence, limit),
        };
        let page = match self.store.events(after, limit).await {
            Ok(page) => page,
            Err(EventsError::TooOld { .. } | EventsError::Ahead { .. }) => return Err(Broken::Cut),
            Err(EventsError::Store(error)) => return Err(error.into()),
        };
        let mut events = page.events.into_iter().map(|event| Arc::new(Noted::new(event)));
        if place.mark.is_some() && events.next().map(|event| event.place()).as_ref() != Some(place) {
            return Err(Broken::Cut);
        }
        Ok(events.collect())
    }

    async fn event_at(&self, sequence: Sequence) -> Result<Option<Noted>, StoreError> {
        let Some(before) = sequence.checked_sub(1) else { return Ok(None) };
        match self.store.events(before, 1).await {
            Ok(page) => {
                let found = page.events.into_iter().next().filter(|event| event.sequence == sequence);
                Ok(found.map(Noted::new))
            }
            Err(EventsError::TooOld { .. } | EventsError::Ahead { .. }) => Ok(None),
            Err(EventsError::Store(error)) => Err(error),
        }
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable() -> Refusal {
    Refusal::new(ErrorReason::StoreUnavailable, "the session store's events cannot be read now")
}

/// A place that the log has no more.
pub(crate) fn begin_anew() -> Refusal {
    Refusal::new(
        ErrorReason::ResumeTokenTooOld,
        "the events after this place are gone, or were lost: begin anew, without a resume token",
    )
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cut => begin_anew(),
            Broken::Store(error) => refusal::store(&error),
        }
    }
}
