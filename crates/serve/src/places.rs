//! The connections that are open, and whether anything is called on them: who has been idle for too long, who is too old,
//! and who gives way when there are too many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::inventory::{CONNECTIONS_CLOSED, CONNECTIONS_OPEN};
use crate::serve_config::ServeConfig;
use crate::strangers::CALL_WITHIN;

/// How often is looked for connections that are idle or old.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long a call without a token may go on where nothing else is called: it is answered sooner, so that its client does
/// not take the answer.
const STRANGER_WITHIN: Duration = Duration::from_secs(CALL_WITHIN.as_secs() + 5);

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
    /// Calls with a token.
    calls: usize,
    /// Calls without one: anybody may make them last, and keeps a place by them no longer than by none.
    strangers: usize,
    /// Streams of health and reflection, which are no calls: anybody may hold them open, and keeps no place by them.
    public_streams: usize,
    /// Whether there has ever been a call.
    called: bool,
    /// When the last call without a token began, or anything ended.
    quiet_since: Instant,
}

/// What begins on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call with a token.
    Known,
    /// A call without.
    Stranger,
    /// A stream of health or reflection.
    PublicStream,
}

/// A place that is taken until this is dropped.
pub(crate) struct Seat {
    place: Arc<Place>,
    /// Where it is to be given back, and by which number.
    places: Places,
    number: u64,
}

/// A call in progress on a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    place: Arc<Place>,
    kind: Kind,
}

impl Places {
    /// Room for `most` connections.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Inner { most, next: AtomicU64::new(0), taken: Mutex::default() }))
    }

    /// A place for a new connection, which is to close when `cut` is cancelled. If there is none, one without a call is
    /// closed: of those that never had one, or else of all, the one that has been so for longest. One with calls without
    /// a token counts as idle since the last of them began. If all have others, nothing is given.
    pub(crate) fn take(&self, cut: &CancellationToken) -> Option<Seat> {
        let mut taken = self.taken();
        if taken.len() >= self.0.most {
            let idlest = taken.iter().filter_map(|(number, place)| Some((place.idleness()?, *number))).min();
            let Some((_, number)) = idlest else {
                CONNECTIONS_CLOSED.add(1, &[("reason", "full")]);
                return None;
            };
            if let Some(place) = taken.remove(&number) {
                place.close("crowded");
                CONNECTIONS_OPEN.add(-1, &[]);
            }
        }
        let (place, number) = (Place::new(cut), self.0.next.fetch_add(1, Ordering::Relaxed));
        taken.insert(number, Arc::clone(&place));
        CONNECTIONS_OPEN.add(1, &[]);
        Some(Seat { place, places: self.clone(), number })
    }

    /// Closes connections that have been idle for too long, those whose clients do not take answers that need no token,
    /// and those that are still open when they are too old, without end.
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
                } else if place.stranger_since().is_some_and(|since| since.elapsed() > STRANGER_WITHIN) {
                    place.close("slow");
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
            activity: Mutex::new(Activity {
                calls: 0,
                strangers: 0,
                public_streams: 0,
                called: false,
                quiet_since: now,
            }),
        })
    }

    /// A call begins on the connection, or a stream of health or reflection.
    pub(crate) fn visit(self: &Arc<Self>, kind: Kind) -> Visit {
        let mut activity = self.activity();
        *activity.open(kind) += 1;
        activity.called |= kind != Kind::PublicStream;
        if kind == Kind::Stranger {
            activity.quiet_since = Instant::now();
        }
        drop(activity);
        Visit { place: Arc::clone(self), kind }
    }

    /// Streams of health and reflection on the connection.
    pub(crate) fn public_streams(&self) -> usize {
        self.activity().public_streams
    }

    /// Since when there is nothing on the connection; `None` while there is.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        let activity = self.activity();
        let open = activity.calls + activity.strangers + activity.public_streams;
        (open == 0).then_some(activity.quiet_since)
    }

    /// Since when there are only calls without a token on the connection; `None` where there are others, or none.
    fn stranger_since(&self) -> Option<Instant> {
        let activity = self.activity();
        (activity.calls == 0 && activity.strangers > 0).then_some(activity.quiet_since)
    }

    /// The less, the sooner it gives way; `None` while something is called with a token.
    fn idleness(&self) -> Option<(bool, Instant)> {
        let activity = self.activity();
        (activity.calls == 0).then_some((activity.called, activity.quiet_since))
    }

    fn close(&self, reason: &'static str) {
        if !self.closing.is_cancelled() {
            CONNECTIONS_CLOSED.add(1, &[("reason", reason)]);
            self.closing.cancel();
        }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Activity {
    /// How many of a kind are open.
    fn open(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Known => &mut self.calls,
            Kind::Stranger => &mut self.strangers,
            Kind::PublicStream => &mut self.public_streams,
        }
    }
}

impl Seat {
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
        if self.places.taken().remove(&self.number).is_some() {
            CONNECTIONS_OPEN.add(-1, &[]);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut activity = self.place.activity();
        let open = activity.open(self.kind);
        *open = open.saturating_sub(1);
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
        let visit = busy.place().visit(Kind::Known);
        tokio::time::advance(Duration::from_secs(1)).await;
        let idle = places.take(&cut).unwrap();
        let late = places.take(&cut).unwrap();
        assert!(closing(&idle) && !closing(&busy) && !closing(&late));
        let second = late.place().visit(Kind::Known);
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
    async fn who_only_watches_health_keeps_no_place_by_it() {
        let (places, cut) = (Places::new(2), CancellationToken::new());
        let (watcher, caller) = (places.take(&cut).unwrap(), places.take(&cut).unwrap());
        let (watch, call) = (watcher.place().visit(Kind::PublicStream), caller.place().visit(Kind::Known));
        assert_eq!((watcher.place().public_streams(), caller.place().public_streams()), (1, 0));
        let new = places.take(&cut).unwrap();
        assert!(closing(&watcher) && !closing(&caller) && !closing(&new));
        assert!(watcher.place().quiet_since().is_none(), "its end is an error to its client");
        drop((watch, call));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_a_token_keeps_a_place_no_longer_than_an_idle_connection() {
        let (places, cut) = (Places::new(2), CancellationToken::new());
        let (deaf, signing_in) = (places.take(&cut).unwrap(), places.take(&cut).unwrap());
        let held = deaf.place().visit(Kind::Stranger);
        tokio::time::advance(Duration::from_secs(1)).await;
        let begun = signing_in.place().visit(Kind::Stranger);
        let new = places.take(&cut).unwrap();
        assert!(closing(&deaf) && !closing(&signing_in) && !closing(&new), "the oldest call first");
        assert!(deaf.place().quiet_since().is_none(), "its end is an error to its client");
        drop((held, begun));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answer_that_needs_no_token_is_closed() {
        let config = ServeConfig { max_connection_idle: Duration::ZERO, ..ServeConfig::default() };
        let (places, cut) = (Places::new(9), CancellationToken::new());
        let (deaf, busy) = (places.take(&cut).unwrap(), places.take(&cut).unwrap());
        let visits = [(&deaf, Kind::Stranger), (&busy, Kind::Stranger), (&busy, Kind::Known)]
            .map(|(seat, kind)| seat.place().visit(kind));
        let until = |within| tokio::time::timeout(within, places.sweep(&config));
        until(CALL_WITHIN).await.unwrap_err();
        assert!(!closing(&deaf), "the answer that it is late has time to arrive");
        until(STRANGER_WITHIN).await.unwrap_err();
        assert!(closing(&deaf) && !closing(&busy));
        drop(visits);
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
        let _visit = busy.place().visit(Kind::PublicStream);
        let until = |seconds| tokio::time::timeout(Duration::from_secs(seconds), places.sweep(&config));
        until(9).await.unwrap_err();
        assert!(!closing(&idle));
        until(4).await.unwrap_err();
        assert!(closing(&idle) && !closing(&busy));
        until(60).await.unwrap_err();
        assert!(closing(&busy));
    }
}
