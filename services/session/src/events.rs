//! The tail of the event log, shared by all watches of this process: the last events in memory, a position to wait
//! for, and a bell for each phone that is watched.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use roamline_domain::PhoneName;
use roamline_store::{EventsError, Sequence, SessionStore, StoredEvent};
use tokio::sync::watch;

use crate::Core;

/// Events kept in memory: watches that are less far behind cost the store nothing.
const KEPT: usize = 8192;
/// Events read from the store at once.
const PAGE: u32 = 1000;

pub(crate) struct Events {
    store: Arc<dyn SessionStore>,
    ring: Mutex<Ring>,
    position: watch::Sender<Sequence>,
    bells: Mutex<HashMap<PhoneName, watch::Sender<u64>>>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<StoredEvent>,
}

impl Events {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        let position = watch::Sender::new(*store.latest().borrow());
        Self { store, ring: Mutex::default(), position, bells: Mutex::default() }
    }

    /// The place of the newest event that watches can have; changes when there is a newer one.
    pub(crate) fn position(&self) -> watch::Receiver<Sequence> {
        self.position.subscribe()
    }

    /// Rings whenever something is told of the phone.
    pub(crate) fn bell(&self, phone: &PhoneName) -> watch::Receiver<u64> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        // Bells of phones that nobody watches any more go when there are twice as many as at the last look.
        if bells.len() > 64 && bells.len().is_power_of_two() {
            bells.retain(|_, bell| bell.receiver_count() > 0);
        }
        bells.entry(phone.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Events after that place, from memory where they are there, else from the store.
    pub(crate) async fn after(&self, after: Sequence) -> Result<Vec<StoredEvent>, EventsError> {
        if let Some(events) = self.kept_after(after) {
            return Ok(events);
        }
        Ok(self.store.events(after, PAGE).await?.events)
    }

    fn kept_after(&self, after: Sequence) -> Option<Vec<StoredEvent>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.events.front()?.sequence;
        if after + 1 < first {
            return None;
        }
        let skip = usize::try_from(after + 1 - first).ok()?;
        if skip > ring.events.len() {
            return None;
        }
        Some(ring.events.iter().skip(skip).take(PAGE as usize).cloned().collect())
    }

    /// Takes over new events, in order and without a gap.
    fn take(&self, events: Vec<StoredEvent>) {
        let Some(last) = events.last().map(|event| event.sequence) else { return };
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events {
            if let Some(bell) = bells.get(event.event.phone()) {
                bell.send_modify(|rung| *rung += 1);
            }
        }
        drop(bells);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.events.extend(events);
        let surplus = ring.events.len().saturating_sub(KEPT);
        ring.events.drain(..surplus);
        drop(ring);
        self.position.send_replace(last);
    }

    /// After a gap: what is in memory is worth nothing, and every watch must look for itself.
    fn skip_to(&self, position: Sequence) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).events.clear();
        for bell in self.bells.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bell.send_modify(|rung| *rung += 1);
        }
        self.position.send_replace(position);
    }
}

/// Follows the store's events until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut latest = core.store.latest();
    let mut position = *core.events.position.borrow();
    loop {
        while position < *latest.borrow_and_update() {
            match core.store.events(position, PAGE).await {
                Ok(page) => match page.events.last().map(|event| event.sequence) {
                    Some(last) => {
                        position = last;
                        core.events.take(page.events);
                    }
                    None => break,
                },
                Err(EventsError::TooOld { oldest, .. }) => {
                    position = oldest.saturating_sub(1);
                    core.events.skip_to(position);
                }
                Err(error) => {
                    tracing::error!(%error, "events cannot be read");
                    break;
                }
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            changed = latest.changed() => if changed.is_err() { return },
        }
    }
}
