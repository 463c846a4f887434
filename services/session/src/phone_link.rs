//! What comes from phones: what they wear, and what their users do (EV-3). And what an idle phone shall wear.

use jiff::Timestamp;
use roamline_domain::PhoneName;
use roamline_domain::phone_state::{Actions, HookState, PhoneState, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{About, has_record};

use crate::decide::Decided;
use crate::{Core, observe, refusal};

/// What a phone's user does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Where the handset is; `None` is where it was.
    pub hook: Option<HookState>,
    /// The phone's epoch that the link knows; 0 asks for no check.
    pub epoch: u64,
    /// What he did to his do-not-disturb setting (LI-12).
    pub do_not_disturb: Option<bool>,
}

/// Whether what was said of a phone at that epoch is from before its present session, or from before the end of its
/// last one, where the epoch of that is known.
fn is_stale(said_at: u64, state: &PhoneState, ended_at: Option<u64>) -> bool {
    let since = state.session.as_ref().map(|session| session.epoch).or(ended_at);
    said_at != 0 && since.is_some_and(|since| said_at < since)
}

fn stale(state: &PhoneState) -> Refusal {
    let text = format!("a session began or ended on {} after what was said of it", state.phone);
    Refusal::new(ErrorReason::PhoneEpochStale, text)
        .with("phone", state.phone.as_str())
        .with("phoneEpoch", state.epoch.to_string())
}

impl Core {
    /// Gives a phone that nobody is logged in to the wear that the directory has for it now. A phone that was never
    /// told anything is told so first here.
    pub(crate) async fn dress_if_idle(&self, phone: &PhoneName) -> Result<(), Refusal> {
        let facts = match self.peers.prepare_logout(phone).await {
            Ok(facts) => facts,
            Err(refused) => {
                let known = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
                let reachable = refused.reason == ErrorReason::PhoneNotFound;
                return if known.is_some() && !reachable { Ok(()) } else { Err(refused) };
            }
        };
        let now = self.clock.now();
        self.decide(&About::phone(phone.clone()), now, |loaded| {
            let state = &loaded.held.phone;
            let told = has_record(state);
            if state.session.is_some() || (told && state.wears == facts.configuration) {
                return Ok(Decided::default());
            }
            let restart = Actions { restart: true, ..Actions::default() };
            Ok(Decided {
                states: vec![state.dressed(facts.configuration.clone(), restart)],
                events: vec![SessionEvent::Redressed(phone.clone())],
                reply: None,
                outcome: (),
            })
        })
        .await
    }

    /// Notes that a phone wears a generation; returns the newest there is.
    pub(crate) async fn acknowledge(&self, phone: PhoneName, generation: u64) -> Result<u64, Refusal> {
        let now = self.clock.now();
        let mut before = u64::MAX;
        let acknowledged = |state: &PhoneState| {
            before = state.acknowledged;
            state.acknowledged(generation).map_err(refusal::generation)
        };
        let state = self.change_phone(phone, now, acknowledged).await?;
        observe::acknowledged(before, &state, now);
        Ok(state.generation)
    }

    /// Notes what a phone's user does. A logout that waited for the handset is made at once (LO-4); should that fail,
    /// the next sweep makes it.
    pub(crate) async fn report(&self, phone: PhoneName, report: Report) -> Result<(), Refusal> {
        let now = self.clock.now();
        let ended_at = if report.epoch == 0 { None } else { self.ended_at(&phone).await? };
        let noted = |state: &PhoneState| {
            if is_stale(report.epoch, state, ended_at) {
                return Err(stale(state));
            }
            Ok(report.hook.and_then(|hook| state.with_hook(hook, now)))
        };
        let state = self.change_phone(phone.clone(), now, noted).await?;
        let waits = state.session.as_ref().is_some_and(|session| session.pending_logout.is_some());
        if waits
            && report.hook == Some(HookState::OnHook)
            && let Err(refused) = self.keep_deadline(phone.clone(), now).await
        {
            tracing::error!(%phone, reason = ?refused.reason, "a logout that waited could not be made yet");
        }
        match report.do_not_disturb {
            Some(on) => self.do_not_disturb(&state, on).await,
            None => Ok(()),
        }
    }

    /// The phone's epoch when its last session had ended. The log, which may still be being read, is asked for it only
    /// where nobody is logged in; a session that ends from now on has ended later than it began.
    async fn ended_at(&self, phone: &PhoneName) -> Result<Option<u64>, Refusal> {
        let known = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        match known.and_then(|state| state.session) {
            Some(live) => Ok(Some(live.epoch.saturating_add(1))),
            None => self.events.ended_at_epoch(phone).await,
        }
    }

    async fn change_phone(
        &self,
        phone: PhoneName,
        now: Timestamp,
        mut change: impl FnMut(&PhoneState) -> Result<Option<PhoneState>, Refusal>,
    ) -> Result<PhoneState, Refusal> {
        self.decide(&About::phone(phone), now, |loaded| {
            let state = &loaded.held.phone;
            if !has_record(state) {
                return Err(Refusal::new(
                    ErrorReason::PhoneNotFound,
                    format!("{} was never linked: watch it first", state.phone),
                )
                .with("phone", state.phone.as_str()));
            }
            let changed = change(state)?;
            let outcome = changed.as_ref().unwrap_or(state).clone();
            Ok(Decided { states: changed.into_iter().collect(), events: Vec::new(), reply: None, outcome })
        })
        .await
    }
}
