//! The service parameters as this replica last heard of them: asked for again and again, so that a change takes effect
//! within two seconds (SP-21). What comes before the directory is asked about a login goes by them: where the caller
//! is (SP-9, SP-12) and how many logins are in work (SP-4); so do the daily logouts of live sessions (SP-10). Where they cannot be had the last ones known hold, before
//! the first the defaults.

use std::sync::Arc;
use std::time::Duration;

use roamline_domain::deadline::DailyLogouts;
use roamline_serve::inventory::PARAMETERS_AGE;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::Core;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(400);
/// How long an answer may take; with the time between two questions, what holds is less than a second old.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Questions without an answer after which that is told.
const TOLD_AFTER: u32 = 5;

/// Follows the parameters until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut tick = interval(ASK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut unanswered, mut read_at) = (0_u32, Instant::now());
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Ok(Ok(parameters)) = timeout(ANSWER_WITHIN, core.peers.service_parameters()).await {
            core.limit.set(parameters.maximum_concurrent_requests);
            let daily = DailyLogouts::of(&parameters);
            if core.daily.load().as_deref() != Some(&daily) {
                if daily.is_empty() && !parameters.daily_logout_times.is_empty() {
                    let zone = &parameters.time_zone;
                    tracing::error!(%zone, "the time zone is not known here; nobody is logged out at daily times");
                }
                core.daily.store(Some(Arc::new(daily)));
            }
            core.parameters.store(Arc::new(parameters));
            (unanswered, read_at) = (0, Instant::now());
        } else {
            unanswered = unanswered.saturating_add(1);
            if unanswered == TOLD_AFTER {
                tracing::warn!("the service parameters cannot be read; the last ones known hold");
            }
        }
        PARAMETERS_AGE.set(i64::try_from(read_at.elapsed().as_secs()).unwrap_or(i64::MAX));
    }
}
