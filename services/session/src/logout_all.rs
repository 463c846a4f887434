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
use roamline_domain::phone_state::{self, Session};
use roamline_domain::{PhoneName, ProfileName, SessionId, UserId};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_token::{Caller, scope};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::asker::Asker;
use crate::logout::{Ending, Target, reason};
use crate::reach::Within;
use crate::refused::What;
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

/// Those that run on this replica, one of each kind: who began them. A supervisor's does not lock an administrator out.
#[derive(Default)]
pub(crate) struct Running {
    /// By somebody who may end everybody's sessions.
    managing: Mutex<Option<String>>,
    /// By somebody else.
    other: Mutex<Option<String>>,
}

impl Running {
    fn of(&self, manages: bool) -> &Mutex<Option<String>> {
        if manages { &self.managing } else { &self.other }
    }
}

/// The place of one that runs.
struct Place {
    core: Arc<Core>,
    manages: bool,
}

impl Place {
    /// Who began another one is told only to those who may end everybody's sessions.
    fn take(core: &Arc<Core>, by: &Caller) -> Result<Self, Refusal> {
        let manages = by.has(scope::SESSION_MANAGE);
        let mut running = core.logout_all.of(manages).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = running.as_ref() {
            let refused = Refusal::new(
                ErrorReason::LogoutAllRunning,
                "another logout of many sessions is being paced on this replica (LO-8)",
            );
            return Err(if manages { refused.with("startedBy", other) } else { refused });
        }
        *running = Some(by.name.clone());
        Ok(Self { core: Arc::clone(core), manages })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.core.logout_all.of(self.manages).lock().unwrap_or_else(PoisonError::into_inner) = None;
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
/// The caller may not, another one of his kind runs on this replica, or the sessions cannot be read.
pub(crate) async fn run(
    core: &Arc<Core>,
    asked: Asked,
    asker: Asker,
) -> Result<impl Stream<Item = Result<Progress, Refusal>> + Send + use<>, Refusal> {
    let within = core.within(asked.user, &asker.caller, scope::SESSION_MANAGE).await?;
    let place = Place::take(core, &asker.caller)?;
    let left = core.live(&within, asked.profile.as_ref()).await?;
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
                    let stopping = self.place.core.tasks.stopping();
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
        let core = &self.place.core;
        let live = core.store.phone(&phone).await.map(|state| state.and_then(|state| state.session));
        let (counted, turn) = match live {
            Ok(Some(session)) if session.id == id => {
                let ended = self.end(&phone, &id).await;
                if let Err(refused) = &ended {
                    self.tell_refused(&session, refused).await;
                }
                let counted = match ended.map_err(|refused| refused.reason) {
                    Ok(()) => &mut self.progress.ended,
                    Err(ErrorReason::NotLoggedIn | ErrorReason::SessionNotFound) => &mut self.progress.gone,
                    Err(ErrorReason::AgentBusy) => &mut self.progress.busy,
                    Err(reason) => {
                        tracing::error!(%phone, ?reason, "a session could not be ended");
                        &mut self.progress.failed
                    }
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

    /// Tells of a logout that was refused (EV-1), each by itself: an administrator has set the pace. That a session had
    /// ended by itself just before is no refusal.
    async fn tell_refused(&self, session: &Session, refused: &Refusal) {
        if matches!(refused.reason, ErrorReason::NotLoggedIn | ErrorReason::SessionNotFound) {
            return;
        }
        let (user, profile) = (session.user.as_str(), session.profile.as_str());
        let what = What { asked: phone_state::Asked::Logout, phone: &session.phone, user, profile };
        self.place.core.tell_each_refused(what, &self.asker, refused).await;
    }

    async fn end(&self, phone: &PhoneName, id: &SessionId) -> Result<(), Refusal> {
        let core = &self.place.core;
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
    /// Sessions that are live within what was asked for, or such of them as wear a profile.
    async fn live(
        &self,
        within: &Within,
        profile: Option<&ProfileName>,
    ) -> Result<VecDeque<(PhoneName, SessionId)>, Refusal> {
        let mut found = VecDeque::new();
        let mut after = None;
        loop {
            let page = self.store.list(within.user.as_ref(), after.as_ref(), PAGE).await;
            let page = page.map_err(|error| refusal::store(&error))?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|state| state.phone.clone());
            let mut sessions: Vec<_> = page.into_iter().filter_map(|state| state.session).collect();
            sessions.retain(|session| profile.is_none_or(|profile| session.profile == *profile));
            let reached = self.reached(within.bound.as_ref(), sessions.iter().collect()).await?;
            sessions.retain(|session| reached.takes(session));
            found.extend(sessions.into_iter().map(|session| (session.phone, session.id)));
            if is_last {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
#[path = "logout_all_tests.rs"]
mod tests;
