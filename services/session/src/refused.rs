//! Telling of what was refused (EV-1), so that the audit trail has it: as much of it as the [`Gate`] lets through by
//! itself, since anybody can have logins refused as fast as he likes, and the rest in sums.

mod gate;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::PhoneName;
use roamline_domain::phone_state::{Asked, Refused, SessionEvent};
use roamline_proto::refusal::Refusal;
use roamline_store::StoreError;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Core;
use crate::asker::Asker;

pub(crate) use gate::Gate;
use gate::Telling;

/// The longest user id that is kept of what was sent, in characters.
const LONGEST_USER: usize = 128;
/// Between two looks for sums to tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the last sums may take when the process stops.
const END_WITHIN: Duration = Duration::from_secs(1);

/// What was asked for: as it was sent.
pub(crate) struct What<'a> {
    pub asked: Asked,
    pub phone: &'a PhoneName,
    pub user: &'a str,
    pub profile: &'a str,
}

impl What<'_> {
    fn refused(self, asker: &Asker, refusal: &Refusal) -> Refused {
        Refused {
            what: self.asked,
            phone: self.phone.clone(),
            user: self.user.chars().take(LONGEST_USER).collect(),
            profile: self.profile.to_owned(),
            reason: Refusal::reason_name(refusal.reason).to_owned(),
            actor: asker.actor(),
            more: 0,
        }
    }
}

impl Core {
    /// Tells of a refusal, unless there are too many at once. That it cannot be told of is logged, and changes nothing
    /// about the answer.
    pub(crate) async fn tell_refused(&self, what: What<'_>, asker: &Asker, refusal: &Refusal) {
        let now = self.clock.now();
        let from = asker.caller.source.map(|source| source.ip());
        if let Some(telling) = self.refusals.enter(from, what.refused(asker, refusal), now) {
            self.tell_tellings(vec![telling], now).await;
        }
    }

    /// As [`Core::tell_refused`], however many there are.
    pub(crate) async fn tell_each_refused(&self, what: What<'_>, asker: &Asker, refusal: &Refusal) {
        let told = self.tell_all(std::iter::once(what.refused(asker, refusal)), self.clock.now()).await;
        if let Err(error) = told {
            tracing::error!(%error, "a refusal could not be told of");
        }
    }

    /// What cannot be told of is counted with what its sources do next; what may have been told of is not, or it would be
    /// counted twice.
    async fn tell_tellings(&self, tellings: Vec<Telling>, now: Timestamp) {
        if let Err(error) = self.tell_all(tellings.iter().map(|telling| telling.refused.clone()), now).await {
            tracing::error!(%error, "a refusal could not be told of");
            if !matches!(error, StoreError::InDoubt(_)) {
                self.refusals.put_back(tellings, now);
            }
        }
    }

    async fn tell_all(
        &self,
        refused: impl Iterator<Item = Refused>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.tell(refused.map(SessionEvent::Refused).collect(), now).await.map(drop)
    }

    async fn tell_sums(&self, in_the_end: bool) {
        let now = self.clock.now();
        let sums = self.refusals.sums(now, in_the_end);
        if !sums.is_empty() {
            self.tell_tellings(sums, now).await;
        }
    }
}

/// Tells of the sums until the process stops, and then of those that are left.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            _ = tick.tick() => core.tell_sums(false).await,
        }
    }
    if timeout(END_WITHIN, core.tell_sums(true)).await.is_err() {
        tracing::error!("the last sums of refusals could not be told of");
    }
}
