//! What the service counts. No user and no phone is a label.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roamline_domain::deadline::Deadline;
use roamline_domain::phone_state::{EndedSession, PhoneState};
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::{LATENESS, LIVE, LOGIN_PHASES, LOGINS, LOGOUTS};
use tokio::time::{MissedTickBehavior, interval};

use crate::Core;
use crate::convert::reason_word;

/// How often live sessions are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// A login, made or refused.
pub(crate) fn login(refused: Option<&Refusal>) {
    match refused {
        None => LOGINS.add(1, &[("result", "ok"), ("reason", "")]),
        Some(refused) => {
            let reason = Refusal::reason_name(refused.reason);
            tracing::info!(%reason, message = %refused.message, "login refused");
            LOGINS.add(1, &[("result", "refused"), ("reason", reason)]);
        }
    }
}

/// A logout.
pub(crate) fn logout(ended: &EndedSession) {
    LOGOUTS.add(1, &[("reason", reason_word(ended.reason))]);
}

/// An automatic logout that should have been made at `deadline`: when it fell due, or, where it waited for the handset,
/// when that was down.
pub(crate) fn automatic_logout(ended: &EndedSession, deadline: Deadline, now: Timestamp) {
    logout(ended);
    LATENESS.record(now.duration_since(deadline.at).as_secs_f64().max(0.0), &[]);
}

/// A phone has said that it wears what a login brought; `before` is what it wore by its own word.
pub(crate) fn acknowledged(before: u64, state: &PhoneState, now: Timestamp) {
    let Some(session) = &state.session else { return };
    if (before..state.acknowledged).contains(&session.generation.saturating_sub(1)) {
        phase("acknowledge", now.duration_since(session.since).as_secs_f64().max(0.0));
    }
}

/// How long a phase of a login took.
pub(crate) async fn phase_of<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    phase(name, begun.elapsed().as_secs_f64());
    done
}

/// A phase of a login has taken so many seconds.
pub(crate) fn phase(name: &'static str, seconds: f64) {
    LOGIN_PHASES.record(seconds, &[("phase", name)]);
}

/// Counts live sessions now and then, until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut tick = interval(COUNT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let count = async {
            tick.tick().await;
            core.store.count().await
        };
        let counted = tokio::select! {
            () = stopping.cancelled() => return,
            counted = count => counted,
        };
        match counted {
            Ok(number) => LIVE.set(i64::try_from(number).unwrap_or(i64::MAX)),
            Err(error) => tracing::debug!(%error, "live sessions cannot be counted now"),
        }
    }
}
