//! Comparing halves with each peer, at an interval and as soon as it answers again (XC-4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use roamline_domain::emcc::half::{Examine, GRACE, REMEMBER_FOR, to_end};
use roamline_domain::{ClusterId, SessionId};
use roamline_proto::refusal::Refusal;
use roamline_store::federation::HalfQuery;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Inner, refusal};

const LOOK_EVERY: Duration = Duration::from_millis(500);
const PAGE: u32 = 1000;
/// Halves in one message: so few that the other side is done with them within the time of a call.
const COMPARED_AT_ONCE: u32 = 200;
/// How long the other side may take for a message. Nobody waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long one peer's turn may take; what is left has another turn after the others'.
const TURN: Duration = Duration::from_secs(20);
/// Between two looks whether all halves are due to be examined.
const MAINTENANCE_LOOK_EVERY: Duration = Duration::from_secs(10);
/// Peers that are compared with at once.
const AT_ONCE: usize = 16;

/// Compares without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Instant> = None;
    // Halves that were begun before it have been examined. At the start none has been.
    let mut examined_until = Timestamp::MIN;
    loop {
        ticks.tick().await;
        let every = inner.recalled.load().parameters.reconcile_interval;
        let due = last.is_none_or(|last| last.elapsed() >= every);
        let soon = std::mem::take(&mut *inner.soon());
        let clusters: BTreeSet<_> = match due {
            true => inner.peers.load().keys().cloned().collect(),
            false => soon,
        };
        if due {
            last = Some(Instant::now());
            examined_until = inner.examine_since(examined_until).await;
            inner.note_failure(inner.forget().await);
        }
        // One that is slow keeps no other waiting.
        let compared = futures::stream::iter(clusters).map(|cluster| async move {
            inner.note_failure(inner.reconcile(&cluster).await);
        });
        compared.buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

/// Examines all halves at the interval of EMCC device maintenance, without end.
pub(crate) async fn maintain(inner: &Arc<Inner>) {
    let mut ticks = interval(MAINTENANCE_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        if last.elapsed() >= inner.recalled.load().parameters.maintenance_interval {
            last = Instant::now();
            inner.note_failure(inner.examine(Examine::All).await);
        }
    }
}

impl Inner {
    /// Ends a session and its half here, which the peer need not be told of. The half goes last, so that it is found
    /// again where a step fails; a session that began in between goes after it.
    pub(crate) async fn end_both(&self, session: &SessionId) -> Result<(), Refusal> {
        self.local.end(session).await?;
        self.end_half(session, true).await?;
        self.local.end(session).await
    }

    pub(crate) fn note_failure(&self, done: Result<(), Refusal>) {
        if let Err(refused) = done {
            tracing::debug!(reason = refused.message, "halves could not be compared");
        }
    }

    /// Has the halves with that peer compared without waiting for the interval.
    pub(crate) fn reconcile_soon(&self, cluster: ClusterId) {
        self.soon().insert(cluster);
    }

    /// Compares all live halves with that peer, if it answers: from the first, or from where its last turn was over.
    pub(crate) async fn reconcile(&self, cluster: &ClusterId) -> Result<(), Refusal> {
        let Some(peer) = self.peer(cluster) else { return Ok(()) };
        let Ok(link) = peer.callable() else { return Ok(()) };
        let (turn, mut after) = (Instant::now(), self.left_off().remove(cluster));
        let limit = COMPARED_AT_ONCE;
        loop {
            if turn.elapsed() >= TURN && after.is_some() {
                self.left_off().extend(after.map(|after| (cluster.clone(), after)));
                self.reconcile_soon(cluster.clone());
                return Ok(());
            }
            let query =
                HalfQuery { peer: Some(cluster.clone()), live: Some(true), after: after.take(), limit };
            let page = self.store.halves(&query).await.map_err(|error| refusal::store(&error))?;
            if page.is_empty() {
                return Ok(());
            }
            let ids: Vec<SessionId> = page.iter().map(|half| half.session.clone()).collect();
            let unknown = link.reconcile(&ids, ANSWER_WITHIN).await?;
            for half in to_end(&page, &unknown, self.clock.now(), GRACE) {
                tracing::info!(session = %half.session, peer = %cluster, "a half that the peer does not have is ended");
                self.end_both(&half.session).await?;
            }
            match ids.last() {
                Some(last) if ids.len() == limit as usize => after = Some(last.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Forgets halves whose end both sides have known for long.
    async fn forget(&self) -> Result<(), Refusal> {
        let Ok(before) = self.clock.now().checked_sub(REMEMBER_FOR) else { return Ok(()) };
        self.store.forget_halves(before).await.map_err(|error| refusal::store(&error))
    }

    /// Examines the halves that were begun since then; until when all have been examined afterwards. Where that failed, it is
    /// as before, so that none falls out while the session service is away.
    pub(crate) async fn examine_since(&self, until: Timestamp) -> Timestamp {
        let now = self.clock.now();
        let examined = self.examine(Examine::Since(until)).await;
        let after = match &examined {
            Ok(()) => now.checked_sub(GRACE * 2).unwrap_or(Timestamp::MIN),
            Err(_) => until,
        };
        self.note_failure(examined);
        after
    }

    /// Ends halves whose session is not there: who began them has crashed in between, or its end was never told.
    async fn examine(&self, which: Examine) -> Result<(), Refusal> {
        let (now, mut after) = (self.clock.now(), None);
        loop {
            let query = HalfQuery { live: Some(true), after: after.take(), limit: PAGE, peer: None };
            let page = self.store.halves(&query).await.map_err(|error| refusal::store(&error))?;
            for half in page.iter().filter(|half| which.takes(half, now)) {
                if !self.local.is_live(&half.session).await? {
                    self.end_half(&half.session, false).await?;
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(last.session.clone()),
                _ => return Ok(()),
            }
        }
    }
}
