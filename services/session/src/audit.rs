//! The audit trail is fed from the event log: every replica reads on from the place that the trail has reached, and the
//! trail takes each step once (EV-1).
//!
//! Before it reads on, the feeder looks whether the event at that place is still the one that it was. Where it is not,
//! the session store has lost the end of its log, or was lost and rebuilt: see [`cut`] and [`fence`]. What is too old is
//! deleted: see [`prune`].

mod body;
mod cut;
mod fence;
mod keep;
mod prune;
mod read;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::PhoneName;
use roamline_domain::audit::{AuditRecord, EventMark};
use roamline_domain::phone_state::{RefreshedSession, Session, SessionEvent};
use roamline_serve::inventory::AUDIT_BEHIND;
use roamline_store::{
    AuditError, AuditPlace, AuditStep, AuditStore, EventsError, Sequence, SessionStore, StoreError,
    StoredEvent,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Core;
use crate::events::fingerprint;

pub(crate) use body::Told;
use body::{Body, Mark};
use cut::Cut;
pub(crate) use fence::{ToRebuild, fence, is_still};
pub use keep::{AuditConfig, KeepFor};
pub(crate) use read::export;

/// Events in one step at most.
const PAGE: u32 = 1000;
/// Between two steps, unless there is more than a step to do: what happens meanwhile shares a transaction. What comes after
/// a time of rest is recorded at once.
const PACE: Duration = Duration::from_millis(250);
/// Between two looks at the log when nobody says that there is something new.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is shown how far the trail is behind.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// No event has this place.
const UNKNOWN: u64 = u64::MAX;

/// Why a step was not made. It is tried again.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error("the session store fails")]
    Sessions(#[source] StoreError),
    #[error("the event log moves")]
    Log(#[source] EventsError),
    #[error("the audit store fails")]
    Audit(#[source] StoreError),
    #[error("a record cannot be written as JSON")]
    Body(#[from] serde_json::Error),
}

impl From<EventsError> for FeedError {
    fn from(error: EventsError) -> Self {
        match error {
            EventsError::Store(error) => Self::Sessions(error),
            error => Self::Log(error),
        }
    }
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
enum Fed {
    /// There is nothing new.
    Nothing,
    /// The trail has gone on by that many events.
    Events(usize),
    /// The log was cut, and the trail says so.
    Cut,
    /// Another process was faster.
    Moved,
}

/// Feeds the trail, and deletes what is too old in it, until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let feeder = Feeder::new(Arc::clone(&core.store), Arc::clone(&core.audit));
    futures::join!(feed(&core, &feeder), show_behind(&core, &feeder), prune::run(&core));
}

/// Shows how many events the trail does not have yet, whether or not it is fed.
async fn show_behind(core: &Core, feeder: &Feeder) {
    let (stopping, latest) = (core.tasks.stopping(), core.store.latest());
    let mut ticks = interval(SHOWN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = 0;
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        let behind = feeder.behind(*latest.borrow());
        AUDIT_BEHIND.add(behind - shown, &[]);
        shown = behind;
    }
}

async fn feed(core: &Core, feeder: &Feeder) {
    let stopping = core.tasks.stopping();
    let mut latest = core.store.latest();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        latest.mark_unchanged();
        let step = async {
            pace.tick().await;
            feeder.feed(core.clock.now()).await
        };
        let fed = tokio::select! {
            () = stopping.cancelled() => return,
            fed = step => fed,
        };
        match fed {
            Ok(_) => told.clear(),
            Err(FeedError::Sessions(StoreError::Lost)) => {}
            Err(error) if error.to_string() == told => {}
            Err(error) => {
                told = error.to_string();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the audit trail is not fed; it goes on where it stands");
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            changed = timeout(LOOK_EVERY, latest.changed()) => if matches!(changed, Ok(Err(_))) { return },
        }
    }
}

/// Who feeds the trail.
struct Feeder {
    store: Arc<dyn SessionStore>,
    audit: Arc<dyn AuditStore>,
    /// The last record that is known not to tell of a rebuild that begins.
    looked_at: AtomicU64,
    /// The event that the trail has reached, as far as is known here; [`UNKNOWN`] before it was asked.
    reached: AtomicU64,
}

impl Feeder {
    fn new(store: Arc<dyn SessionStore>, audit: Arc<dyn AuditStore>) -> Self {
        Self { store, audit, looked_at: AtomicU64::new(0), reached: AtomicU64::new(UNKNOWN) }
    }

    /// Steps until a step has taken all that was new; where the trail stands then.
    async fn feed(&self, now: Timestamp) -> Result<AuditPlace, FeedError> {
        loop {
            let place = self.place().await?;
            match self.step(&place, now).await? {
                Fed::Nothing => return Ok(place),
                Fed::Events(number) if number >= PAGE as usize => {}
                // Whoever was faster does the rest, too; and what is left can wait for its turn.
                Fed::Events(_) | Fed::Cut | Fed::Moved => return self.place().await,
            }
        }
    }

    async fn place(&self) -> Result<AuditPlace, FeedError> {
        let place = self.audit.place().await.map_err(FeedError::Audit)?;
        self.reached.store(place.sequence, Ordering::Relaxed);
        Ok(place)
    }

    /// Events up to that one which the trail does not have, as far as is known here.
    fn behind(&self, newest: Sequence) -> i64 {
        match self.reached.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            reached => i64::try_from(newest.saturating_sub(reached)).unwrap_or(i64::MAX),
        }
    }

    /// One step from that place.
    async fn step(&self, place: &AuditPlace, now: Timestamp) -> Result<Fed, FeedError> {
        let newer = match self.newer(place).await? {
            Ok(_) if self.is_rebuilding(place).await? => Err(Cut::Back),
            newer => newer,
        };
        let (step, fed) = match newer {
            Ok(events) if events.is_empty() => return Ok(Fed::Nothing),
            Ok(events) => {
                let number = events.len();
                (self.step_of(place, events).await?, Fed::Events(number))
            }
            Err(cut) => (self.step_of_cut(place, cut, now).await?, Fed::Cut),
        };
        let (last, reached) = (step.to.number, step.to.sequence);
        match self.audit.append(step).await {
            Ok(()) => {
                self.looked_at.store(last, Ordering::Relaxed);
                self.reached.store(reached, Ordering::Relaxed);
                Ok(fed)
            }
            Err(AuditError::Moved) => Ok(Fed::Moved),
            Err(AuditError::Store(error)) => Err(FeedError::Audit(error)),
        }
    }

    /// Whether the trail ends there with a rebuild that begins. It is looked up once for each record that another wrote.
    async fn is_rebuilding(&self, place: &AuditPlace) -> Result<bool, FeedError> {
        let looked_at = self.looked_at.load(Ordering::Relaxed);
        let rebuilding = fence::is_rebuilding(&*self.audit, place, looked_at).await;
        let rebuilding = rebuilding.map_err(FeedError::Audit)?;
        if !rebuilding {
            self.looked_at.store(place.number, Ordering::Relaxed);
        }
        Ok(rebuilding)
    }

    /// The events after that place, if the log still goes on from there.
    async fn newer(&self, place: &AuditPlace) -> Result<Result<Vec<StoredEvent>, Cut>, FeedError> {
        let compared = !place.fingerprint.is_empty();
        let after = if compared { place.sequence.saturating_sub(1) } else { place.sequence };
        let mut events = match self.store.events(after, PAGE + u32::from(compared)).await {
            Ok(page) => page.events,
            // The event at the place itself may be forgotten, since the trail has it.
            Err(EventsError::TooOld { oldest, .. }) if compared && oldest == place.sequence + 1 => {
                return Ok(Ok(self.store.events(place.sequence, PAGE).await?.events));
            }
            Err(EventsError::TooOld { .. }) => return Ok(Err(Cut::Gone)),
            Err(EventsError::Ahead { .. }) => return Ok(Err(Cut::Ended)),
            Err(EventsError::Store(error)) => return Err(FeedError::Sessions(error)),
        };
        if compared {
            match events.first() {
                None => return Ok(Err(Cut::Ended)),
                Some(first) if fingerprint(first) != place.fingerprint => {
                    return Ok(Err(Cut::Other(mark(first))));
                }
                Some(_) => drop(events.remove(0)),
            }
        }
        Ok(Ok(events))
    }

    /// The step that these events make: those that the trail has already, from before a cut, are not recorded again.
    async fn step_of(&self, place: &AuditPlace, events: Vec<StoredEvent>) -> Result<AuditStep, FeedError> {
        let until = events.last().map_or(place.sequence, |last| last.sequence);
        let known = self.audit.recorded(place.sequence, until).await.map_err(FeedError::Audit)?;
        let mut chain = Chain::from(place);
        let mut sessions = Sessions::default();
        for stored in events {
            let mark = mark(&stored);
            chain.to.sequence = mark.sequence;
            chain.to.fingerprint.clone_from(&mark.fingerprint);
            if !known.contains(&mark)
                && let Some(body) = Body::of(&stored, Mark::of(&mark))
            {
                chain.add(body, stored.at, Some(mark))?;
            }
            sessions.follow(stored.event);
        }
        Ok(chain.step(place, sessions.live.into_values().collect(), sessions.ended))
    }
}

fn mark(stored: &StoredEvent) -> EventMark {
    EventMark { sequence: stored.sequence, fingerprint: fingerprint(stored) }
}

/// Records that hang together, and where the trail stands after them.
struct Chain {
    to: AuditPlace,
    records: Vec<AuditRecord>,
}

impl Chain {
    fn from(place: &AuditPlace) -> Self {
        Self { to: place.clone(), records: Vec::new() }
    }

    fn add(&mut self, mut body: Body, at: Timestamp, event: Option<EventMark>) -> serde_json::Result<()> {
        self.to.number += 1;
        body.number = self.to.number;
        let json = serde_json::to_string(&body)?;
        self.to.hash = self.to.hash.then(&json);
        let Body { kind, phone, user, .. } = body;
        let (number, hash) = (self.to.number, self.to.hash);
        self.records.push(AuditRecord { number, at, kind, phone, user, body: json, event, hash });
        Ok(())
    }

    fn step(
        self,
        from: &AuditPlace,
        live: Vec<Session>,
        ended: Vec<roamline_domain::SessionId>,
    ) -> AuditStep {
        AuditStep { from: from.clone(), to: self.to, records: self.records, live, ended }
    }
}

/// What events do to the sessions that the trail knows to be live.
#[derive(Default)]
struct Sessions {
    live: BTreeMap<PhoneName, Session>,
    ended: Vec<roamline_domain::SessionId>,
}

impl Sessions {
    fn follow(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::LoggedIn(session)
            | SessionEvent::LogoutPending(session)
            | SessionEvent::Refreshed(RefreshedSession { session, .. }) => {
                self.live.insert(session.phone.clone(), session.told());
            }
            SessionEvent::LoggedOut(out) => {
                if self.live.get(&out.session.phone).is_some_and(|live| live.id == out.session.id) {
                    self.live.remove(&out.session.phone);
                }
                self.ended.push(out.session.id);
            }
            SessionEvent::Redressed(_) | SessionEvent::Refused(_) => {}
        }
    }
}
