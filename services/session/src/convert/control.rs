//! Requests that control sessions rather than begin them, and what the metadata of a request says of who asks.

use roamline_domain::logout::{AgentBusy, Note};
use roamline_domain::parameters::AgentStateGuard;
use roamline_domain::phone_state::AgentState;
use roamline_domain::{PrincipalName, UserId, Violations};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::profile::{self, Finding, FindingSeverity};
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_token::{Caller, scope};
use tonic::Request;

use super::{agent_state, configuration, is_proxied, optional, phone, session, session_of};
use crate::asker::Asker;
use crate::logout::Target;
use crate::logout_all::{self, Progress, Turn};
use crate::reach::application;
use crate::refusal;

/// Sessions a second where the caller does not say.
const USUAL_RATE: u32 = 10;
/// The most sessions a second.
const HIGHEST_RATE: u32 = 1000;

/// Who asks.
pub(crate) fn asker<T>(request: &Request<T>) -> Asker {
    let metadata = request.metadata();
    let said = |key: &str| metadata.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Asker::new(Caller::of(request), is_proxied(metadata), said("user-agent"), said("traceparent"))
}

/// The note of a logout that is forced; each needs the other.
pub(crate) fn force(force: bool, note: &str, found: &mut Violations) -> Option<Note> {
    match (force, note) {
        (false, "") => None,
        (false, _) => {
            found.add("note", "CC-9", "is for a logout that is forced");
            None
        }
        (true, note) => match note.parse() {
            Ok(note) => Some(note),
            Err(wrong) => {
                found.add("note", "", roamline_domain::logout::InvalidNote::to_string(&wrong));
                None
            }
        },
    }
}

pub(crate) fn logout_all_request(request: &wire::LogoutAllRequest) -> Result<logout_all::Asked, Refusal> {
    let mut found = Violations::new();
    let user = optional("user_id", &request.user_id, &mut found, str::parse);
    let profile = optional("profile", &request.profile, &mut found, str::parse);
    let force = force(request.force, &request.note, &mut found);
    let rate = match request.sessions_per_second {
        0 => USUAL_RATE,
        rate => rate,
    };
    if rate > HIGHEST_RATE {
        found.add(
            "sessions_per_second",
            "LO-8",
            format!("must be 1 to {HIGHEST_RATE}, or 0 for {USUAL_RATE}"),
        );
    }
    found.none_or(logout_all::Asked { user, profile, rate, force }).map_err(refusal::invalid)
}

pub(crate) fn logout_all_response(progress: &Progress) -> wire::LogoutAllResponse {
    let turn = progress.turn.as_ref().map(|turn| match turn {
        Turn::Live(live) => session(live, true),
        Turn::Named(phone, id) => {
            let (phone, session_id) = (phone.to_string(), id.to_string());
            wire::Session { phone, session_id, ..wire::Session::default() }
        }
    });
    wire::LogoutAllResponse {
        total: progress.total,
        ended: progress.ended,
        gone: progress.gone,
        busy: progress.busy,
        failed: progress.failed,
        session: turn,
        done: progress.done,
    }
}

pub(crate) fn refresh_target(request: &wire::RefreshSessionRequest) -> Result<Target, Refusal> {
    let mut found = Violations::new();
    let target = match &request.target {
        Some(wire::refresh_session_request::Target::Phone(text)) => {
            phone("phone", text, &mut found).map(Target::Phone)
        }
        Some(wire::refresh_session_request::Target::SessionId(text)) => {
            found.take("session_id", text.parse()).map(Target::Session)
        }
        None => {
            found.add("target", "", "must name a phone or a session");
            None
        }
    };
    target.ok_or_else(|| refusal::invalid(found))
}

pub(crate) fn refresh_response(
    state: &roamline_domain::phone_state::PhoneState,
    changed: bool,
) -> Result<wire::RefreshSessionResponse, Refusal> {
    let configuration = Some(configuration(&state.wears)?);
    Ok(wire::RefreshSessionResponse { session: session_of(state), configuration, changed })
}

/// Whose state is reported, and what it is; with the application in whose reach it is noted, if the caller has no more.
type Reported = (UserId, AgentState, Option<PrincipalName>);

/// A user reports for himself, for others who has the scope, and an application where it is associated (EV-4).
pub(crate) fn agent_state_request(
    request: &wire::ReportAgentStateRequest,
    caller: &Caller,
) -> Result<Reported, Refusal> {
    let mut found = Violations::new();
    let is_user = caller.kind == PrincipalKind::User;
    let user = match request.user_id.as_str() {
        "" if is_user => found.take("user_id", caller.name.parse()),
        "" => {
            found.add("user_id", "CC-9", "must be given: the caller is no user");
            None
        }
        named => found.take::<UserId, _>("user_id", named.parse()),
    };
    let state = reported(request.agent_state, &mut found);
    let (Some(user), Some(state)) = (user, state) else { return Err(refusal::invalid(found)) };
    let is_his_own = is_user && user.as_str() == caller.name;
    if is_his_own || caller.has(scope::SESSION_MANAGE) {
        return Ok((user, state, None));
    }
    match application(caller) {
        Some(application) => Ok((user, state, Some(application))),
        None => Err(refusal::scope_missing(scope::SESSION_MANAGE)),
    }
}

fn reported(number: i32, found: &mut Violations) -> Option<AgentState> {
    match wire::AgentState::try_from(number) {
        Ok(wire::AgentState::LoggedOut) => Some(AgentState::LoggedOut),
        Ok(wire::AgentState::NotReady) => Some(AgentState::NotReady),
        Ok(wire::AgentState::Ready) => Some(AgentState::Ready),
        Ok(wire::AgentState::Reserved) => Some(AgentState::Reserved),
        Ok(wire::AgentState::Talking) => Some(AgentState::Talking),
        Ok(wire::AgentState::WrapUp) => Some(AgentState::WrapUp),
        Ok(wire::AgentState::Unspecified) | Err(_) => {
            found.add("agent_state", "CC-9", "must say what the agent does");
            None
        }
    }
}

/// What an agent does, for programs.
pub(crate) fn agent_state_word(state: AgentState) -> &'static str {
    let name = agent_state(state).as_str_name();
    name.strip_prefix("AGENT_STATE_").unwrap_or(name)
}

/// A logout that happened while the agent was at work (CC-9).
pub(crate) fn busy_finding(busy: &AgentBusy) -> Finding {
    Finding {
        rule: "CC-9".into(),
        field: "agent_state".into(),
        message: format!("{} was logged out of {} at work: {}", busy.user, busy.phone, busy.agent_state),
        severity: FindingSeverity::Warning.into(),
    }
}

/// The guard of logouts among the parameters.
pub(crate) fn agent_state_guard(wire: &profile::ServiceParameters) -> AgentStateGuard {
    match wire.agent_state_guard() {
        profile::AgentStateGuard::Warn => AgentStateGuard::Warn,
        profile::AgentStateGuard::Block => AgentStateGuard::Block,
        profile::AgentStateGuard::Allow | profile::AgentStateGuard::Unspecified => AgentStateGuard::Allow,
    }
}
