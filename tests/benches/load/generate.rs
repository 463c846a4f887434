//! Two ways of asking: so many at once, each beginning when the one before has ended (closed: how much is possible), and
//! so many a second, whether or not those before have ended (open: how long one waits; its time runs from the instant at
//! which it should have begun).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tonic::Status;

/// Histograms hold microseconds to three digits, up to an hour.
const LONGEST: u64 = 3_600_000_000;
/// Arrivals that find so many under way are not begun, and counted as an error.
const MOST_UNDER_WAY: usize = 20_000;

/// How long to ask, and how long before that without counting.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What was asked for, by name, and how it went.
pub(crate) struct Measured {
    pub(crate) times: BTreeMap<&'static str, Histogram<u64>>,
    pub(crate) errors: BTreeMap<String, u64>,
    /// How long it was counted.
    pub(crate) took: Duration,
}

/// Takes times in from everywhere.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Measured>>);

impl Recorder {
    pub(crate) fn new() -> Self {
        let empty = Measured { times: BTreeMap::new(), errors: BTreeMap::new(), took: Duration::ZERO };
        Self(Arc::new(Mutex::new(empty)))
    }

    /// One that took that long, or failed.
    pub(crate) fn note(&self, what: &'static str, took: Duration, outcome: Result<(), Status>) {
        let mut measured = self.0.lock().expect("nobody panics with it");
        match outcome {
            Ok(()) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                let new = || Histogram::new_with_max(LONGEST, 3).expect("the bounds are right");
                measured.times.entry(what).or_insert_with(new).saturating_record(micros);
            }
            Err(status) => {
                let reason = format!("{what}: {:?}: {}", status.code(), status.message());
                *measured.errors.entry(reason).or_default() += 1;
            }
        }
    }

    /// Everything so far; what comes later is lost.
    pub(crate) fn take(&self, took: Duration) -> Measured {
        let mut measured = self.0.lock().expect("nobody panics with it");
        let (times, errors) = (std::mem::take(&mut measured.times), std::mem::take(&mut measured.errors));
        Measured { times, errors, took }
    }
}

impl Measured {
    /// Of all that went well, a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.values().map(Histogram::len).sum::<u64>() as f64 / self.took.as_secs_f64()
    }

    /// Of these that went well, a second.
    pub(crate) fn rate_of(&self, what: &str) -> f64 {
        self.times.get(what).map_or(0.0, |times| times.len() as f64 / self.took.as_secs_f64())
    }

    /// Milliseconds at that quantile.
    pub(crate) fn at(&self, what: &str, quantile: f64) -> f64 {
        self.times.get(what).map_or(f64::NAN, |times| times.value_at_quantile(quantile) as f64 / 1000.0)
    }
}

/// What one of those at once does over and over: it notes each step.
pub(crate) trait Work: Send + Sync + 'static {
    /// The next round of number `who`, at that place of his rounds; it should have begun at `at`.
    fn once(
        &self,
        who: usize,
        round: usize,
        at: Instant,
        recorder: &Recorder,
    ) -> impl Future<Output = ()> + Send;
}

/// So many at once for that long. `counting` is called when it begins to count, and its answer is given back.
pub(crate) async fn closed<T>(
    work: &Arc<impl Work>,
    at_once: usize,
    span: Span,
    counting: impl FnOnce() -> T,
) -> (Measured, T) {
    let recorder = Recorder::new();
    let begun = Instant::now();
    let end = begun + span.warm_up + span.measured;
    let mut all = JoinSet::new();
    for who in 0..at_once {
        let (work, recorder) = (Arc::clone(work), recorder.clone());
        all.spawn(async move {
            for round in 0.. {
                let at = Instant::now();
                if at >= end {
                    return;
                }
                work.once(who, round, at, &recorder).await;
            }
        });
    }
    tokio::time::sleep_until((begun + span.warm_up).into()).await;
    recorder.take(Duration::ZERO);
    let (from, told) = (Instant::now(), counting());
    tokio::time::sleep_until(end.into()).await;
    let measured = recorder.take(from.elapsed());
    while all.join_next().await.is_some() {}
    (measured, told)
}

/// So many rounds a second for that long. Those that begin in the warm-up do not count.
pub(crate) async fn open(work: &Arc<impl Work>, rate: f64, span: Span) -> Measured {
    let (work, runtime) = (Arc::clone(work), Handle::current());
    // A thread of its own, since the runtime's timers are a millisecond coarse.
    let paced = move || {
        let (counted, uncounted) = (Recorder::new(), Recorder::new());
        let begin = Instant::now();
        let arrivals = ((span.warm_up + span.measured).as_secs_f64() * rate) as usize;
        let mut under_way = JoinSet::new();
        for arrival in 0..arrivals {
            let at = begin + Duration::from_secs_f64(arrival as f64 / rate);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            while under_way.try_join_next().is_some() {}
            let recorder = if at < begin + span.warm_up { &uncounted } else { &counted }.clone();
            if under_way.len() >= MOST_UNDER_WAY {
                recorder.note("arrival", Duration::ZERO, Err(Status::resource_exhausted("not begun")));
                continue;
            }
            let work = Arc::clone(&work);
            under_way.spawn_on(async move { work.once(arrival, 0, at, &recorder).await }, &runtime);
        }
        (under_way, counted)
    };
    let (mut under_way, counted) = tokio::task::spawn_blocking(paced).await.expect("it does not panic");
    while under_way.join_next().await.is_some() {}
    counted.take(span.measured)
}
