//! A session store that holds nothing, because it is new or has lost everything, is begun: with the sessions that are
//! live by the audit trail, in the wear that the directory makes of them now.
//!
//! Every replica looks and prepares. Before it begins the store it says in the trail that it does so, from the place up to
//! which it has read the trail: an event of the lost store that another replica brings after that is refused, and one
//! that was brought before makes it read anew. The store takes what one of them brings, and all of it or nothing. A store
//! that cannot lose what it holds is always begun.

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
use roamline_serve::inventory::{REBUILT, STORE_REBUILT};
use roamline_store::{AuditError, AuditPlace, Sequence, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::Core;
use crate::audit::{ToRebuild, fence, is_still};

/// How far the events of a rebuilt store are from the last one of the trail, and its epochs beyond those of the trail at
/// least: the last of all may not be in it.
const JUMP: Sequence = 1 << 20;
/// Between two looks at whether the store holds anything.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two tries to begin a store that does not let itself be begun: each leaves a record in the trail.
const TRY_EVERY: Duration = Duration::from_secs(5);
/// Sessions that are read from the trail at once, and after which it is looked whether somebody else was faster.
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
    #[error("the session store does not let itself be begun")]
    Refused(#[source] StoreError),
}

impl From<AuditError> for NotYet {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Moved => Self::Moved,
            AuditError::Store(error) => Self::Store(error),
        }
    }
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
                STORE_REBUILT.add(1, &[]);
                REBUILT.add(done.sessions as u64, &[("result", "live")]);
                REBUILT.add(done.ended.len() as u64, &[("result", "ended")]);
            }
            Err(error) => {
                if matches!(error, NotYet::Refused(_)) {
                    tick.reset_after(TRY_EVERY);
                }
                if error.to_string() != told {
                    told = error.to_string();
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "whether the session store holds anything cannot be seen, or it cannot be begun");
                }
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
        // Whoever begins the store from the second look on has moved the trail from there first.
        let place = self.audit.place().await?;
        if self.store.is_begun().await? {
            return Ok(None);
        }
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
        let Some(mut rebuilt) = self.rebuild(after, now).await? else { return Ok(None) };
        let told = ToRebuild { goes_on_after: after, sessions: rebuilt.sessions, ended: &rebuilt.ended };
        if self.store.is_begun().await? {
            return Ok(None);
        }
        self.fence(place.clone(), &told, now).await?;
        let phones = std::mem::take(&mut rebuilt.phones);
        if !self.store.begin(phones, after).await.map_err(NotYet::Refused)? {
            tracing::info!("another process has rebuilt the session store");
            return Ok(None);
        }
        tracing::warn!(
            sessions = rebuilt.sessions,
            ended = rebuilt.ended.len(),
            place = place.sequence,
            "the session store is rebuilt; not known are logins and logouts after that place, remembered request ids, \
             handsets, idle times and agent states, and what phones had acknowledged"
        );
        Ok(Some(rebuilt))
    }

    /// Says in the trail that the rebuild begins. What services tell there by themselves meanwhile changes nothing of what
    /// is rebuilt.
    async fn fence(&self, mut place: AuditPlace, told: &ToRebuild<'_>, now: Timestamp) -> Result<(), NotYet> {
        loop {
            match fence(&*self.audit, &place, told, now).await {
                Err(AuditError::Moved) => {}
                done => return Ok(done?),
            }
            place = is_still(&*self.audit, &place).await?.ok_or(NotYet::Moved)?;
        }
    }

    /// The live sessions of the trail, and what they have become; `None` when somebody else was faster.
    async fn rebuild(&self, after: Sequence, now: Timestamp) -> Result<Option<Rebuilt>, NotYet> {
        let told = self.told_sessions().await?;
        let floor = floor(&told, after, now);
        let mut rebuilt = Rebuilt::default();
        let restored = stream::iter(told).map(|told| self.restore(told, floor, now));
        let mut pages = restored.buffer_unordered(AT_ONCE).try_chunks(PAGE as usize);
        while let Some(page) = pages.next().await {
            page.map_err(|stopped| stopped.1)?.into_iter().for_each(|outcome| rebuilt.take(outcome));
            if self.store.is_begun().await? {
                return Ok(None);
            }
        }
        Ok(Some(rebuilt))
    }

    /// The sessions that are live as far as the trail knows.
    async fn told_sessions(&self) -> Result<Vec<Session>, StoreError> {
        let mut told: Vec<Session> = Vec::new();
        loop {
            let after = told.last().map(|last| last.phone.clone());
            let page = self.audit.live(after.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(told);
            }
            told.extend(page);
        }
    }

    async fn restore(&self, told: Session, floor: u64, now: Timestamp) -> Result<Outcome, NotYet> {
        match self.rendering(&told).await {
            Ok((made, policy)) => {
                let phone = restored::phone(told, made, &policy, floor, now);
                Ok(Outcome { phone: Some(phone), ended: None })
            }
            Err(refused) if is_passing(&refused) => Err(NotYet::Directory(refused.message)),
            Err(refused) => {
                let (phone, reason) = match patiently(|| self.peers.prepare_logout(&told.phone)).await {
                    Ok(facts) => {
                        let phone = restored::phone_without(&told, facts.configuration, floor);
                        (Some(phone), LogoutReason::Policy)
                    }
                    Err(refused) if is_passing(&refused) => return Err(NotYet::Directory(refused.message)),
                    Err(refused) if refused.reason == ErrorReason::PhoneNotFound => {
                        (None, LogoutReason::PhoneRemoved)
                    }
                    Err(_) => (None, LogoutReason::Policy),
                };
                let ended = restored::ended(&told, reason, floor, now);
                Ok(Outcome { phone, ended: Some((ended, refused)) })
            }
        }
    }

    /// What the phone of a session wears, and the parameters in force. Who may log in where was decided at the login.
    async fn rendering(&self, told: &Session) -> Result<(Rendering, Arc<ServiceParameters>), Refusal> {
        patiently(|| async {
            let facts =
                self.peers.prepare_login(&told.phone, told.user.as_str(), Some(&told.profile)).await?;
            Ok((facts.prepared?.rendering, facts.policy))
        })
        .await
    }
}

/// Asks the directory until it says what it will say in a moment, too, or has not for some seconds.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    let mut pace = interval(AGAIN_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = 1;
    loop {
        pace.tick().await;
        match ask().await {
            Err(refused) if is_passing(&refused) && asked < TIMES => asked += 1,
            answer => return answer,
        }
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

/// What epochs and generations are after a loss: beyond all that were given out. Not all changes are in the trail, but no
/// phone changes once in a millisecond for long.
fn floor(told: &[Session], after: Sequence, now: Timestamp) -> u64 {
    let newest = told.iter().map(|told| told.epoch.max(told.generation)).max().unwrap_or(0);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    newest.saturating_add(JUMP).max(after.saturating_add(millis))
}

/// Whether the directory may say something else in a moment. A fault of its own says nothing of the session.
fn is_passing(refused: &Refusal) -> bool {
    use ErrorReason::{Internal, ServiceUnavailable, StoreUnavailable, TooManyRequests};
    matches!(refused.reason, Internal | ServiceUnavailable | StoreUnavailable | TooManyRequests)
}

#[cfg(test)]
mod tests;
