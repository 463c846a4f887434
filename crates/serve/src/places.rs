//! The connections that are open, and whether anything is called on them: who has been idle for too long, who is too old,
//! and who gives way when there are too many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Counter, Gauge};
use crate::serve_config::ServeConfig;

/// How often is looked for connections that are idle or old.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

static OPEN: LazyLock<Gauge> =
    LazyLock::new(|| Gauge::new("roamline.connections.open", "Connections to the API that are open"));
static CLOSED: LazyLock<Counter> = LazyLock::new(|| {
    Counter::new("roamline.connections.closed", "Connections to the API that were closed by a limit")
});

/// Room for connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Places(Arc<Inner>);

struct Inner {
    most: usize,
    next: AtomicU64,
    taken: Mutex<BTreeMap<u64, Arc<Place>>>,
}

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Place {
    opened_at: Instant,
    closing: CancellationToken,
    activity: Mutex<Activity>,
}

#[derive(Debug)]
struct Activity {
    calls: usize,
    /// Whether there has ever been one.
    called: bool,
    quiet_since: Instant,
}

/// A place that is taken until this is dropped.
pub(crate) struct Seat {
    place: Arc<Place>,
    /// Where it is to be given back, and by which number.
    taken: Option<(Places, u64)>,
}

/// A call in progress on a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Visit(Arc<Place>);

impl Places {
    /// Room for `most` connections.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Inner { most, next: AtomicU64::new(0), taken: Mutex::default() }))
    }

    /// A place for a new connection, which is to close when `cut` is cancelled. If there is none, one without a call is
    /// closed: of those that never had one, or else of all, the one that has been so for longest. If all have calls, nothing
    /// is given.
    pub(crate) fn take(&self, cut: &CancellationToken) -> Option<Seat> {
        let mut taken = self.taken();
        if taken.len() >= self.0.most {
            let idlest = taken.iter().filter_map(|(number, place)| Some((place.idleness()?, *number))).min();
            let Some((_, number)) = idlest else {
                CLOSED.add(1, &[("reason", "full")]);
                return None;
            };
            if let Some(place) = taken.remove(&number) {
                place.close("crowded");
                OPEN.add(-1, &[]);
            }
        }
        let (place, number) = (Place::new(cut), self.0.next.fetch_add(1, Ordering::Relaxed));
        taken.insert(number, Arc::clone(&place));
        OPEN.add(1, &[]);
        Some(Seat { place, taken: Some((self.clone(), number)) })
    }

    /// Closes connections that have been idle for too long, and those that are still open when they are too old, without
    /// end.
    pub(crate) async fn sweep(&self, config: &ServeConfig) {
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let set = |limit: Duration| Some(limit).filter(|limit| !limit.is_zero());
        let idle = set(config.max_connection_idle);
        let age = set(config.max_connection_age)
            .zip(set(config.max_connection_age_grace))
            .map(|(age, grace)| age.saturating_add(grace));
        loop {
            ticks.tick().await;
            for place in self.taken().values() {
                if age.is_some_and(|age| place.opened_at.elapsed() > age) {
                    place.close("old");
                } else if idle.zip(place.quiet_since()).is_some_and(|(idle, since)| since.elapsed() > idle) {
                    place.close("idle");
                }
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn new(cut: &CancellationToken) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            opened_at: now,
            closing: cut.child_token(),
            activity: Mutex::new(Activity { calls: 0, called: false, quiet_since: now }),
        })
    }

    /// A call begins on the connection.
    pub(crate) fn visit(self: &Arc<Self>) -> Visit {
        let mut activity = self.activity();
        activity.calls += 1;
        activity.called = true;
        drop(activity);
        Visit(Arc::clone(self))
    }

    /// Since when nothing is called on the connection; `None` while something is.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        let activity = self.activity();
        (activity.calls == 0).then_some(activity.quiet_since)
    }

    /// The less, the sooner it gives way; `None` while something is called.
    fn idleness(&self) -> Option<(bool, Instant)> {
        let activity = self.activity();
        (activity.calls == 0).then_some((activity.called, activity.quiet_since))
    }

    fn close(&self, reason: &'static str) {
        if !self.closing.is_cancelled() {
            CLOSED.add(1, &[("reason", reason)]);
            self.closing.cancel();
        }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A seat that is not counted, and only closes when `cut` is cancelled.
    pub(crate) fn apart(cut: &CancellationToken) -> Self {
        Self { place: Place::new(cut), taken: None }
    }

    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Cancelled when the connection is to close.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.place.closing.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((places, number)) = self.taken.take()
            && places.taken().remove(&number).is_some()
        {
            OPEN.add(-1, &[]);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut activity = self.0.activity();
        activity.calls = activity.calls.saturating_sub(1);
        activity.quiet_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(seat: &Seat) -> bool {
        seat.closing().is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_idlest_gives_way_and_one_with_a_call_never() {
        let (places, cut) = (Places::new(2), CancellationToken::new());
        let busy = places.take(&cut).unwrap();
        let visit = busy.place().visit();
        tokio::time::advance(Duration::from_secs(1)).await;
        let idle = places.take(&cut).unwrap();
        let late = places.take(&cut).unwrap();
        assert!(closing(&idle) && !closing(&busy) && !closing(&late));
        let second = late.place().visit();
        assert!(places.take(&cut).is_none(), "all have calls");
        drop((visit, second));
        let stranger = places.take(&cut).unwrap();
        assert!(closing(&busy));
        tokio::time::advance(Duration::from_secs(1)).await;
        let next = places.take(&cut).unwrap();
        assert!(closing(&stranger) && !closing(&late), "who has never called goes first");
        drop((idle, busy, late, stranger, next));
        assert!(places.taken().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_idle_or_old_is_closed() {
        let config = ServeConfig {
            max_connection_idle: Duration::from_secs(10),
            max_connection_age: Duration::from_secs(50),
            max_connection_age_grace: Duration::from_secs(10),
            ..ServeConfig::default()
        };
        let (places, cut) = (Places::new(9), CancellationToken::new());
        let (idle, busy) = (places.take(&cut).unwrap(), places.take(&cut).unwrap());
        let _visit = busy.place().visit();
        let until = |seconds| tokio::time::timeout(Duration::from_secs(seconds), places.sweep(&config));
        until(9).await.unwrap_err();
        assert!(!closing(&idle));
        until(4).await.unwrap_err();
        assert!(closing(&idle) && !closing(&busy));
        until(60).await.unwrap_err();
        assert!(closing(&busy));
    }
}
