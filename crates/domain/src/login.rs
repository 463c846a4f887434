//! Whether a login may be, and what it changes (LI-1, LI-2, LI-8, LI-9, LO-4, SP-5, SP-10, SP-13, SP-20, CC-7, CC-9).
//!
//! The caller has authenticated the user and has the rendering in hand; here it is decided against what is live. The
//! decision is taken on states that were loaded with their versions, and holds only if none of them has moved.

use std::time::Duration;

use jiff::Timestamp;

use crate::deadline::DailyLogouts;
use crate::directory::UserLoginTime;
use crate::logout::{AgentBusy, Insistence, Logout, LogoutRefused, Requested, decide_requested};
use crate::name::{LineName, PhoneName, ProfileName, SessionId, UserId};
use crate::parameters::{ClearCallLogs, MultipleLogin, OccupiedPhone, ServiceParameters};
use crate::phone_state::{
    Actions, Actor, Configuration, EndedSession, HookState, LogoutReason, PhoneState, Session, SessionEvent,
};

/// Everything live that a login is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The phone.
    pub phone: PhoneState,
    /// Other phones: where the user is logged in, and where his ACD line is worn.
    pub others: Vec<PhoneState>,
}

/// What the directory makes of a user's profile for a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// The profile.
    pub profile: ProfileName,
    /// What the phone shall wear.
    pub configuration: Configuration,
    /// Whether wearing it takes a reset after the restart (LI-7).
    pub reset: bool,
    /// Lines the phone will wear.
    pub lines: Vec<LineName>,
    /// The agent's ACD line (CC-7).
    pub acd_line: Option<LineName>,
    /// The user's first number of all.
    pub primary_extension: Option<LineName>,
    /// How long the user may be idle, by the profile (DP-14).
    pub idle_limit: Option<Duration>,
    /// What the phone wears afterwards.
    pub logout_configuration: Configuration,
}

/// What a login asks for, with what the directory made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// The id the session shall have.
    pub session: SessionId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub rendering: Rendering,
    /// How long he asks for; `None` for as long as he may.
    pub duration: Option<Duration>,
    /// The user's own maximum login time (SP-20).
    pub user_login_time: UserLoginTime,
    /// How long the phone may take to be on hook, where it is not (LI-8).
    pub apply_within: Duration,
    /// Whether a user who is logged in to the phone shall go (SP-13).
    pub take_over: bool,
    /// Who asks.
    pub actor: Actor,
}

/// Why a login may not be, in the order of LI-2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// More time than the user may have (SP-20).
    #[error("asks for {asked:?}, and the user may stay for {allowed:?} at most (SP-20)")]
    DurationTooLong {
        /// What he asks for.
        asked: Duration,
        /// What he may have.
        allowed: Duration,
    },
    /// Somebody else is logged in to the phone (SP-13).
    #[error("{user} is logged in to {phone} (SP-13)")]
    PhoneOccupied {
        /// The phone.
        phone: PhoneName,
        /// Who.
        user: UserId,
        /// Whether asking to take it over would help.
        on_request: bool,
    },
    /// Somebody else's automatic logout waits for the handset of the phone (LO-4).
    #[error("{user} is on a call on {phone}, and is logged out after it (LO-4)")]
    LogoutPending {
        /// The phone.
        phone: PhoneName,
        /// Who.
        user: UserId,
    },
    /// The user is logged in to another phone (LI-9).
    #[error("{user} is logged in to {phone} (LI-9)")]
    LoggedInElsewhere {
        /// The user.
        user: UserId,
        /// Where.
        phone: PhoneName,
    },
    /// The ACD line is worn on another phone (CC-7).
    #[error("line {line} is worn by {user} on {phone} (CC-7)")]
    LineInUse {
        /// The line.
        line: LineName,
        /// Who wears it.
        user: UserId,
        /// Where.
        phone: PhoneName,
    },
    /// An agent whose session would end for it is at work (CC-9).
    #[error(transparent)]
    AgentBusy(#[from] AgentBusy),
}

/// What a login changes, all of it in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The new states: the phone first, then phones whose sessions end for it.
    pub states: Vec<PhoneState>,
    /// What others are told, in order: logouts first, then the login.
    pub events: Vec<SessionEvent>,
    /// The new session.
    pub session: Session,
    /// Sessions that end for it.
    pub ended: Vec<EndedSession>,
    /// Agents among them who were at work, where the policy is to say so (CC-9).
    pub busy: Vec<AgentBusy>,
}

/// Decides a login. `policy` is the cluster's parameters as of this request (SP-21).
///
/// A user who logs in again to the phone that he is on gets a new session; the old one ends as by his own wish.
///
/// # Errors
/// The first refusal in the order of LI-2: occupied, logged in elsewhere, shared line, an agent at work whose session
/// would end. Nothing changes then (LI-10).
pub fn decide_login(
    held: &Held,
    request: &LoginRequest,
    policy: &ServiceParameters,
    now: Timestamp,
) -> Result<Login, LoginRefusal> {
    let expires_at = expiry(request, policy, now)?;
    let displaced = refuse_occupied(&held.phone, &request.user, request.take_over, policy)?;
    let leaving = refuse_elsewhere(held, request, policy)?;
    refuse_shared_line(held, request, &leaving)?;

    let mut ending = Ending { request, policy, now, ended: Vec::new(), busy: Vec::new() };
    let before = match displaced {
        Some(reason) => ending.end(&held.phone, reason)?,
        None => held.phone.clone(),
    };
    let mut states = Vec::new();
    for other in leaving {
        states.push(ending.end(other, LogoutReason::LoggedInElsewhere)?);
    }
    let Ending { ended, busy, .. } = ending;

    let session = Session {
        id: request.session.clone(),
        user: request.user.clone(),
        phone: before.phone.clone(),
        profile: request.rendering.profile.clone(),
        since: now,
        expires_at,
        idle_limit: request.rendering.idle_limit,
        idle_since: (before.hook == HookState::OnHook).then_some(now),
        daily_logout_at: DailyLogouts::of(policy).next_after(now),
        pending_logout: None,
        apply_by: (before.hook == HookState::OffHook)
            .then(|| now.checked_add(request.apply_within).unwrap_or(Timestamp::MAX)),
        agent_state: None,
        primary_extension: request.rendering.primary_extension.clone(),
        lines: request.rendering.lines.clone(),
        acd_line: request.rendering.acd_line.clone(),
        generation: held.phone.generation + 1,
        epoch: held.phone.epoch + 1,
        actor: request.actor.clone(),
        logout_configuration: request.rendering.logout_configuration.clone(),
    };
    let actions = Actions {
        restart: true,
        reset: request.rendering.reset,
        clear_call_history: policy.clear_call_logs == ClearCallLogs::Manual,
        cancel_call_back: false,
    };
    // One generation on from what is stored, even when a logout on the same phone is part of the step: the phone
    // never sees the state in between, and what that logout left to do stays to be done.
    let actions = before.actions.and(actions);
    let mut phone = held.phone.dressed(request.rendering.configuration.clone(), actions);
    phone.session = Some(session.clone());
    phone.last_user = policy.remember_last_user.then(|| request.user.clone());
    states.insert(0, phone);

    let mut events: Vec<_> = ended.iter().map(EndedSession::told).collect();
    events.push(SessionEvent::LoggedIn(session.told()));
    Ok(Login { states, events, session, ended, busy })
}

/// What speaks against a login at the phone itself, whatever the user would wear there. For who must know it before the
/// rendering is there: [`decide_login`] refuses the same.
///
/// # Errors
/// The phone is occupied (SP-13, LO-4), or an agent at work would have to go (CC-9).
pub fn refuse_at_phone(
    phone: &PhoneState,
    user: &UserId,
    take_over: bool,
    policy: &ServiceParameters,
    now: Timestamp,
) -> Result<(), LoginRefusal> {
    let Some(reason) = refuse_occupied(phone, user, take_over, policy)? else { return Ok(()) };
    let logout = Logout { reason, wears: None, actor: Actor::default() };
    let requested = Requested { logout, insistence: Insistence::None, phone_epoch: None };
    match decide_requested(phone, requested, policy, now) {
        Err(LogoutRefused::AgentBusy(busy)) => Err(busy.into()),
        _ => Ok(()),
    }
}

/// When the login ends by itself: after what was asked for, never later than the user may stay (SP-1, SP-2, SP-20).
fn expiry(
    request: &LoginRequest,
    policy: &ServiceParameters,
    now: Timestamp,
) -> Result<Option<Timestamp>, LoginRefusal> {
    let allowed = policy.login_time(request.user_login_time);
    if let (Some(asked), Some(allowed)) = (request.duration, allowed)
        && asked > allowed
    {
        return Err(LoginRefusal::DurationTooLong { asked, allowed });
    }
    Ok(request.duration.or(allowed).map(|time| now.checked_add(time).unwrap_or(Timestamp::MAX)))
}

/// The reason with which the phone's present user goes, if there is one (SP-13).
fn refuse_occupied(
    phone: &PhoneState,
    user: &UserId,
    take_over: bool,
    policy: &ServiceParameters,
) -> Result<Option<LogoutReason>, LoginRefusal> {
    let Some(present) = &phone.session else { return Ok(None) };
    if present.user == *user {
        return Ok(Some(LogoutReason::User));
    }
    if present.pending_logout.is_some() {
        let (phone, user) = (phone.phone.clone(), present.user.clone());
        return Err(LoginRefusal::LogoutPending { phone, user });
    }
    let taken_over = match policy.occupied_phone {
        OccupiedPhone::Refuse => false,
        OccupiedPhone::OnRequest => take_over,
        OccupiedPhone::Always => true,
    };
    if taken_over {
        return Ok(Some(LogoutReason::NextUser));
    }
    Err(LoginRefusal::PhoneOccupied {
        phone: phone.phone.clone(),
        user: present.user.clone(),
        on_request: policy.occupied_phone == OccupiedPhone::OnRequest,
    })
}

/// The user's other phones, whose sessions end for this login (SP-5, LI-9).
fn refuse_elsewhere<'a>(
    held: &'a Held,
    request: &LoginRequest,
    policy: &ServiceParameters,
) -> Result<Vec<&'a PhoneState>, LoginRefusal> {
    let mut his = held
        .others
        .iter()
        .filter(|other| other.session.as_ref().is_some_and(|session| session.user == request.user));
    match policy.multiple_login {
        MultipleLogin::Allowed => Ok(Vec::new()),
        MultipleLogin::AutoLogout => Ok(his.collect()),
        MultipleLogin::NotAllowed => match his.next() {
            None => Ok(Vec::new()),
            Some(other) => Err(LoginRefusal::LoggedInElsewhere {
                user: request.user.clone(),
                phone: other.phone.clone(),
            }),
        },
    }
}

/// An ACD line is worn on one phone at a time (CC-7). Phones that the login leaves anyway do not count.
fn refuse_shared_line(
    held: &Held,
    request: &LoginRequest,
    leaving: &[&PhoneState],
) -> Result<(), LoginRefusal> {
    let Some(line) = &request.rendering.acd_line else { return Ok(()) };
    let holder = held
        .others
        .iter()
        .filter(|other| !leaving.iter().any(|left| left.phone == other.phone))
        .filter_map(|other| other.session.as_ref())
        .find(|session| session.acd_line.as_ref() == Some(line));
    match holder {
        None => Ok(()),
        Some(session) => Err(LoginRefusal::LineInUse {
            line: line.clone(),
            user: session.user.clone(),
            phone: session.phone.clone(),
        }),
    }
}

/// The sessions that end for a login, one after another.
struct Ending<'a> {
    request: &'a LoginRequest,
    policy: &'a ServiceParameters,
    now: Timestamp,
    ended: Vec<EndedSession>,
    busy: Vec<AgentBusy>,
}

impl Ending<'_> {
    /// Ends the session on the phone, which wears what its login laid down for afterwards.
    fn end(&mut self, state: &PhoneState, reason: LogoutReason) -> Result<PhoneState, LoginRefusal> {
        let logout = Logout { reason, wears: None, actor: self.request.actor.clone() };
        let requested = Requested { logout, insistence: Insistence::None, phone_epoch: None };
        match decide_requested(state, requested, self.policy, self.now) {
            Ok(out) => {
                self.ended.push(out.ended);
                self.busy.extend(out.busy);
                Ok(out.state)
            }
            Err(LogoutRefused::AgentBusy(busy)) => Err(busy.into()),
            Err(LogoutRefused::NotLoggedIn(_) | LogoutRefused::Stale { .. }) => Ok(state.clone()),
        }
    }
}

#[cfg(test)]
#[path = "login_fixture.rs"]
pub(crate) mod fixture;
#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
