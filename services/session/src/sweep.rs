//! Automatic logout, at the maximum time, after the idle limit and at daily times: every replica looks for sessions that
//! are due, and the commit makes each logout happen once (LO-5).

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use roamline_domain::PhoneName;
use tokio::time::{MissedTickBehavior, interval};

use crate::Core;
use crate::logout::Kept;

/// Sessions looked at in one go.
const BATCH: u32 = 100;
/// Of these in work at once: at a daily logout time all sessions fall due together.
const AT_ONCE: usize = 32;
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

/// Ends every session that is due now; returns how many.
pub(crate) async fn once(core: &Core) -> usize {
    let mut ended = 0;
    loop {
        let now = core.clock.now();
        let phones = match core.store.due(now, BATCH).await {
            Ok(phones) => phones,
            Err(error) => {
                tracing::error!(%error, "sessions that are due could not be found");
                return ended;
            }
        };
        let found = phones.len();
        let mut moved = false;
        let keep = async |phone: PhoneName| (core.keep_deadline(phone.clone(), now).await, phone);
        let mut kept = stream::iter(phones).map(keep).buffer_unordered(AT_ONCE);
        while let Some((outcome, phone)) = kept.next().await {
            match outcome {
                Ok(Kept::Ended(_)) => {
                    ended += 1;
                    moved = true;
                }
                Ok(Kept::Later) => moved = true,
                Ok(Kept::Nothing) => {}
                Err(refused) => {
                    tracing::error!(%phone, reason = ?refused.reason, "a session that is due could not be ended");
                }
            }
        }
        if found < BATCH as usize || !moved {
            return ended;
        }
    }
}

async fn trim(core: &Core) {
    let now = core.clock.now();
    let since = now.checked_sub(core.config.keep_events_for).unwrap_or(jiff::Timestamp::MIN);
    if let Err(error) = core.store.trim(now, since).await {
        tracing::error!(%error, "old events and replies could not be forgotten");
    }
}
