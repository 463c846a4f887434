//! Which epochs phones had when their last sessions ended, where that was before this process looked on. It is read from
//! the log once, as far back as that goes, so that every replica knows a message from before such an end.

use std::collections::HashMap;
use std::sync::Arc;

use roamline_domain::PhoneName;
use roamline_domain::phone_state::SessionEvent;
use roamline_proto::refusal::Refusal;
use roamline_store::{EventsError, Sequence, StoreError};
use tokio::time::timeout;

use super::follow::{PAGE, RETRY_AFTER};
use super::{CAUGHT_UP_WITHIN, Events, unreadable};
use crate::Core;

/// The ends of one log, as far as they were read: what fails goes on from there.
#[derive(Default)]
struct Reading {
    log: u64,
    ends: HashMap<PhoneName, u64>,
    /// The last place that was read.
    after: Sequence,
}

impl Events {
    /// The phone's epoch when its last session had ended, as far back as the log goes.
    ///
    /// # Errors
    /// The log is still being read, and takes its time.
    pub(crate) async fn ended_at_epoch(&self, phone: &PhoneName) -> Result<Option<u64>, Refusal> {
        let log = self.tail().log;
        let mut recalled = self.recalled.subscribe();
        match timeout(CAUGHT_UP_WITHIN, recalled.wait_for(|recalled| *recalled >= log.max(1))).await {
            Ok(Ok(_)) => Ok(self.tail().whereabouts.ended_at_epoch(phone)),
            _ => Err(unreadable()),
        }
    }

    /// Reads on for the epochs of phones whose last session ended in a place up to that one.
    async fn ends_until(&self, last: Sequence, reading: &mut Reading) -> Result<(), StoreError> {
        while reading.after < last {
            let page = match self.store.events(reading.after, PAGE).await {
                Ok(page) => page,
                Err(EventsError::TooOld { oldest, .. }) if oldest > reading.after + 1 => {
                    reading.after = oldest - 1;
                    continue;
                }
                Err(EventsError::TooOld { .. } | EventsError::Ahead { .. }) => return Err(StoreError::Lost),
                Err(EventsError::Store(error)) => return Err(error),
            };
            let Some(reached) = page.events.last().map(|event| event.sequence) else { break };
            for event in page.events {
                if let SessionEvent::LoggedOut(out) = event.event {
                    reading.ends.insert(out.session.phone, out.epoch);
                }
            }
            reading.after = reached;
        }
        Ok(())
    }

    /// Remembers them, if the log is still that one.
    fn recall(&self, log: u64, ends: HashMap<PhoneName, u64>) {
        let mut tail = self.tail();
        if tail.log == log {
            tail.whereabouts.recall(ends);
            self.recalled.send_replace(log);
        }
    }
}

/// Recalls the ends of each log that this process follows, until it stops.
pub(crate) async fn run(core: Arc<Core>) {
    let events = &core.events;
    let stopping = core.tasks.stopping();
    let mut position = events.position();
    let mut done = 0;
    let mut reading = Reading::default();
    loop {
        let found = tokio::select! {
            () = stopping.cancelled() => return,
            found = position.wait_for(|position| position.log > done) => match found {
                Ok(found) => *found,
                Err(_) => return,
            },
        };
        let has_begun = events.tail().begun;
        if reading.log != found.log {
            reading = Reading { log: found.log, ..Reading::default() };
        }
        match events.ends_until(found.sequence, &mut reading).await {
            Ok(()) if has_begun => {
                events.recall(found.log, std::mem::take(&mut reading).ends);
                done = found.log;
            }
            read => {
                // One that was cut is followed by another soon.
                if matches!(read, Ok(()) | Err(StoreError::Lost)) {
                    reading = Reading::default();
                }
                if timeout(RETRY_AFTER, stopping.cancelled()).await.is_ok() {
                    return;
                }
            }
        }
    }
}
