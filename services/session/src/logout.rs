//! Logout: by the user, an application or an administrator, and by the clock (LO-1, LO-2, LO-4 to LO-8).

use std::sync::Arc;

use jiff::Timestamp;
use roamline_domain::deadline::{DailyLogouts, Deadline};
use roamline_domain::logout::{
    Automatic, AutomaticLogout, Insistence, LoggedOut, Logout, Note, Requested, decide_automatic,
    decide_requested,
};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::{self, EndedSession, LogoutReason, PhoneState, Session, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{About, Reply};
use roamline_token::{Caller, scope};

use crate::asker::Asker;
use crate::decide::Decided;
use crate::login::unless_answered;
use crate::reach::Reached;
use crate::refused::What;
use crate::{Core, LogoutFacts, observe, refusal};

/// Which session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Phone(PhoneName),
    Session(SessionId),
}

impl Target {
    /// Whether it is this session, which is on the phone where it was looked for.
    pub(crate) fn is(&self, session: &Session) -> bool {
        match self {
            Self::Phone(_) => true,
            Self::Session(id) => session.id == *id,
        }
    }
}

/// A logout as it was asked for, parsed.
pub(crate) struct Asked {
    pub target: Target,
    /// Why, as a service says it (DP-9).
    pub reason: Option<LogoutReason>,
    /// Why it shall happen whatever the agent does (CC-9).
    pub force: Option<Note>,
    /// The phone's epoch that the caller knows.
    pub phone_epoch: Option<u64>,
    pub request: Option<RequestId>,
    pub fingerprint: Vec<u8>,
}

/// What came of it: a logout, or the answer remembered for the request id.
pub(crate) enum Answer {
    Made(Box<LoggedOut>),
    Remembered(Vec<u8>),
}

/// A logout on its way to its decision.
pub(crate) struct Ending {
    pub target: Target,
    /// Where the target is.
    pub phone: PhoneName,
    pub reason: LogoutReason,
    pub insistence: Insistence,
    pub phone_epoch: Option<u64>,
}

/// What the clock did about a session.
#[derive(Default)]
pub(crate) enum Kept {
    /// Nothing: it is not due, or not any more.
    #[default]
    Nothing,
    /// The session ended, by that deadline.
    Ended(Box<(EndedSession, Deadline)>),
    /// It has another deadline now: its logout waits for the handset, or the daily times have changed.
    Later,
}

impl Core {
    /// Ends a session. `encode` makes the answer that is remembered with the request id.
    pub(crate) async fn logout(
        &self,
        asked: &Asked,
        asker: &Asker,
        encode: impl Fn(&LoggedOut) -> Vec<u8>,
    ) -> Result<Answer, Refusal> {
        let mut phone = match &asked.target {
            Target::Phone(phone) => Some(phone.clone()),
            Target::Session(_) => None,
        };
        let result = self.logout_at(&mut phone, asked, asker, encode).await;
        if let (Err(refused), Some(phone)) = (&result, &phone) {
            let what = What { asked: phone_state::Asked::Logout, phone, user: "", profile: "" };
            self.tell_refused(what, asker, refused).await;
        }
        result
    }

    /// As [`Core::logout`]; `at` becomes the phone as soon as that is known.
    async fn logout_at(
        &self,
        at: &mut Option<PhoneName>,
        asked: &Asked,
        asker: &Asker,
        encode: impl Fn(&LoggedOut) -> Vec<u8>,
    ) -> Result<Answer, Refusal> {
        let reason = reason(asked.reason, &asker.caller)?;
        let insistence = insistence(asked.force.clone(), &asker.caller)?;
        let now = self.clock.now();
        // As with a login, the commit and every refusal tell whether the request id was answered.
        match self.make_logout(at, asked, asker, (reason, insistence), now, encode).await {
            Ok(out) => Ok(Answer::Made(Box::new(out))),
            Err(refused) => {
                let remembered = self.remembered(asked.request.as_ref(), &asked.fingerprint, now).await;
                unless_answered(refused, remembered).map(Answer::Remembered)
            }
        }
    }

    async fn make_logout(
        &self,
        at: &mut Option<PhoneName>,
        asked: &Asked,
        asker: &Asker,
        (reason, insistence): (LogoutReason, Insistence),
        now: Timestamp,
        encode: impl Fn(&LoggedOut) -> Vec<u8>,
    ) -> Result<LoggedOut, Refusal> {
        let phone = self.phone_of(&asked.target).await?;
        *at = Some(phone.clone());
        let (target, phone_epoch) = (asked.target.clone(), asked.phone_epoch);
        let ending = Ending { target, phone, reason, insistence, phone_epoch };
        let reply = |out: &LoggedOut| {
            asked.request.clone().map(|id| self.reply(id, &asked.fingerprint, encode(out), now))
        };
        self.end(&ending, asker, now, reply).await
    }

    /// Ends a session, if the caller may, and remembers the answer that `reply` makes.
    pub(crate) async fn end(
        &self,
        ending: &Ending,
        asker: &Asker,
        now: Timestamp,
        reply: impl Fn(&LoggedOut) -> Option<Reply>,
    ) -> Result<LoggedOut, Refusal> {
        let known = self.peers.prepare_logout(&ending.phone).await;
        let facts = self.facts_or_none(&ending.phone, known).await?;
        let lent = self.lent_at(&ending.phone, &asker.caller).await?;
        let out = self
            .decide(&About::phone(ending.phone.clone()), now, |loaded| {
                let state = &loaded.held.phone;
                allow(state, &ending.target, asker, lent.as_ref())?;
                let reason = reason_for(ending.reason, state, asker);
                let logout = Logout { reason, wears: facts.wears(), actor: asker.actor() };
                let (insistence, phone_epoch) = (ending.insistence.clone(), ending.phone_epoch);
                let out = decide_requested(
                    state,
                    Requested { logout, insistence, phone_epoch },
                    &facts.policy,
                    now,
                )
                .map_err(|refused| refusal::logout(&refused))?;
                let (states, events, reply) = (vec![out.state.clone()], vec![out.event()], reply(&out));
                Ok(Decided { states, events, reply, outcome: out })
            })
            .await?;
        observe::logout(&out.ended);
        Ok(out)
    }

    /// Does what the clock has to do about the phone's session at `now`.
    pub(crate) async fn keep_deadline(&self, phone: PhoneName, now: Timestamp) -> Result<Kept, Refusal> {
        let known = self.peers.prepare_logout(&phone).await;
        self.keep_deadline_by(phone, known, now).await
    }

    /// As [`Core::keep_deadline`], by what the directory has answered about the logout.
    pub(crate) async fn keep_deadline_by(
        &self,
        phone: PhoneName,
        known: Result<LogoutFacts, Refusal>,
        now: Timestamp,
    ) -> Result<Kept, Refusal> {
        let facts = self.facts_or_none(&phone, known).await?;
        let daily = facts.facts.as_ref().map(|facts| DailyLogouts::of(&facts.policy));
        let kept = self
            .decide(&About::phone(phone), now, |loaded| {
                let by = AutomaticLogout {
                    wears: facts.wears(),
                    policy: &facts.policy,
                    daily: daily.clone(),
                    defer_at_most: self.config.defer_logout_at_most,
                };
                Ok(match decide_automatic(&loaded.held.phone, by, now) {
                    None => Decided::default(),
                    Some(Automatic::Ends(out, deadline)) => {
                        let events = vec![out.event()];
                        let outcome = Kept::Ended(Box::new((out.ended, deadline)));
                        Decided { states: vec![out.state], events, reply: None, outcome }
                    }
                    Some(Automatic::Waits(state, session)) => {
                        let events = vec![SessionEvent::LogoutPending(session.told())];
                        Decided { states: vec![state], events, reply: None, outcome: Kept::Later }
                    }
                    Some(Automatic::Moves(state)) => {
                        Decided { states: vec![state], events: Vec::new(), reply: None, outcome: Kept::Later }
                    }
                })
            })
            .await?;
        if let Kept::Ended(done) = &kept {
            let (ended, deadline) = done.as_ref();
            observe::automatic_logout(ended, *deadline, now);
            tracing::info!(phone = %ended.session.phone, user = %ended.session.user, reason = ?ended.reason, "logged out");
        }
        Ok(kept)
    }

    /// Where the target is, or the phone that it names.
    pub(crate) async fn phone_of(&self, target: &Target) -> Result<PhoneName, Refusal> {
        match target {
            Target::Phone(phone) => Ok(phone.clone()),
            Target::Session(id) => {
                let state = self.store.session(id).await.map_err(|error| refusal::store(&error))?;
                state.map(|state| state.phone).ok_or_else(|| refusal::session_not_found(id.as_str()))
            }
        }
    }

    /// What the directory says about the logout; where it cannot say, the rendering made at the login will do, by the
    /// parameters that were heard of last, and a logout is not held up.
    async fn facts_or_none(
        &self,
        phone: &PhoneName,
        known: Result<LogoutFacts, Refusal>,
    ) -> Result<FactsOrNone, Refusal> {
        match known {
            Ok(facts) => Ok(FactsOrNone { policy: Arc::clone(&facts.policy), facts: Some(facts) }),
            Err(refused) => {
                let state = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
                let live = state.is_some_and(|state| state.session.is_some());
                if !live && refused.reason == ErrorReason::PhoneNotFound {
                    return Err(refused);
                }
                tracing::warn!(%phone, reason = ?refused.reason, "logout without the directory");
                Ok(FactsOrNone { policy: self.parameters.load_full(), facts: None })
            }
        }
    }
}

struct FactsOrNone {
    policy: Arc<ServiceParameters>,
    facts: Option<LogoutFacts>,
}

impl FactsOrNone {
    fn wears(&self) -> Option<roamline_domain::phone_state::Configuration> {
        self.facts.as_ref().map(|facts| facts.configuration.clone())
    }
}

/// Why a session ends: what a service says, else what follows from who asks (LO-1).
pub(crate) fn reason(said: Option<LogoutReason>, caller: &Caller) -> Result<LogoutReason, Refusal> {
    let is_service = caller.has(scope::SESSION_END);
    match (said, caller.kind) {
        (Some(reason), _) if is_service => Ok(reason),
        (Some(_), _) => Err(refusal::scope_missing(scope::SESSION_END)),
        (None, PrincipalKind::Administrator) => Ok(LogoutReason::Administrator),
        (None, PrincipalKind::Application) => Ok(LogoutReason::Application),
        (None, _) if is_service => Ok(LogoutReason::Policy),
        (None, _) => Ok(LogoutReason::User),
    }
}

/// A user who ends another's session is a supervisor.
fn reason_for(reason: LogoutReason, state: &PhoneState, asker: &Asker) -> LogoutReason {
    let others = state.session.as_ref().is_some_and(|session| !asker.owns(session));
    if reason == LogoutReason::User && others { LogoutReason::Supervisor } else { reason }
}

/// How much the caller minds what the agent does (CC-9).
pub(crate) fn insistence(force: Option<Note>, caller: &Caller) -> Result<Insistence, Refusal> {
    match force {
        Some(note) if caller.has(scope::SESSION_MANAGE) || caller.has(scope::SESSION_TEAM) => {
            Ok(Insistence::Forced(note))
        }
        Some(_) => Err(refusal::scope_missing(scope::SESSION_MANAGE)),
        None if caller.has(scope::SESSION_END) => Ok(Insistence::Unconditional),
        None => Ok(Insistence::None),
    }
}

/// A caller ends his own session, one that he reaches without being its user (`lent`), or anybody's with the scope
/// session.manage, or session.end for services. A session named by its id must still be the phone's.
fn allow(state: &PhoneState, target: &Target, asker: &Asker, lent: Option<&Reached>) -> Result<(), Refusal> {
    match (&state.session, target) {
        (Some(session), _) if !target.is(session) => Err(refusal::no_session(target)),
        (None, Target::Session(_)) => Err(refusal::no_session(target)),
        (Some(session), _) if !asker.owns(session) => {
            let wide = asker.caller.has(scope::SESSION_MANAGE) || asker.caller.has(scope::SESSION_END);
            let may = wide || lent.is_some_and(|lent| lent.takes(session));
            if may { Ok(()) } else { Err(refusal::scope_missing(scope::SESSION_MANAGE)) }
        }
        _ => Ok(()),
    }
}
