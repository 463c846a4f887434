//! Logout: by the user, an application or an administrator, and by the clock (LO-1, LO-2, LO-4 to LO-8).

use jiff::Timestamp;
use roamline_domain::deadline::{DailyLogouts, Deadline};
use roamline_domain::logout::{Automatic, AutomaticLogout, Logout, decide_automatic, decide_logout};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::{Actor, EndedSession, LogoutReason, PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::About;
use roamline_token::{Caller, scope};

use crate::decide::Decided;
use crate::{Core, LogoutFacts, refusal};

/// Which session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Phone(PhoneName),
    Session(SessionId),
}

/// A logout as it was asked for, parsed.
pub(crate) struct Asked {
    pub target: Target,
    /// Why, as a service says it (DP-9).
    pub reason: Option<LogoutReason>,
    pub request: Option<RequestId>,
    pub fingerprint: Vec<u8>,
}

/// What came of it: a logout, or the answer remembered for the request id.
pub(crate) enum Answer {
    Made(Box<EndedSession>),
    Remembered(Vec<u8>),
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
        asked: Asked,
        caller: &Caller,
        encode: impl Fn(&EndedSession) -> Vec<u8>,
    ) -> Result<Answer, Refusal> {
        let reason = reason(asked.reason, caller)?;
        let now = self.clock.now();
        if let Some(answer) = self.remembered(asked.request.as_ref(), &asked.fingerprint, now).await? {
            return Ok(Answer::Remembered(answer));
        }
        let phone = self.phone_of(&asked.target).await?;
        let facts = self.logout_facts(&phone).await?;
        let source = caller.source.map(|address| address.ip().to_string()).unwrap_or_default();
        let actor = Actor { name: caller.name.clone(), source };
        let ended = self
            .decide(&About::phone(phone), now, |loaded| {
                let state = &loaded.held.phone;
                allow(state, &asked.target, caller)?;
                let logout = Logout { reason, wears: facts.wears(), actor: actor.clone() };
                let out = decide_logout(state, logout, &facts.policy, now)
                    .map_err(|refused| refusal::not_logged_in(&refused))?;
                let reply = asked
                    .request
                    .clone()
                    .map(|id| self.reply(id, &asked.fingerprint, encode(&out.ended), now));
                let events = vec![out.event()];
                Ok(Decided { states: vec![out.state], events, reply, outcome: out.ended })
            })
            .await?;
        self.observe.logout(&ended);
        Ok(Answer::Made(Box::new(ended)))
    }

    /// Does what the clock has to do about the phone's session at `now`.
    pub(crate) async fn keep_deadline(&self, phone: PhoneName, now: Timestamp) -> Result<Kept, Refusal> {
        let facts = self.logout_facts(&phone).await?;
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
                        let events = vec![SessionEvent::LogoutPending(session)];
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
            self.observe.automatic_logout(ended, *deadline, now);
            tracing::info!(phone = %ended.session.phone, user = %ended.session.user, reason = ?ended.reason, "logged out");
        }
        Ok(kept)
    }

    async fn phone_of(&self, target: &Target) -> Result<PhoneName, Refusal> {
        match target {
            Target::Phone(phone) => Ok(phone.clone()),
            Target::Session(id) => {
                let state = self.store.session(id).await.map_err(|error| refusal::store(&error))?;
                state.map(|state| state.phone).ok_or_else(|| refusal::session_not_found(id.as_str()))
            }
        }
    }

    /// What the directory says about the logout; where it cannot say, the rendering made at the login will do, and a
    /// logout is not held up: call history is then cleared, which is the parameter's default (SP-8).
    async fn logout_facts(&self, phone: &PhoneName) -> Result<FactsOrNone, Refusal> {
        match self.peers.prepare_logout(phone).await {
            Ok(facts) => Ok(FactsOrNone { policy: facts.policy.clone(), facts: Some(facts) }),
            Err(refused) => {
                let state = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
                let live = state.is_some_and(|state| state.session.is_some());
                if !live && refused.reason == ErrorReason::PhoneNotFound {
                    return Err(refused);
                }
                tracing::warn!(%phone, reason = ?refused.reason, "logout without the directory");
                Ok(FactsOrNone { policy: ServiceParameters::default(), facts: None })
            }
        }
    }
}

struct FactsOrNone {
    policy: ServiceParameters,
    facts: Option<LogoutFacts>,
}

impl FactsOrNone {
    fn wears(&self) -> Option<roamline_domain::phone_state::Configuration> {
        self.facts.as_ref().map(|facts| facts.configuration.clone())
    }
}

/// Why a session ends: what a service says, else what follows from who asks (LO-1).
fn reason(said: Option<LogoutReason>, caller: &Caller) -> Result<LogoutReason, Refusal> {
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

/// A caller ends his own session, or anybody's with the scope session.manage, or session.end for services. A session
/// named by its id must still be the phone's.
fn allow(state: &PhoneState, target: &Target, caller: &Caller) -> Result<(), Refusal> {
    if let Target::Session(id) = target
        && state.session.as_ref().is_none_or(|session| session.id != *id)
    {
        return Err(refusal::session_not_found(id.as_str()));
    }
    let own = match &state.session {
        Some(session) => caller.kind == PrincipalKind::User && session.user.as_str() == caller.name,
        None => true,
    };
    if own || caller.has(scope::SESSION_MANAGE) || caller.has(scope::SESSION_END) {
        Ok(())
    } else {
        Err(refusal::scope_missing(scope::SESSION_MANAGE))
    }
}
