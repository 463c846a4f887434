//! Following sessions: a snapshot, then every login and logout in order and once, with heartbeats (EV-2, EV-4).
//!
//! A watch holds little but its place. A slow reader falls behind in the log, not in memory; one that falls behind
//! what is kept is told so, as is everyone whose place was lost with the end of the log.

mod lines;
mod reviews;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::{StreamExt, TryStreamExt, iter, unfold};
use roamline_domain::phone_state::{PhoneState, Session, SessionEvent};
use roamline_domain::{PhoneName, SessionId};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::WATCHERS;
use roamline_token::Caller;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::events::{Noted, Place, Seen, begin_anew};
use crate::reach::Bound;
use crate::whereabouts::Filter;
use crate::{Core, refusal};

use reviews::Known;

pub(crate) use lines::PhoneLines;

/// Sessions of a snapshot that are made ready at once.
const SNAPSHOT_PAGE: usize = 500;
/// Phones read from the store at once.
const AT_ONCE: usize = 32;

/// One message of a watch, and the place from which it can be resumed.
pub(crate) struct Told {
    pub message: Message,
    pub resume: Option<Place>,
}

pub(crate) enum Message {
    /// A live session, and whether its phone wears it.
    Snapshot(Box<Session>, bool),
    SnapshotDone,
    Event(Arc<Noted>),
    /// What the numbers on the phone are from now on.
    PhoneLines(PhoneLines),
    /// A live session that the caller reaches from now on, and whether its phone wears it.
    InReach(Box<Session>, bool),
    /// One that he does not reach any more.
    OutOfReach(SessionId, PhoneName),
    Heartbeat,
}

/// What is followed.
pub(crate) struct Asked {
    pub filter: Filter,
    /// What the caller reaches, by the directory as it is when something is told; `None` for everything.
    pub bound: Option<Bound>,
    /// Whom the numbers on the filter's phone are told, too (EV-4).
    pub lines_for: Option<Caller>,
}

struct Watch {
    core: Arc<Core>,
    asked: Asked,
    log: u64,
    place: Place,
    /// What is left of the snapshot; `None` once it was told whole.
    snapshot: Option<VecDeque<Arc<Session>>>,
    /// The numbers that were told last, and whether there may be others.
    lines: Option<PhoneLines>,
    lines_due: bool,
    /// Of a caller with a bound.
    known: Option<Known>,
    ready: VecDeque<Told>,
    silent_since: Instant,
    ended: bool,
}

/// Follows the sessions that are asked for, from a place or from a snapshot.
pub(crate) async fn sessions(
    core: Arc<Core>,
    asked: Asked,
    resume: Option<Place>,
) -> Result<impl Stream<Item = Result<Told, Refusal>> + Send, Refusal> {
    let (log, place, snapshot) = match resume {
        Some(place) => {
            let log = core.events.log().await?;
            core.events.still_has(&place).await?;
            (log, place, None)
        }
        None => {
            let Seen { log, place, mut sessions } = core.events.matching(&asked.filter).await?;
            let seen = sessions.iter().map(AsRef::as_ref).collect();
            let reached = core.reached(asked.bound.as_ref(), seen).await?;
            sessions.retain(|session| reached.takes(session));
            (log, place, Some(sessions.into()))
        }
    };
    WATCHERS.add(1, &[("kind", "sessions")]);
    let review_in = if snapshot.is_some() { core.config.heartbeat() } else { Duration::ZERO };
    let known = asked.bound.as_ref().map(|_| Known::nothing(Instant::now() + review_in));
    let watch = Watch {
        lines: None,
        lines_due: asked.lines_for.is_some(),
        known,
        core,
        asked,
        log,
        place,
        snapshot,
        ready: VecDeque::new(),
        silent_since: Instant::now(),
        ended: false,
    };
    Ok(unfold(watch, |mut watch| async move {
        let told = watch.next().await?;
        watch.ended = told.is_err();
        watch.silent_since = Instant::now();
        Some((told, watch))
    }))
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHERS.add(-1, &[("kind", "sessions")]);
    }
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Told, Refusal>> {
        if self.ended {
            return None;
        }
        let stopping = self.core.tasks.stopping();
        let mut position = self.core.events.position();
        let heartbeat_at = self.silent_since + self.core.config.heartbeat();
        // A watch that has much to tell must not keep all others waiting.
        consume_budget().await;
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(Ok(told));
            }
            let reached = *position.borrow_and_update();
            let read = if reached.log != self.log {
                Err(begin_anew())
            } else if self.snapshot.is_some() {
                self.read_snapshot().await
            } else if self.lines_due {
                self.read_lines().await
            } else if reached.sequence > self.place.sequence {
                self.read_on().await
            } else if self.review_at().is_some_and(|at| at <= Instant::now()) {
                self.review().await
            } else {
                let until = self.review_at().map_or(heartbeat_at, |at| at.min(heartbeat_at));
                tokio::select! {
                    () = stopping.cancelled() => Err(server_stops()),
                    waited = timeout_at(until, position.changed()) => match waited {
                        Err(_elapsed) if until < heartbeat_at => Ok(()),
                        Err(_elapsed) => {
                            let resume = Some(self.place);
                            return Some(Ok(Told { message: Message::Heartbeat, resume }));
                        }
                        Ok(Err(_closed)) => Err(server_stops()),
                        Ok(Ok(())) => Ok(()),
                    },
                }
            };
            if let Err(refused) = read {
                return Some(Err(refused));
            }
        }
    }

    /// Makes the next page of the snapshot ready: each session as it is now, or, where it has ended meanwhile, as it
    /// was; that it ended is told after the snapshot.
    async fn read_snapshot(&mut self) -> Result<(), Refusal> {
        let Some(left) = &mut self.snapshot else { return Ok(()) };
        let page: Vec<_> = left.drain(..left.len().min(SNAPSHOT_PAGE)).collect();
        if page.is_empty() {
            self.snapshot = None;
            self.ready.push_back(Told { message: Message::SnapshotDone, resume: Some(self.place) });
            return Ok(());
        }
        let mut now = if self.takes_all() { self.range(&page).await? } else { self.each(&page).await? };
        for was in page {
            let (session, applied) = as_it_is(&was, now.remove(&was.phone));
            if let Some(known) = &mut self.known {
                known.is_told(&session);
            }
            let message = Message::Snapshot(session, applied);
            self.ready.push_back(Told { message, resume: None });
        }
        Ok(())
    }

    fn takes_all(&self) -> bool {
        self.asked.filter.is_all() && self.asked.bound.is_none()
    }

    /// The phones of a page that is one of all sessions.
    async fn range(&self, page: &[Arc<Session>]) -> Result<HashMap<PhoneName, PhoneState>, Refusal> {
        let mut found = HashMap::new();
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(found) };
        if let Some(state) = self.phone(first).await? {
            found.insert(state.phone.clone(), state);
        }
        let mut after = first.phone.clone();
        while after < last.phone {
            let limit = u32::try_from(SNAPSHOT_PAGE).unwrap_or(u32::MAX);
            let states = self.core.store.list(None, Some(&after), limit).await;
            let states = states.map_err(|error| refusal::store(&error))?;
            let Some(reached) = states.last() else { break };
            after = reached.phone.clone();
            found.extend(states.into_iter().map(|state| (state.phone.clone(), state)));
        }
        Ok(found)
    }

    /// The phones of a page that is one of few sessions.
    async fn each(&self, page: &[Arc<Session>]) -> Result<HashMap<PhoneName, PhoneState>, Refusal> {
        let states = iter(page.to_vec()).map(|session| {
            let store = Arc::clone(&self.core.store);
            async move { store.phone(&session.phone).await }
        });
        let states: Result<Vec<_>, _> = states.buffered(AT_ONCE).try_collect().await;
        let states = states.map_err(|error| refusal::store(&error))?;
        Ok(states.into_iter().flatten().map(|state| (state.phone.clone(), state)).collect())
    }

    async fn phone(&self, session: &Session) -> Result<Option<PhoneState>, Refusal> {
        self.core.store.phone(&session.phone).await.map_err(|error| refusal::store(&error))
    }

    /// Takes the next events; what is not for this watch moves its place all the same.
    async fn read_on(&mut self) -> Result<(), Refusal> {
        let events = self.core.events.after(self.log, &self.place).await?;
        let sessions = events.iter().filter_map(|event| event.stored.event.session()).collect();
        let reached = self.core.reached(self.asked.bound.as_ref(), sessions).await?;
        for event in events {
            self.place = event.place();
            let told = match &event.stored.event {
                SessionEvent::Redressed(_) | SessionEvent::Refused(_) => false,
                other => other
                    .session()
                    .is_some_and(|session| self.asked.filter.takes(session) && reached.takes(session)),
            };
            self.lines_due |= self.may_change_lines(&event.stored.event);
            if let Some(known) = &mut self.known {
                known.heard(&event.stored.event, told);
            }
            if told {
                let worn = event.is_worn(self.core.store.as_ref()).await;
                worn.map_err(|error| refusal::store(&error))?;
                self.ready.push_back(Told { resume: Some(event.place()), message: Message::Event(event) });
            }
        }
        Ok(())
    }
}

/// A session as its phone has it now, and whether the phone wears it; as it was, where it has ended meanwhile.
fn as_it_is(was: &Session, phone: Option<PhoneState>) -> (Box<Session>, bool) {
    let applied = phone.as_ref().is_some_and(PhoneState::session_is_applied);
    match phone.and_then(|phone| phone.session).filter(|session| session.id == was.id) {
        Some(session) => (Box::new(session.told()), applied),
        None => (Box::new(was.clone()), false),
    }
}

/// What open streams are told when the process stops.
pub(crate) fn server_stops() -> Refusal {
    Refusal::new(ErrorReason::ServiceUnavailable, "the server stops; connect again")
        .with("service", "session")
}
