//! The oldest records go once they are older than they shall be kept: every replica looks, and each batch is one step of
//! the trail, which says up to which record it was and with which hash. So the first record that stays can be verified,
//! whoever deletes, and however often he is interrupted.
//!
//! The trail's knowledge of live sessions is not touched. A session that goes on while the record of its login is
//! deleted is told of again.

use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::SessionId;
use roamline_domain::audit::{AuditKind, AuditRecord};
use roamline_domain::phone_state::Session;
use roamline_serve::inventory::AUDIT_PRUNED;
use roamline_store::{AuditError, AuditQuery, AuditStore, StoreError};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::body::{Body, Pruned, Told, hex};
use super::fence::is_rebuilding;
use super::{Chain, FeedError};
use crate::Core;

/// Between two looks for what is too old.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Until the next look where one has failed.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Records that go in one step: nobody who writes waits longer than for these.
const BATCH: u32 = 1000;
/// Where others write all the time: a step of fewer is not faster to speak of.
const SMALLEST_BATCH: u32 = 50;
/// Between two steps.
const PACE: Duration = Duration::from_millis(200);
/// The same where others write all the time.
const SLOWEST_PACE: Duration = Duration::from_secs(30);

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing to do, or not now.
    Nothing,
    /// So many records went.
    Went(usize),
    /// The trail has moved.
    Moved,
}

/// How much the next step takes on, and when.
#[derive(Debug, PartialEq, Eq)]
struct Haste {
    batch: u32,
    pace: Duration,
}

impl Haste {
    const FULL: Self = Self { batch: BATCH, pace: PACE };

    /// After a step that others were faster than: a smaller one, later.
    fn less(&self) -> Self {
        Self { batch: (self.batch / 2).max(SMALLEST_BATCH), pace: (self.pace * 2).min(SLOWEST_PACE) }
    }
}

/// Looks until the process stops, if anything is to be deleted at all.
pub(super) async fn run(core: &Core) {
    let Some(keep_for) = core.config.keep_audit_for() else { return };
    let stopping = core.tasks.stopping();
    let every = keep_for.clamp(Duration::from_secs(1), LOOK_EVERY);
    loop {
        let pass = async {
            match pass(core, keep_for).await {
                Ok(()) => every,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "old audit records are not deleted; it is tried again");
                    every.min(AGAIN_AFTER)
                }
            }
        };
        let pause = tokio::select! {
            () = stopping.cancelled() => return,
            pause = pass => pause,
        };
        if timeout(pause, stopping.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// Deletes all that is too old now, step by step.
async fn pass(core: &Core, keep_for: Duration) -> Result<(), FeedError> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut all, mut haste) = (0, Haste::FULL);
    loop {
        pace.tick().await;
        // A rebuild shall not find the trail moved.
        if !core.store.is_begun().await.map_err(FeedError::Sessions)? {
            break;
        }
        let now = core.clock.now();
        let Ok(before) = now.checked_sub(keep_for) else { break };
        match step(&*core.audit, before, now, haste.batch).await? {
            Step::Nothing => break,
            Step::Went(number) => {
                AUDIT_PRUNED.add(number as u64, &[]);
                all += number;
                haste = Haste::FULL;
            }
            Step::Moved => {
                haste = haste.less();
                pace.reset_after(haste.pace);
            }
        }
    }
    if all > 0 {
        tracing::info!(records = all, "audit records older than they are kept for were deleted");
    }
    Ok(())
}

/// One step: the oldest records, so many at most, as far as they are all from before that instant. They are read before
/// it is looked where the trail stands, since that takes longest and others go on meanwhile.
pub(super) async fn step(
    audit: &dyn AuditStore,
    before: Timestamp,
    now: Timestamp,
    batch: u32,
) -> Result<Step, FeedError> {
    let failed = FeedError::Audit;
    let oldest = audit.records(&AuditQuery::default(), 0, batch).await.map_err(failed)?;
    let too_old: Vec<_> = oldest.into_iter().take_while(|record| record.at < before).collect();
    let (Some(first), Some(last)) = (too_old.first(), too_old.last()) else { return Ok(Step::Nothing) };
    // A step for what such steps have left would go on for ever.
    if too_old.iter().all(|record| record.kind == AuditKind::Pruned) {
        return Ok(Step::Nothing);
    }
    let place = audit.place().await.map_err(failed)?;
    let still = audit.records(&AuditQuery::default(), 0, 1).await.map_err(failed)?;
    if still.first().is_none_or(|still| still.number != first.number) {
        return Ok(Step::Moved);
    }
    if is_rebuilding(audit, &place, 0).await.map_err(failed)? {
        return Ok(Step::Nothing);
    }
    let kept = logins_of_live_sessions(audit, &too_old).await.map_err(failed)?;
    let mut chain = Chain::from(&place);
    for session in &kept {
        chain.add(Body::kept(session, now), now, None)?;
    }
    chain.add(pruned(&too_old, last, before, now), now, None)?;
    let step = chain.step(&place, Vec::new(), Vec::new());
    match audit.prune(step, last.number).await {
        Ok(()) => Ok(Step::Went(too_old.len())),
        Err(AuditError::Moved) => Ok(Step::Moved),
        Err(AuditError::Store(error)) => Err(failed(error)),
    }
}

fn pruned(too_old: &[AuditRecord], last: &AuditRecord, before: Timestamp, now: Timestamp) -> Body {
    let pruned =
        Pruned { until: last.number, hash: hex(&last.hash.0), records: too_old.len(), older_than: before };
    Body { pruned: Some(pruned), ..Body::empty(AuditKind::Pruned, now) }
}

/// The sessions that are live and whose logins are among these records.
async fn logins_of_live_sessions(
    audit: &dyn AuditStore,
    records: &[AuditRecord],
) -> Result<Vec<Session>, StoreError> {
    let logins =
        records.iter().filter(|record| matches!(record.kind, AuditKind::Login | AuditKind::LoginKept));
    let ids: Vec<SessionId> =
        logins.filter_map(|record| Told::by(&record.body).session_id.parse().ok()).collect();
    audit.live_among(&ids).await
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
