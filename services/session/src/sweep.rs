//! Automatic logout: every replica looks for sessions that are due, and the commit makes each logout happen once
//! (LO-5).

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use crate::Core;

/// Sessions looked at in one go.
const BATCH: u32 = 100;
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
        let before = ended;
        for phone in phones {
            match core.end_if_due(phone.clone(), now).await {
                Ok(Some(session)) => {
                    tracing::info!(%phone, user = %session.session.user, reason = ?session.reason, "logged out");
                    ended += 1;
                }
                Ok(None) => {}
                Err(refused) => {
                    tracing::error!(%phone, reason = ?refused.reason, "a session that is due could not be ended");
                }
            }
        }
        if found < BATCH as usize || ended == before {
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
