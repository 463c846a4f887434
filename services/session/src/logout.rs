//! Logout: by the user, an application or an administrator, and by the clock (LO-1, LO-2, LO-5, LO-8).

use jiff::Timestamp;
use roamline_domain::logout::{Logout, decide_logout, due};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::{Actor, EndedSession, LogoutReason, PhoneState};
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
        self.observe.logout(&ended, now);
        Ok(Answer::Made(Box::new(ended)))
    }

    /// Ends the phone's session if it is due at `now`; `None` when it is not, or not any more.
    pub(crate) async fn end_if_due(
        &self,
        phone: PhoneName,
        now: Timestamp,
    ) -> Result<Option<EndedSession>, Refusal> {
        let facts = self.logout_facts(&phone).await?;
        let ended = self
            .decide(&About::phone(phone), now, |loaded| {
                let state = &loaded.held.phone;
                let Some(reason) = due(state, now) else { return Ok(Decided::default()) };
                let logout = Logout { reason, wears: facts.wears(), actor: Actor::default() };
                let Ok(out) = decide_logout(state, logout, &facts.policy, now) else {
                    return Ok(Decided::default());
                };
                let events = vec![out.event()];
                Ok(Decided { states: vec![out.state], events, reply: None, outcome: Some(out.ended) })
            })
            .await?;
        if let Some(ended) = &ended {
            self.observe.logout(ended, now);
        }
        Ok(ended)
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
