//! Automatic logout, at the maximum time, after the idle limit and at daily times: every replica looks for sessions that
//! are due, and the commit makes each logout happen once (LO-5).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use roamline_domain::PhoneName;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::Keep;
use tokio::time::{MissedTickBehavior, interval};

use crate::logout::Kept;
use crate::{Core, LogoutFacts};

/// Sessions that the directory is asked about in one go.
const BATCH: usize = 100;
/// Sessions among which a batch is chosen.
const AMONG: u32 = 500;
/// Sessions in work at once: at a daily logout time all fall due together.
const AT_ONCE: usize = 64;
/// Sweeps between two trims of what need not be kept.
const TRIM_EVERY: u64 = 240;

/// Sweeps until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut tick = interval(core.config.sweep_every());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count: u64 = 0;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        once(&core).await;
        if count.is_multiple_of(TRIM_EVERY) {
            trim(&core).await;
        }
        count += 1;
    }
}

/// Ends every session that is due now; returns how many. Each is taken up once; one that fails waits for the next sweep.
pub(crate) async fn once(core: &Arc<Core>) -> usize {
    let failed = Arc::new(AtomicUsize::new(0));
    let batches =
        stream::unfold(Sweep::begin(Arc::clone(core), Arc::clone(&failed)), |mut sweep| async move {
            let batch = sweep.next_batch().await?;
            Some((stream::iter(batch), sweep))
        });
    let keep = async |(phone, known): (PhoneName, _)| {
        let now = core.clock.now();
        (core.keep_deadline_by(phone.clone(), known, now).await, phone)
    };
    let mut kept = pin!(batches.flatten().map(keep).buffer_unordered(AT_ONCE));
    let mut ended = 0;
    while let Some((outcome, phone)) = kept.next().await {
        match outcome {
            Ok(Kept::Ended(_)) => ended += 1,
            Ok(Kept::Later | Kept::Nothing) => {}
            Err(refused) => {
                failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%phone, reason = ?refused.reason, "a session that is due could not be ended");
            }
        }
    }
    ended
}

/// A sweep through the sessions that were due when it began. It takes each batch from among the longest overdue, in an
/// order of its own: replicas on one store then seldom take up the same session.
struct Sweep {
    core: Arc<Core>,
    begun_at: Timestamp,
    order: RandomState,
    taken: HashSet<PhoneName>,
    /// The directory could not be had: it is not asked again in this sweep, which must not be late for it (LO-5).
    silence: Option<Refusal>,
    /// How many could not be ended; after a batch of them the sweep takes up no more.
    failed: Arc<AtomicUsize>,
}

impl Sweep {
    fn begin(core: Arc<Core>, failed: Arc<AtomicUsize>) -> Self {
        let begun_at = core.clock.now();
        Self { core, begun_at, order: RandomState::new(), taken: HashSet::new(), silence: None, failed }
    }

    /// The next phones, each with what the directory says of a logout there; `None` when there are no more.
    async fn next_batch(&mut self) -> Option<Vec<(PhoneName, Result<LogoutFacts, Refusal>)>> {
        if self.failed.load(Ordering::Relaxed) >= BATCH {
            return None;
        }
        let mut phones = match self.core.store.due(self.begun_at, AMONG).await {
            Ok(phones) => phones,
            Err(error) => {
                tracing::error!(%error, "sessions that are due could not be found");
                return None;
            }
        };
        phones.retain(|phone| !self.taken.contains(phone));
        phones.sort_by_cached_key(|phone| self.order.hash_one(phone));
        phones.truncate(BATCH);
        self.taken.extend(phones.iter().cloned());
        if phones.is_empty() {
            return None;
        }
        let known = match &self.silence {
            Some(refused) => vec![Err(refused.clone()); phones.len()],
            None => self.core.peers.prepare_logouts(&phones).await,
        };
        let unavailable = |refused: &&Refusal| refused.reason == ErrorReason::ServiceUnavailable;
        self.silence = known.iter().find_map(|known| known.as_ref().err().filter(unavailable).cloned());
        Some(phones.into_iter().zip(known).collect())
    }
}

/// Forgets what need not be kept: for watches that resume, and, since the log feeds it, for the audit trail. The event at
/// its place is kept, too: by it a log that was cut is seen.
async fn trim(core: &Core) {
    let now = core.clock.now();
    let since = now.checked_sub(core.config.keep_events_for).unwrap_or(jiff::Timestamp::MIN);
    let place = match core.audit.place().await {
        Ok(place) => place,
        Err(error) => {
            tracing::error!(%error, "no old event is forgotten: how far the audit trail is cannot be read");
            return;
        }
    };
    let keep = Keep { since, after: place.sequence.saturating_sub(1) };
    if let Err(error) = core.store.trim(now, keep).await {
        tracing::error!(%error, "old events and replies could not be forgotten");
    }
}
