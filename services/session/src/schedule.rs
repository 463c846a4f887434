//! Changes of the daily logout times, or of the time zone, in sessions that are live (SP-10, SP-21, LO-7).
//!
//! A session holds the daily instant at which it ends, so that what fell due while nobody looked is found (LO-5). When
//! the times change, and once at the start, every replica gives live sessions their next one; whatever another replica
//! has done already changes nothing.

use std::sync::Arc;
use std::time::Duration;

use roamline_domain::PhoneName;
use roamline_domain::deadline::DailyLogouts;
use roamline_domain::parameters::ServiceParameters;
use roamline_proto::refusal::Refusal;
use roamline_store::About;
use tokio::time::{MissedTickBehavior, interval};

use crate::decide::Decided;
use crate::{Core, refusal};

/// Between two looks at whether the times have changed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Sessions read at once.
const PAGE: u32 = 500;

/// Follows the daily logout times until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        once(&core).await;
    }
}

/// Sets the deadlines of all live sessions by the times last heard of, unless that was done. What fails is tried again
/// at the next look.
pub(crate) async fn once(core: &Core) {
    let mut scheduled = core.scheduled.lock().await;
    let Some(daily) = core.daily.load_full() else { return };
    if scheduled.as_ref().is_some_and(|done| Arc::ptr_eq(done, &daily)) {
        return;
    }
    match core.schedule_all(&daily).await {
        Ok(()) => *scheduled = Some(daily),
        Err(refused) => tracing::error!(reason = ?refused.reason, "daily logout times were not taken over"),
    }
}

impl Core {
    async fn schedule_all(&self, daily: &DailyLogouts) -> Result<(), Refusal> {
        let mut after = None;
        loop {
            let page = self.store.list(None, after.as_ref(), PAGE).await;
            let page = page.map_err(|error| refusal::store(&error))?;
            let now = self.clock.now();
            for state in &page {
                if state.with_daily_logouts(daily, now).is_some() {
                    self.schedule(state.phone.clone(), daily).await?;
                }
            }
            match page.last() {
                Some(last) if page.len() >= PAGE as usize => after = Some(last.phone.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// A login that was in work while the times changed may have been decided by the former ones, and come too late to
    /// be among the sessions that were given the new: it gets them now. `before` is what was heard of when it began,
    /// and `policy` what it was decided by, as another replica of the directory may have told it.
    /// It stands if that fails; the next change sets it right.
    pub(crate) async fn schedule_login(
        &self,
        phone: &PhoneName,
        before: Option<&Arc<DailyLogouts>>,
        policy: &ServiceParameters,
    ) {
        let Some(daily) = self.daily.load_full() else { return };
        let heard = self.parameters.load();
        let is_decided_by_these =
            policy.daily_logout_times == heard.daily_logout_times && policy.time_zone == heard.time_zone;
        if is_decided_by_these && before.is_some_and(|before| Arc::ptr_eq(before, &daily)) {
            return;
        }
        if let Err(refused) = self.schedule(phone.clone(), &daily).await {
            tracing::error!(%phone, reason = ?refused.reason, "daily logout times were not taken over");
        }
    }

    async fn schedule(&self, phone: PhoneName, daily: &DailyLogouts) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.decide(&About::phone(phone), now, |loaded| {
            let states = loaded.held.phone.with_daily_logouts(daily, now).into_iter().collect();
            Ok(Decided { states, ..Decided::default() })
        })
        .await
    }
}
