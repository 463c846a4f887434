//! The link to phones: what a phone shall be, what it says it wears, and where its handset is (EV-3).

use std::sync::Arc;

use futures::Stream;
use futures::stream::unfold;
use jiff::Timestamp;
use roamline_domain::PhoneName;
use roamline_domain::phone_state::{Actions, HookState, PhoneState, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::About;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::decide::Decided;
use crate::watch::server_stops;
use crate::{Core, refusal};

/// One message to a phone.
#[allow(clippy::large_enum_variant, reason = "messages live one at a time")]
pub(crate) enum ToPhone {
    Update(PhoneState),
    Heartbeat,
}

struct Link {
    core: Arc<Core>,
    phone: PhoneName,
    bell: watch::Receiver<u64>,
    /// The newest generation that was sent.
    sent: Option<u64>,
    ended: bool,
}

/// Follows what a phone shall be: its present state at once, then each newer one.
pub(crate) async fn watch(
    core: Arc<Core>,
    phone: PhoneName,
) -> Result<impl Stream<Item = Result<ToPhone, Refusal>> + Send, Refusal> {
    core.dress_if_idle(&phone).await?;
    let bell = core.events.bell(&phone);
    core.observe.watchers.add(1, &[("kind", "phone")]);
    let link = Link { core, phone, bell, sent: None, ended: false };
    Ok(unfold(link, |mut link| async move {
        let told = link.next().await?;
        link.ended = told.is_err();
        Some((told, link))
    }))
}

impl Drop for Link {
    fn drop(&mut self) {
        self.core.observe.watchers.add(-1, &[("kind", "phone")]);
    }
}

impl Link {
    async fn next(&mut self) -> Option<Result<ToPhone, Refusal>> {
        if self.ended {
            return None;
        }
        let stopping = self.core.tasks.stopping();
        let mut look = self.sent.is_none();
        loop {
            if look || self.bell.has_changed().unwrap_or(true) {
                self.bell.mark_unchanged();
                match self.core.store.phone(&self.phone).await {
                    Ok(Some(state)) if self.sent.is_none_or(|sent| state.generation > sent) => {
                        self.sent = Some(state.generation);
                        return Some(Ok(ToPhone::Update(state)));
                    }
                    Ok(_) => {}
                    Err(error) => return Some(Err(refusal::store(&error))),
                }
            }
            tokio::select! {
                () = stopping.cancelled() => return Some(Err(server_stops())),
                waited = timeout(self.core.config.heartbeat(), self.bell.changed()) => match waited {
                    Err(_elapsed) => return Some(Ok(ToPhone::Heartbeat)),
                    Ok(Err(_closed)) => return Some(Err(server_stops())),
                    Ok(Ok(())) => look = true,
                },
            }
        }
    }
}

impl Core {
    /// Gives a phone that nobody is logged in to the wear that the directory has for it now. A phone that was never
    /// told anything is told so first here.
    async fn dress_if_idle(&self, phone: &PhoneName) -> Result<(), Refusal> {
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
            let told = state.generation > 0;
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
        let acknowledged = |state: &PhoneState| state.acknowledged(generation).map_err(refusal::generation);
        Ok(self.change_phone(phone, now, acknowledged).await?.generation)
    }

    /// Notes where a phone's handset is. A logout that waited for it is made at once (LO-4); should that fail, the
    /// next sweep makes it.
    pub(crate) async fn report(&self, phone: PhoneName, hook: HookState) -> Result<(), Refusal> {
        let now = self.clock.now();
        let state = self.change_phone(phone.clone(), now, |state| Ok(state.with_hook(hook, now))).await?;
        let waits = state.session.as_ref().is_some_and(|session| session.pending_logout.is_some());
        if waits
            && hook == HookState::OnHook
            && let Err(refused) = self.keep_deadline(phone.clone(), now).await
        {
            tracing::error!(%phone, reason = ?refused.reason, "a logout that waited could not be made yet");
        }
        Ok(())
    }

    async fn change_phone(
        &self,
        phone: PhoneName,
        now: Timestamp,
        change: impl Fn(&PhoneState) -> Result<Option<PhoneState>, Refusal>,
    ) -> Result<PhoneState, Refusal> {
        self.decide(&About::phone(phone), now, |loaded| {
            let state = &loaded.held.phone;
            if state.epoch == 0 {
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
