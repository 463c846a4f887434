//! The tail of the event log, shared by all watches of this process: the last events in memory, who is where by them,
//! and a position to wait for.
//!
//! A store that failed over may have lost the end of its log, and may have filled the places anew. So a place in the
//! log is known by its number and by a mark of the event that stands there; whenever events are read, the mark is
//! compared. Where it is another, the log was cut: everything in memory is thrown away and read anew, and every watch
//! that was open is told to begin anew, so that nobody goes on believing in what was lost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roamline_domain::phone_state::{Refused, Session, SessionEvent};
use roamline_domain::{LineName, PhoneName};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{EventsError, Sequence, SessionStore, StoreError, StoredEvent};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::desk::Bells;
use crate::whereabouts::{Filter, Whereabouts};
use crate::{Core, refusal};

/// Events kept in memory: watches that are less far behind cost the store nothing.
const KEPT: usize = 8192;
/// Events read from the store at once by the tail.
const PAGE: u32 = 1000;
/// Phones read from the store at once.
const PHONES: u32 = 1000;
/// Events that a watch takes at once: what a slow reader holds.
const TAKEN: u32 = 64;
/// Between two looks at the log when nobody says that there is something new.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two tries while the log cannot be read.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long who asks for the present state waits for it.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(5);
/// How old the last look may be for answers that are a little behind.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// What tells an event from any other that could stand in its place: its [`fingerprint`] as a number.
pub(crate) type Mark = u64;

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub sequence: Sequence,
    /// The mark of the event there; `None` where there is none: before the first event of a log.
    pub mark: Option<Mark>,
}

/// An event, and its mark.
#[derive(Debug)]
pub(crate) struct Noted {
    pub stored: StoredEvent,
    mark: Mark,
}

impl Noted {
    fn new(stored: StoredEvent) -> Self {
        let mark = fingerprint(&stored).into_iter().fold(0, |mark, byte| mark << 8 | u64::from(byte));
        Self { stored, mark }
    }

    /// The place in which it stands.
    pub(crate) fn place(&self) -> Place {
        Place { sequence: self.stored.sequence, mark: Some(self.mark) }
    }
}

/// What tells an event from any other that could stand in its place: eight bytes of a digest of its place, its instant,
/// what it is and whom it is about. It stays the same when later versions add fields to events.
pub(crate) fn fingerprint(event: &StoredEvent) -> Vec<u8> {
    let (kind, detail) = match &event.event {
        SessionEvent::LoggedIn(session) => ("logged-in", session.epoch.to_string()),
        SessionEvent::LoggedOut(ended) => ("logged-out", format!("{:?}", ended.reason)),
        SessionEvent::LogoutPending(_) => ("logout-pending", String::new()),
        SessionEvent::Redressed(_) => ("redressed", String::new()),
        SessionEvent::Refreshed(session) => ("refreshed", session.generation.to_string()),
        SessionEvent::Refused(refused) => {
            let Refused { reason, user, profile, actor, more, .. } = refused;
            ("refused", format!("{:?} {reason} {more} {user:?} {profile:?} {:?}", refused.what, actor.source))
        }
    };
    let session = event.event.session().map_or("", |session| session.id.as_str());
    let (place, at, phone) = (event.sequence, event.at.as_microsecond(), event.event.phone());
    let digest = Sha256::digest(format!("{place} {at} {kind} {phone} {session} {detail}"));
    digest.iter().copied().take(8).collect()
}

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

    /// The phone's epoch when its last session had ended, as far as this process saw it.
    pub(crate) fn ended_at_epoch(&self, phone: &PhoneName) -> Option<u64> {
        self.tail().whereabouts.ended_at_epoch(phone)
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

    /// Takes over everything that there is.
    async fn look(&self) -> Result<(), StoreError> {
        loop {
            let at = Instant::now();
            let begun_at = {
                let tail = self.tail();
                tail.begun.then_some(tail.place)
            };
            let Some(place) = begun_at else {
                self.begin().await?;
                continue;
            };
            match self.read(&place, PAGE).await {
                Ok(events) if events.is_empty() => {
                    self.tail().fresh_at = Some(at);
                    return Ok(());
                }
                Ok(events) => self.take(&events),
                Err(Broken::Cut) => {
                    self.cut();
                    return Err(StoreError::Lost);
                }
                Err(Broken::Store(error)) => return Err(error),
            }
        }
    }

    /// Reads who is where, page by page, and the place from which events are to be applied to it. What was read of a
    /// phone may be newer than that place; once all events are applied that were there when it was read, it is exact.
    async fn begin(&self) -> Result<(), StoreError> {
        let sequence = self.end().await?;
        let place =
            self.event_at(sequence).await?.map_or(Place { sequence, mark: None }, |event| event.place());
        let mut whereabouts = Whereabouts::default();
        let mut after = None;
        loop {
            let page = self.store.list(None, after.as_ref(), PHONES).await?;
            page.iter().for_each(|state| whereabouts.learn(state));
            match page.last() {
                Some(last) if page.len() >= PHONES as usize => after = Some(last.phone.clone()),
                _ => break,
            }
        }
        let mut tail = self.tail();
        let log = tail.log + 1;
        let floor = place.sequence;
        *tail = Tail { log, begun: true, place, floor, whereabouts, ..Tail::default() };
        self.position.send_replace(Position { log, sequence: floor });
        drop(tail);
        self.bells.begin_anew();
        Ok(())
    }

    /// The place of the last event. A snapshot tells it; that of one user is small, whoever he may be.
    async fn end(&self) -> Result<Sequence, StoreError> {
        let somebody = "-".parse().ok();
        Ok(self.store.snapshot(somebody.as_ref()).await?.sequence)
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

    /// Takes over new events, in order.
    fn take(&self, events: &[Arc<Noted>]) {
        let mut tail = self.tail();
        for event in events {
            tail.whereabouts.apply(&event.stored.event);
        }
        if let Some(last) = events.last() {
            tail.place = last.place();
        }
        tail.ring.extend(events.iter().cloned());
        let surplus = tail.ring.len().saturating_sub(KEPT);
        let gone = tail.ring.drain(..surplus).next_back();
        if let Some(gone) = gone {
            tail.floor = gone.stored.sequence;
        }
        self.position.send_replace(Position { log: tail.log, sequence: tail.place.sequence });
        drop(tail);
        self.bells.ring(events.iter().map(|event| &event.stored.event));
    }

    /// What is in memory is of a log that is no more.
    fn cut(&self) {
        let mut tail = self.tail();
        tracing::error!(place = tail.place.sequence, "the event log was cut: watches must begin anew");
        *tail = Tail { log: tail.log + 1, ..Tail::default() };
        self.position.send_replace(Position { log: tail.log, sequence: 0 });
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

/// Follows the store's events until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let events = &core.events;
    let stopping = core.tasks.stopping();
    let mut latest = core.store.latest();
    let mut is_told = true;
    let mut asked = events.asked.subscribe();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let answers = *asked.borrow_and_update();
        latest.mark_unchanged();
        match events.look().await {
            Ok(()) => {
                events.looked.send_replace(answers);
                failing = false;
            }
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "events cannot be read; trying on");
                }
                failing = true;
                if timeout(RETRY_AFTER, stopping.cancelled()).await.is_ok() {
                    return;
                }
                continue;
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            changed = latest.changed(), if is_told => is_told = changed.is_ok(),
            changed = asked.changed() => if changed.is_err() { return },
            _ = tick.tick() => {}
        }
    }
}
