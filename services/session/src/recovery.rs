//! A session store that holds nothing, because it is new or has lost everything, is begun: with the sessions that are
//! live by the audit trail, in the wear that the directory makes of them now.
//!
//! Every replica looks and prepares; the store takes what one of them brings, and all of it or nothing. A store that
//! cannot lose what it holds is always begun.

mod restored;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::{EndedSession, LogoutReason, PhoneState, Session};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::metrics::Counter;
use roamline_store::{AuditPlace, Sequence, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::Core;

/// How far the events of a rebuilt store are from the last one of the trail: the last of all may not be in it. The trail
/// knows a rebuilt store by that.
const JUMP: Sequence = 1 << 20;
/// Between two looks at whether the store holds anything.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Sessions that are read, and asked of the directory, before it is looked whether somebody else was faster.
const PAGE: u32 = 100;
/// Questions to the directory at once.
const AT_ONCE: usize = 8;
/// How often, and how many times, a question is asked again that the directory could not answer: what it has answered
/// need not be asked anew for that.
const AGAIN_EVERY: Duration = Duration::from_millis(200);
const TIMES: u32 = 20;
/// Sessions that cannot be rebuilt and are logged one by one.
const LISTED: usize = 100;

/// Why the store is not begun yet. It is tried again.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error("the session store or the audit trail fails")]
    Store(#[from] StoreError),
    #[error("the directory does not say what a phone shall wear: {0}")]
    Directory(String),
    #[error("the audit trail goes on")]
    Moved,
}

/// What the sessions of the trail have become.
#[derive(Default)]
struct Rebuilt {
    phones: Vec<PhoneState>,
    sessions: usize,
    ended: Vec<EndedSession>,
}

/// What one session of the trail has become: its phone, if there is any, and its end, if it cannot be rebuilt.
struct Outcome {
    phone: Option<PhoneState>,
    ended: Option<(EndedSession, Refusal)>,
}

/// Looks after the store until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let rebuilt =
        Counter::new("roamline_session_store_rebuilt", "Times that this process began a lost session store");
    let sessions =
        Counter::new("roamline_session_rebuilt", "Sessions of lost session stores, by what became of them");
    let stopping = core.tasks.stopping();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        let look = async {
            tick.tick().await;
            core.begin_store().await
        };
        let looked = tokio::select! {
            () = stopping.cancelled() => return,
            looked = look => looked,
        };
        if looked.is_ok() {
            // It was, from the second look on.
            let _ = core.begun.set(());
        }
        match looked {
            Ok(None) => told.clear(),
            Ok(Some(done)) => {
                told.clear();
                rebuilt.add(1, &[]);
                sessions.add(done.sessions as u64, &[("result", "live")]);
                sessions.add(done.ended.len() as u64, &[("result", "ended")]);
            }
            Err(error) if error.to_string() == told => {}
            Err(error) => {
                told = error.to_string();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "whether the session store holds anything cannot be seen, or it cannot be begun");
            }
        }
    }
}

/// Does work on the store once it is begun: before that there is nothing in it, and nothing wrong.
pub(crate) async fn once_begun(core: Arc<Core>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = core.tasks.stopping().cancelled_owned() => {}
        _ = core.begun.wait() => work.await,
    }
}

impl Core {
    /// Begins the store if it holds nothing; what was rebuilt, if this process did it and the store is not new.
    async fn begin_store(&self) -> Result<Option<Rebuilt>, NotYet> {
        if self.store.is_begun().await? {
            return Ok(None);
        }
        let place = self.audit.place().await?;
        if place == AuditPlace::default() {
            if self.store.begin(Vec::new(), 0).await? {
                tracing::info!("the session store is new, and begun");
            }
            return Ok(None);
        }
        tracing::warn!(
            place = place.sequence,
            "the session store holds nothing; it is rebuilt from the audit trail"
        );
        let now = self.clock.now();
        let after = place.sequence.saturating_add(JUMP);
        let Some(mut rebuilt) = self.rebuild(beyond(after, now), now).await? else { return Ok(None) };
        if self.audit.place().await? != place {
            return Err(NotYet::Moved);
        }
        let phones = std::mem::take(&mut rebuilt.phones);
        if !self.store.begin(phones, after).await? {
            tracing::info!("another process has rebuilt the session store");
            return Ok(None);
        }
        self.tell_rebuilt(&place, &rebuilt, now).await;
        Ok(Some(rebuilt))
    }

    /// The live sessions of the trail, and what they have become; `None` when somebody else was faster.
    async fn rebuild(&self, beyond: u64, now: Timestamp) -> Result<Option<Rebuilt>, NotYet> {
        let mut rebuilt = Rebuilt::default();
        let mut after = None;
        loop {
            let page = self.audit.live(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(Some(rebuilt)) };
            after = Some(last.phone.clone());
            let outcomes: Vec<_> = stream::iter(page)
                .map(|told| self.restore(told, beyond, now))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            outcomes.into_iter().for_each(|outcome| rebuilt.take(outcome));
            if self.store.is_begun().await? {
                return Ok(None);
            }
        }
    }

    async fn restore(&self, told: Session, beyond: u64, now: Timestamp) -> Result<Outcome, NotYet> {
        match self.rendering(&told).await {
            Ok((made, policy)) => {
                let phone = restored::phone(told, made, &policy, beyond, now);
                Ok(Outcome { phone: Some(phone), ended: None })
            }
            Err(refused) if is_passing(&refused) => Err(NotYet::Directory(refused.message)),
            Err(refused) => {
                let phone = match self.peers.prepare_logout(&told.phone).await {
                    Ok(facts) => Some(restored::phone_without(&told, facts.configuration, beyond)),
                    Err(refused) if is_passing(&refused) => return Err(NotYet::Directory(refused.message)),
                    Err(_) => None,
                };
                let reason = if phone.is_some() { LogoutReason::Policy } else { LogoutReason::PhoneRemoved };
                let ended = restored::ended(&told, reason, beyond, now);
                Ok(Outcome { phone, ended: Some((ended, refused)) })
            }
        }
    }

    /// What the phone of a session wears, and the parameters in force. Who may log in where was decided at the login.
    async fn rendering(&self, told: &Session) -> Result<(Rendering, ServiceParameters), Refusal> {
        let mut pace = interval(AGAIN_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = 1;
        loop {
            pace.tick().await;
            match self.peers.prepare_login(&told.phone, told.user.as_str(), Some(&told.profile)).await {
                Err(refused) if is_passing(&refused) && asked < TIMES => asked += 1,
                answer => {
                    let facts = answer?;
                    return Ok((facts.prepared?.rendering, facts.policy));
                }
            }
        }
    }

    /// Tells watches and the audit trail of sessions that could not be rebuilt, and says what nobody can know.
    async fn tell_rebuilt(&self, place: &AuditPlace, rebuilt: &Rebuilt, now: Timestamp) {
        let events: Vec<_> = rebuilt.ended.iter().map(EndedSession::told).collect();
        if !events.is_empty()
            && let Err(error) = self.store.tell(events, now).await
        {
            tracing::error!(%error, "sessions that could not be rebuilt are not in the audit trail");
        }
        tracing::warn!(
            sessions = rebuilt.sessions,
            ended = rebuilt.ended.len(),
            place = place.sequence,
            "the session store is rebuilt; not known are logins and logouts after that place, remembered request ids, \
             handsets, idle times and agent states, and what phones had acknowledged"
        );
    }
}

impl Rebuilt {
    fn take(&mut self, Outcome { phone, ended }: Outcome) {
        self.phones.extend(phone);
        let Some((ended, refused)) = ended else {
            self.sessions += 1;
            return;
        };
        if self.ended.len() < LISTED {
            let Session { phone, user, profile, .. } = &ended.session;
            tracing::warn!(%phone, %user, %profile, why = refused.message, "a session cannot be rebuilt");
        }
        self.ended.push(ended);
    }
}

/// How far epochs and generations are from those of the logins: not all changes are in the trail. It grows with the time,
/// too, for a store that is lost again before the trail has heard that it was rebuilt.
fn beyond(after: Sequence, now: Timestamp) -> u64 {
    after.saturating_add(u64::try_from(now.as_millisecond()).unwrap_or(0))
}

/// Whether the directory may say something else in a moment.
fn is_passing(refused: &Refusal) -> bool {
    use ErrorReason::{ServiceUnavailable, StoreUnavailable, TooManyRequests};
    matches!(refused.reason, ServiceUnavailable | StoreUnavailable | TooManyRequests)
}
