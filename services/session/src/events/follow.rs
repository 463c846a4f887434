//! Following the store's log: what is new is taken over in order, and what was lost is thrown away.

use std::sync::Arc;
use std::time::Duration;

use roamline_store::{Snapshot, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Broken, Events, Noted, Place, Position, Tail};
use crate::Core;
use crate::whereabouts::Whereabouts;

/// Events kept in memory: watches that are less far behind cost the store nothing.
const KEPT: usize = 8192;
/// Events read from the store at once.
pub(super) const PAGE: u32 = 1000;
/// Between two looks at the log when nobody says that there is something new.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two tries while the log cannot be read.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(100);

impl Events {
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

    /// Reads who is where as of one instant of one server's history, and the place from which events are to be applied to
    /// it.
    async fn begin(&self) -> Result<(), StoreError> {
        let Snapshot { sequence, phones } = self.store.snapshot(None).await?;
        let place =
            self.event_at(sequence).await?.map_or(Place { sequence, mark: None }, |event| event.place());
        let mut whereabouts = Whereabouts::default();
        phones.iter().for_each(|state| whereabouts.learn(state));
        let mut tail = self.tail();
        let log = tail.log + 1;
        let floor = place.sequence;
        *tail = Tail { log, begun: true, place, floor, whereabouts, ..Tail::default() };
        self.position.send_replace(Position { log, sequence: floor });
        drop(tail);
        self.bells.begin_anew();
        Ok(())
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
