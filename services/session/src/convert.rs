//! The bridge between the wire and the domain: requests are parsed here once, with every violation at once.

pub(crate) mod audit;
pub(crate) mod control;
mod link;

use std::time::Duration;

use jiff::Timestamp;
use prost::Message as _;
use roamline_domain::logout::LoggedOut;
use roamline_domain::parameters::{
    ClearCallLogs, MultipleLogin, OccupiedPhone, ServiceParameters, address_range,
};
use roamline_domain::phone_state::{
    Actor, AgentState, Configuration, EndedSession, LogoutReason, PhoneState, Session,
};
use roamline_domain::{LineName, PhoneName, ProfileName, UserId, Violations};
use roamline_proto::auth::credential;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{self, EffectiveConfiguration};
use roamline_proto::refusal::Refusal;
use roamline_proto::rendering;
use roamline_proto::session as wire;
use roamline_token::Caller;
use tonic::metadata::MetadataMap;

use crate::{login, logout, refusal};

pub(crate) use link::{
    broken_off, locate_line, located, phone_told, phones_told, report, resume_token, said, watch_filter,
    watched,
};

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

pub(crate) fn phone(field: &str, text: &str, found: &mut Violations) -> Option<PhoneName> {
    found.take(field, text.parse())
}

pub(crate) fn only_phone(text: &str) -> Result<PhoneName, Refusal> {
    let mut found = Violations::new();
    phone("phone", text, &mut found).ok_or_else(|| refusal::invalid(found))
}

/// Empty is absent.
fn optional<T, E>(
    field: &str,
    text: &str,
    found: &mut Violations,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T>
where
    E: std::fmt::Display,
{
    if text.is_empty() { None } else { found.take(field, parse(text)) }
}

/// Headers with which a proxy says that a request came through it.
const PROXY_HEADERS: [&str; 3] = ["via", "forwarded", "x-forwarded-for"];

/// Whether a request came through a proxy (SP-9).
pub(crate) fn is_proxied(metadata: &MetadataMap) -> bool {
    PROXY_HEADERS.iter().any(|header| metadata.contains_key(*header))
}

pub(crate) fn login_request(
    mut request: wire::LoginRequest,
    caller: &Caller,
) -> Result<login::Asked, Refusal> {
    let mut found = Violations::new();
    let phone = phone("phone", &request.phone, &mut found);
    if request.user_id.is_empty() {
        found.add("user_id", "LI-1", "must not be empty");
    }
    let profile = optional("profile", &request.profile, &mut found, str::parse);
    let duration = request.duration.as_ref().and_then(|duration| login_duration(duration, &mut found));
    let id = optional("request_id", &request.request_id, &mut found, str::parse);
    if let Some(credential) = &request.credential {
        check_credential(credential.kind.as_ref(), &mut found);
    }
    let Some(phone) = phone else { return Err(refusal::invalid(found)) };
    found.none_or(()).map_err(refusal::invalid)?;
    let credential = request.credential.take();
    let fingerprint = match &id {
        None => Vec::new(),
        Some(_) => {
            request.phone = phone.to_string();
            fingerprint("login", &request.encode_to_vec(), caller)
        }
    };
    Ok(login::Asked {
        phone,
        user_id: request.user_id,
        credential,
        profile,
        duration,
        take_over: request.take_over,
        request: id,
        fingerprint,
    })
}

fn login_duration(duration: &prost_types::Duration, found: &mut Violations) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok().filter(|seconds| (1..=168 * 3600).contains(seconds));
    match (seconds, u32::try_from(duration.nanos)) {
        (Some(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Some(Duration::new(seconds, nanos)),
        _ => {
            found.add("duration", "", "must be 1 second to 168 hours (SP-20)");
            None
        }
    }
}

fn check_credential(kind: Option<&credential::Kind>, found: &mut Violations) {
    let (field, secret, most) = match kind {
        None => return found.add("credential", "LI-1", "must be a pin or a password"),
        Some(credential::Kind::Pin(pin)) => ("credential.pin", pin, 64),
        Some(credential::Kind::Password(password)) => ("credential.password", password, 128),
    };
    if secret.is_empty() || secret.chars().count() > most {
        found.add(field, "LI-1", format!("must have 1 to {most} characters"));
    }
}

pub(crate) fn logout_request(
    request: &wire::LogoutRequest,
    caller: &Caller,
) -> Result<logout::Asked, Refusal> {
    let mut found = Violations::new();
    let target = match &request.target {
        Some(wire::logout_request::Target::Phone(text)) => {
            phone("phone", text, &mut found).map(logout::Target::Phone)
        }
        Some(wire::logout_request::Target::SessionId(text)) => {
            found.take("session_id", text.parse()).map(logout::Target::Session)
        }
        None => {
            found.add("target", "", "must name a phone or a session");
            None
        }
    };
    let id = optional("request_id", &request.request_id, &mut found, str::parse);
    let reason = said_reason(request.reason, &mut found);
    let force = control::force(request.force, &request.note, &mut found);
    let phone_epoch = (request.phone_epoch > 0).then_some(request.phone_epoch);
    let Some(target) = target else { return Err(refusal::invalid(found)) };
    found.none_or(()).map_err(refusal::invalid)?;
    let print = format!("{target:?} {reason:?} {force:?} {phone_epoch:?}");
    let fingerprint = fingerprint("logout", print.as_bytes(), caller);
    Ok(logout::Asked { target, reason, force, phone_epoch, request: id, fingerprint })
}

/// The reason that a service says, if it says one.
fn said_reason(number: i32, found: &mut Violations) -> Option<LogoutReason> {
    match wire::LogoutReason::try_from(number) {
        Ok(wire::LogoutReason::Unspecified) => None,
        Ok(wire::LogoutReason::PhoneRemoved) => Some(LogoutReason::PhoneRemoved),
        Ok(wire::LogoutReason::Policy) => Some(LogoutReason::Policy),
        Ok(wire::LogoutReason::Administrator) => Some(LogoutReason::Administrator),
        Ok(wire::LogoutReason::CrossClusterPeer) => Some(LogoutReason::CrossClusterPeer),
        _ => {
            let text = "must be PHONE_REMOVED, POLICY, ADMINISTRATOR or CROSS_CLUSTER_PEER where it is said";
            found.add("reason", "LO-1", text);
            None
        }
    }
}

pub(crate) fn get_target(request: wire::GetSessionRequest) -> Result<logout::Target, Refusal> {
    let mut found = Violations::new();
    let target = match request.target {
        Some(wire::get_session_request::Target::Phone(text)) => {
            phone("phone", &text, &mut found).map(logout::Target::Phone)
        }
        Some(wire::get_session_request::Target::SessionId(text)) => {
            found.take("session_id", text.parse()).map(logout::Target::Session)
        }
        None => {
            found.add("target", "", "must name a phone or a session");
            None
        }
    };
    target.ok_or_else(|| refusal::invalid(found))
}

pub(crate) fn list_filter(
    request: &wire::ListSessionsRequest,
) -> Result<(Option<UserId>, Option<ProfileName>), Refusal> {
    let mut found = Violations::new();
    let user = optional("user_id", &request.user_id, &mut found, str::parse);
    let profile = optional("profile", &request.profile, &mut found, str::parse);
    found.none_or((user, profile)).map_err(refusal::invalid)
}

pub(crate) fn page_token(text: &str) -> Result<Option<PhoneName>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let phone = text.strip_prefix("sessions-after-").and_then(|phone| phone.parse().ok());
    phone.map(Some).ok_or_else(|| {
        Refusal::new(ErrorReason::PageTokenInvalid, "the page token was not made by this call")
    })
}

pub(crate) fn next_page_token(last: &PhoneName) -> String {
    format!("sessions-after-{last}")
}

/// What a request is, and who made it.
fn fingerprint(rpc: &str, request: &[u8], caller: &Caller) -> Vec<u8> {
    [rpc.as_bytes(), b"\0", caller.name.as_bytes(), b"\0", request].concat()
}

pub(crate) fn session(session: &Session, applied: bool) -> wire::Session {
    let state = if applied { wire::SessionState::Active } else { wire::SessionState::Pending };
    let next = session.next_logout();
    wire::Session {
        session_id: session.id.to_string(),
        user_id: session.user.to_string(),
        phone: session.phone.to_string(),
        profile: session.profile.to_string(),
        state: state.into(),
        login_time: Some(timestamp(session.since)),
        expire_time: session.expires_at.map(timestamp),
        primary_extension: session.primary_extension.as_ref().map(ToString::to_string).unwrap_or_default(),
        lines: session.lines.iter().map(ToString::to_string).collect(),
        phone_epoch: session.epoch,
        actor: Some(actor(&session.actor)),
        next_logout_time: next.map(|deadline| timestamp(deadline.at)),
        next_logout_reason: next.map(|deadline| logout_reason(deadline.reason).into()).unwrap_or_default(),
        logout_pending: session.pending_logout.is_some(),
        apply_deadline: session.apply_by.map(timestamp),
        agent_state: session.agent_state.map(agent_state).unwrap_or_default().into(),
    }
}

/// The session of a phone that has one.
pub(crate) fn session_of(state: &PhoneState) -> Option<wire::Session> {
    state.session.as_ref().map(|live| session(live, state.session_is_applied()))
}

fn actor(actor: &Actor) -> wire::Actor {
    wire::Actor {
        name: actor.name.clone(),
        source_address: actor.source.clone(),
        application: actor.application.clone(),
        trace_id: actor.trace_id.clone(),
    }
}

fn agent_state(state: AgentState) -> wire::AgentState {
    match state {
        AgentState::LoggedOut => wire::AgentState::LoggedOut,
        AgentState::NotReady => wire::AgentState::NotReady,
        AgentState::Ready => wire::AgentState::Ready,
        AgentState::Reserved => wire::AgentState::Reserved,
        AgentState::Talking => wire::AgentState::Talking,
        AgentState::WrapUp => wire::AgentState::WrapUp,
    }
}

pub(crate) fn ended(ended: &EndedSession) -> wire::EndedSession {
    wire::EndedSession {
        session: Some(session(&ended.session, true)),
        reason: logout_reason(ended.reason).into(),
        logout_time: Some(timestamp(ended.at)),
        phone_epoch: ended.epoch,
        actor: Some(actor(&ended.actor)),
        note: ended.note.clone(),
    }
}

fn logout_reason(reason: LogoutReason) -> wire::LogoutReason {
    match reason {
        LogoutReason::User => wire::LogoutReason::User,
        LogoutReason::NextUser => wire::LogoutReason::NextUser,
        LogoutReason::Administrator => wire::LogoutReason::Administrator,
        LogoutReason::Supervisor => wire::LogoutReason::Supervisor,
        LogoutReason::LoggedInElsewhere => wire::LogoutReason::LoggedInElsewhere,
        LogoutReason::MaximumTime => wire::LogoutReason::MaximumTime,
        LogoutReason::Idle => wire::LogoutReason::Idle,
        LogoutReason::TimeOfDay => wire::LogoutReason::TimeOfDay,
        LogoutReason::PhoneRemoved => wire::LogoutReason::PhoneRemoved,
        LogoutReason::CrossClusterPeer => wire::LogoutReason::CrossClusterPeer,
        LogoutReason::Application => wire::LogoutReason::Application,
        LogoutReason::Policy => wire::LogoutReason::Policy,
    }
}

/// The reason as a metric's label.
pub(crate) fn reason_word(reason: LogoutReason) -> &'static str {
    let name = logout_reason(reason).as_str_name();
    name.strip_prefix("LOGOUT_REASON_").unwrap_or(name)
}

pub(crate) fn login_response(made: &login::LoggedIn<'_>) -> wire::LoginResponse {
    wire::LoginResponse {
        session: session_of(made.phone),
        configuration: configuration(&made.phone.wears).ok(),
        ended_sessions: made.ended.iter().map(ended).collect(),
        findings: made.findings.iter().cloned().chain(made.busy.iter().map(control::busy_finding)).collect(),
        replayed: false,
    }
}

pub(crate) fn logout_response(out: &LoggedOut) -> wire::LogoutResponse {
    let findings = out.busy.iter().map(control::busy_finding).collect();
    wire::LogoutResponse { ended_session: Some(ended(&out.ended)), replayed: false, findings }
}

pub(crate) fn remembered<M: prost::Message + Default>(answer: &[u8]) -> Result<M, Refusal> {
    M::decode(answer).map_err(|error| corrupt("a remembered answer", &error))
}

/// The rendering that a phone wears; absent for one that was told nothing yet.
pub(crate) fn configuration(wears: &Configuration) -> Result<EffectiveConfiguration, Refusal> {
    rendering::read(&wears.0).map_err(|error| corrupt("a phone's wear", &error))
}

/// The lines that a rendering has, in the order of its buttons.
pub(crate) fn worn_lines(configuration: &EffectiveConfiguration) -> Vec<LineName> {
    let lines = configuration.buttons.iter().filter_map(|button| match &button.carries {
        Some(profile::button::Carries::Line(line)) => Some(&line.lines),
        _ => None,
    });
    lines.flatten().filter_map(|line| line.parse().ok()).collect()
}

fn corrupt(what: &str, error: &prost::DecodeError) -> Refusal {
    tracing::error!(%error, "{what} is corrupt");
    Refusal::new(ErrorReason::Internal, format!("{what} is corrupt"))
}

/// The parameters that a login or logout is decided by; the others keep their defaults here.
pub(crate) fn policy(wire: &profile::ServiceParameters) -> ServiceParameters {
    let defaults = ServiceParameters::default();
    let maximum = wire.maximum_login_time.and_then(roamline_proto::length);
    let ranges = |texts: &[String]| texts.iter().filter_map(|text| address_range(text).ok()).collect();
    ServiceParameters {
        enforce_maximum_login_time: wire.enforce_maximum_login_time(),
        maximum_login_time: maximum.unwrap_or(defaults.maximum_login_time),
        maximum_concurrent_requests: wire.maximum_concurrent_requests(),
        multiple_login: match wire.multiple_login_behavior() {
            profile::MultipleLoginBehavior::Allowed => MultipleLogin::Allowed,
            profile::MultipleLoginBehavior::AutoLogout => MultipleLogin::AutoLogout,
            _ => MultipleLogin::NotAllowed,
        },
        agent_state_guard: control::agent_state_guard(wire),
        remember_last_user: wire.remember_last_user(),
        daily_logout_times: wire.daily_logout_times.iter().filter_map(|time| time.parse().ok()).collect(),
        time_zone: wire.time_zone.clone(),
        clear_call_logs: match wire.clear_call_logs() {
            profile::ClearCallLogs::Never => ClearCallLogs::Never,
            profile::ClearCallLogs::Manual => ClearCallLogs::Manual,
            _ => ClearCallLogs::EveryLogout,
        },
        occupied_phone: match wire.occupied_phone_behavior() {
            profile::OccupiedPhoneBehavior::Refuse => OccupiedPhone::Refuse,
            profile::OccupiedPhoneBehavior::Always => OccupiedPhone::Always,
            _ => OccupiedPhone::OnRequest,
        },
        validate_ip_address: wire.validate_ip_address(),
        trusted_sources: ranges(&wire.trusted_sources),
        allow_proxy: wire.allow_proxy(),
        same_subnet_only: wire.same_subnet_only(),
        local_subnets: ranges(&wire.local_subnets),
        ..defaults
    }
}
