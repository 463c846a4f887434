//! Ending many sessions one after another, at a pace, so that phones do not restart all at once (LO-8).
//!
//! The work is done as its messages are read, and stops with the call: nothing is kept of it, and the same call goes on
//! with what is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use roamline_domain::logout::{Insistence, Note};
use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, ProfileName, SessionId, UserId};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::asker::Asker;
use crate::logout::{Ending, Target, reason};
use crate::watch::server_stops;
use crate::{Core, refusal};

/// Sessions read at once.
const PAGE: u32 = 500;

/// Whose sessions end, and how fast.
pub(crate) struct Asked {
    pub user: Option<UserId>,
    pub profile: Option<ProfileName>,
    /// Sessions to end a second, at least 1.
    pub rate: u32,
    pub force: Option<Note>,
}

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub total: u32,
    pub ended: u32,
    pub gone: u32,
    pub busy: u32,
    pub failed: u32,
    /// Whose turn has just been.
    pub turn: Option<Turn>,
    pub done: bool,
}

/// A session whose turn has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// As it was then.
    Live(Box<Session>),
    /// All that is known of one that has ended, or cannot be read.
    Named(PhoneName, SessionId),
}

/// The one that runs on this replica: who began it.
#[derive(Default)]
pub(crate) struct Running(Mutex<Option<String>>);

/// The place of the one that runs.
struct Place(Arc<Core>);

impl Place {
    fn take(core: &Arc<Core>, by: &str) -> Result<Self, Refusal> {
        let mut running = core.logout_all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = running.as_ref() {
            return Err(Refusal::new(
                ErrorReason::LogoutAllRunning,
                "another logout of many sessions is being paced on this replica (LO-8)",
            )
            .with("startedBy", other));
        }
        *running = Some(by.to_owned());
        Ok(Self(Arc::clone(core)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.logout_all.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

struct Run {
    place: Place,
    asker: Asker,
    insistence: Insistence,
    /// Those whose turn is to come.
    left: VecDeque<(PhoneName, SessionId)>,
    tick: Interval,
    progress: Progress,
    step: Step,
}

enum Step {
    Begin,
    Turns,
    Over,
}

/// Ends the sessions as messages are asked for: the first tells how many there are, then each one of a turn, then the
/// last.
///
/// # Errors
/// Another one runs on this replica, or the sessions cannot be read.
pub(crate) async fn run(
    core: &Arc<Core>,
    asked: Asked,
    asker: Asker,
) -> Result<impl Stream<Item = Result<Progress, Refusal>> + Send + use<>, Refusal> {
    let place = Place::take(core, &asker.caller.name)?;
    let left = core.live(asked.user.as_ref(), asked.profile.as_ref()).await?;
    let mut tick = interval(Duration::from_secs(1) / asked.rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let run = Run {
        place,
        asker,
        insistence: asked.force.map_or(Insistence::None, Insistence::Forced),
        progress: Progress { total: u32::try_from(left.len()).unwrap_or(u32::MAX), ..Progress::default() },
        left,
        tick,
        step: Step::Begin,
    };
    Ok(unfold(run, |mut run| async move {
        let told = run.next().await?;
        if told.is_err() {
            run.step = Step::Over;
        }
        Some((told, run))
    }))
}

impl Run {
    async fn next(&mut self) -> Option<Result<Progress, Refusal>> {
        match self.step {
            Step::Begin => self.step = Step::Turns,
            Step::Over => return None,
            Step::Turns => match self.left.pop_front() {
                None => {
                    self.step = Step::Over;
                    self.progress.done = true;
                    self.progress.turn = None;
                }
                Some((phone, session)) => {
                    let stopping = self.place.0.tasks.stopping();
                    tokio::select! {
                        () = stopping.cancelled() => return Some(Err(server_stops())),
                        _ = self.tick.tick() => {}
                    }
                    self.turn(phone, session).await;
                }
            },
        }
        Some(Ok(self.progress.clone()))
    }

    async fn turn(&mut self, phone: PhoneName, id: SessionId) {
        let core = &self.place.0;
        let live = core.store.phone(&phone).await.map(|state| state.and_then(|state| state.session));
        let (counted, turn) = match live {
            Ok(Some(session)) if session.id == id => {
                let counted = match self.end(&phone, &id).await {
                    Ok(()) => &mut self.progress.ended,
                    Err(refused) => match refused.reason {
                        ErrorReason::NotLoggedIn | ErrorReason::SessionNotFound => &mut self.progress.gone,
                        ErrorReason::AgentBusy => &mut self.progress.busy,
                        reason => {
                            tracing::error!(%phone, ?reason, "a session could not be ended");
                            &mut self.progress.failed
                        }
                    },
                };
                (counted, Turn::Live(Box::new(session.told())))
            }
            Ok(_) => (&mut self.progress.gone, Turn::Named(phone, id)),
            Err(error) => {
                tracing::error!(%phone, %error, "a session could not be read");
                (&mut self.progress.failed, Turn::Named(phone, id))
            }
        };
        *counted += 1;
        self.progress.turn = Some(turn);
    }

    async fn end(&self, phone: &PhoneName, id: &SessionId) -> Result<(), Refusal> {
        let core = &self.place.0;
        let ending = Ending {
            target: Target::Session(id.clone()),
            phone: phone.clone(),
            reason: reason(None, &self.asker.caller)?,
            insistence: self.insistence.clone(),
            phone_epoch: None,
        };
        core.end(&ending, &self.asker, core.clock.now(), |_| None).await.map(|_| ())
    }
}

impl Core {
    /// Sessions that are live: one user's, or such as wear a profile, or all.
    async fn live(
        &self,
        user: Option<&UserId>,
        profile: Option<&ProfileName>,
    ) -> Result<VecDeque<(PhoneName, SessionId)>, Refusal> {
        let mut found = VecDeque::new();
        let mut after = None;
        loop {
            let page = self.store.list(user, after.as_ref(), PAGE).await;
            let page = page.map_err(|error| refusal::store(&error))?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|state| state.phone.clone());
            let sessions = page.into_iter().filter_map(|state| state.session);
            let wanted = sessions.filter(|session| profile.is_none_or(|profile| session.profile == *profile));
            found.extend(wanted.map(|session| (session.phone, session.id)));
            if is_last {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
#[path = "logout_all_tests.rs"]
mod tests;
