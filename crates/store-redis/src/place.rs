//! The places of events, as this process knows them.

use std::sync::atomic::{AtomicU64, Ordering};

use roamline_store::Sequence;
use tokio::sync::watch;

/// The last event that is known, and the highest place that anybody was ever told by this process.
#[derive(Debug)]
pub(crate) struct Places {
    latest: watch::Sender<Sequence>,
    seen: AtomicU64,
}

impl Places {
    pub(crate) fn new() -> Self {
        Self { latest: watch::Sender::new(0), seen: AtomicU64::new(0) }
    }

    /// There is an event in that place.
    pub(crate) fn reach(&self, last: Sequence) {
        self.see(last);
        self.latest.send_if_modified(|latest| std::mem::replace(latest, last.max(*latest)) < last);
    }

    /// Somebody is told of that place.
    pub(crate) fn see(&self, place: Sequence) {
        self.seen.fetch_max(place, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> Sequence {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn latest(&self) -> watch::Receiver<Sequence> {
        self.latest.subscribe()
    }

    pub(crate) fn last(&self) -> Sequence {
        *self.latest.borrow()
    }
}
