//! How a session ends (LO-1 to LO-9), and whether it may while the agent is at work (CC-9).

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::deadline::{DailyLogouts, Deadline, PendingLogout};
use crate::name::{PhoneName, UserId};
use crate::parameters::{AgentStateGuard, ClearCallLogs, ServiceParameters};
use crate::phone_state::{
    Actions, Actor, AgentState, Configuration, EndedSession, HookState, LogoutReason, PhoneState, Session,
    SessionEvent,
};

/// The longest note, in characters.
const LONGEST_NOTE: usize = 200;

/// Why and by whom a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// Why (LO-1).
    pub reason: LogoutReason,
    /// What the phone shall wear; `None` for the logout rendering that was made at the login.
    pub wears: Option<Configuration>,
    /// Who.
    pub actor: Actor,
}

/// Nobody is logged in to the phone (LO-8).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody is logged in to {phone} (LO-8)")]
pub struct NotLoggedIn {
    /// The phone.
    pub phone: PhoneName,
}

/// Why a logout is forced, in words: 1 to 200 characters on one line, not all of them blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(String);

/// Words that are no note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {LONGEST_NOTE} characters, not all blank, on one line (CC-9)")]
pub struct InvalidNote;

impl FromStr for Note {
    type Err = InvalidNote;

    fn from_str(text: &str) -> Result<Self, InvalidNote> {
        let text = text.trim();
        let fits = !text.is_empty() && text.chars().count() <= LONGEST_NOTE;
        if fits && !text.chars().any(char::is_control) { Ok(Self(text.to_owned())) } else { Err(InvalidNote) }
    }
}

impl From<Note> for String {
    fn from(note: Note) -> String {
        note.0
    }
}

/// How much whoever asks for a logout minds what the agent does (CC-9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Insistence {
    /// The policy decides.
    #[default]
    None,
    /// It happens whatever he does, for this reason. The caller has seen to it that the asker may.
    Forced(Note),
    /// It happens whatever he does: a service says that it must.
    Unconditional,
}

/// A logout that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Why and by whom.
    pub logout: Logout,
    /// Whether it minds what the agent does.
    pub insistence: Insistence,
    /// The phone's epoch that the asker knows; `None` where he does not say.
    pub phone_epoch: Option<u64>,
}

/// An agent who is at work (CC-9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{user} is at work on {phone}: {agent_state} (CC-9)")]
pub struct AgentBusy {
    /// The phone.
    pub phone: PhoneName,
    /// Who.
    pub user: UserId,
    /// What he does.
    pub agent_state: AgentState,
}

/// Why a logout that was asked for may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutRefused {
    /// Nobody is logged in.
    #[error(transparent)]
    NotLoggedIn(#[from] NotLoggedIn),
    /// The session began after what the asker knows of the phone.
    #[error("the session on {phone} began at epoch {began}, after epoch {known}")]
    Stale {
        /// The phone.
        phone: PhoneName,
        /// The epoch that the asker knows.
        known: u64,
        /// The one at which the session began.
        began: u64,
        /// The phone's present one.
        present: u64,
    },
    /// The agent is at work, and the policy is to refuse that.
    #[error(transparent)]
    AgentBusy(#[from] AgentBusy),
}

/// What a logout changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The phone's new state: in its logout profile, to be restarted (LO-2).
    pub state: PhoneState,
    /// The session that ended.
    pub ended: EndedSession,
    /// Set where the agent was at work, and the policy is to say so or was overridden (CC-9).
    pub busy: Option<AgentBusy>,
}

impl LoggedOut {
    /// What others are told.
    pub fn event(&self) -> SessionEvent {
        self.ended.told()
    }
}

/// Decides a logout: the phone wears its logout profile and restarts (LO-2), its call history is cleared as the
/// parameter says, and the user's call-backs are cancelled (LO-3).
///
/// # Errors
/// When nobody is logged in (LO-8).
pub fn decide_logout(
    state: &PhoneState,
    logout: Logout,
    policy: &ServiceParameters,
    now: Timestamp,
) -> Result<LoggedOut, NotLoggedIn> {
    let Some(session) = state.session.clone() else {
        return Err(NotLoggedIn { phone: state.phone.clone() });
    };
    let clear_call_history = match policy.clear_call_logs {
        ClearCallLogs::Never => false,
        ClearCallLogs::Manual => logout.reason.is_manual(),
        ClearCallLogs::EveryLogout => true,
    };
    let actions = Actions { restart: true, reset: false, clear_call_history, cancel_call_back: true };
    let wears = logout.wears.unwrap_or_else(|| session.logout_configuration.clone());
    let mut state = state.dressed(wears, actions);
    state.session = None;
    state.last_user = policy.remember_last_user.then(|| session.user.clone());
    let epoch = state.epoch;
    let note = String::new();
    let ended = EndedSession { session, reason: logout.reason, at: now, actor: logout.actor, epoch, note };
    Ok(LoggedOut { state, ended, busy: None })
}

/// Decides a logout that somebody asks for: as [`decide_logout`], unless what he knows is out of date, or the agent is
/// at work and the policy forbids it (CC-9).
///
/// # Errors
/// The first of: nobody is logged in, the session is a later one than he knows of, the agent is at work.
pub fn decide_requested(
    state: &PhoneState,
    requested: Requested,
    policy: &ServiceParameters,
    now: Timestamp,
) -> Result<LoggedOut, LogoutRefused> {
    let Some(session) = &state.session else {
        return Err(NotLoggedIn { phone: state.phone.clone() }.into());
    };
    if let Some(known) = requested.phone_epoch.filter(|known| session.epoch > *known) {
        let phone = state.phone.clone();
        return Err(LogoutRefused::Stale { phone, known, began: session.epoch, present: state.epoch });
    }
    let busy = session.agent_state.filter(|agent_state| agent_state.is_busy()).map(|agent_state| AgentBusy {
        phone: state.phone.clone(),
        user: session.user.clone(),
        agent_state,
    });
    let (busy, note) = match (requested.insistence, policy.agent_state_guard) {
        (Insistence::Unconditional, _) => (None, String::new()),
        (Insistence::Forced(note), AgentStateGuard::Allow) => (None, note.into()),
        (Insistence::Forced(note), _) => (busy, note.into()),
        (Insistence::None, AgentStateGuard::Allow) => (None, String::new()),
        (Insistence::None, AgentStateGuard::Warn) => (busy, String::new()),
        (Insistence::None, AgentStateGuard::Block) => match busy {
            None => (None, String::new()),
            Some(busy) => return Err(busy.into()),
        },
    };
    let mut out = decide_logout(state, requested.logout, policy, now)?;
    out.ended.note = note;
    Ok(LoggedOut { busy, ..out })
}

/// By what an automatic logout is decided.
#[derive(Clone, Debug)]
pub struct AutomaticLogout<'a> {
    /// What the phone shall wear; `None` for the logout rendering that was made at the login.
    pub wears: Option<Configuration>,
    /// The cluster's parameters.
    pub policy: &'a ServiceParameters,
    /// Its daily logout times as they are now; `None` where that is not known, and what the session says holds.
    pub daily: Option<DailyLogouts>,
    /// How long it waits for the handset.
    pub defer_at_most: Duration,
}

/// What the clock does about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "decisions live one at a time")]
pub enum Automatic {
    /// It ends; with the deadline by which it does.
    Ends(LoggedOut, Deadline),
    /// It ends when the handset is down (LO-4).
    Waits(PhoneState, Session),
    /// The daily logout times are not those any more by which it would end.
    Moves(PhoneState),
}

/// Decides what the clock does about the phone's session at `now`: nothing before its instant (LO-5). While the handset
/// is up, the logout waits (LO-4), unless the phone never came to wear the login (LI-8).
pub fn decide_automatic(state: &PhoneState, by: AutomaticLogout<'_>, now: Timestamp) -> Option<Automatic> {
    let session = state.session.as_ref()?;
    let deadline = session.next_logout().filter(|deadline| deadline.at <= now)?;
    if session.pending_logout.is_none() {
        let moved = by
            .daily
            .as_ref()
            .filter(|daily| deadline.reason == LogoutReason::TimeOfDay && !daily.has(deadline.at));
        if let Some(daily) = moved {
            return state.with_daily_logouts(daily, now).map(Automatic::Moves);
        }
        let until = deadline.at.checked_add(by.defer_at_most).unwrap_or(Timestamp::MAX);
        // What the phone never came to wear is in nobody's way on it, and waits for nothing.
        if session.apply_by.is_none() && state.hook == HookState::OffHook && until > now {
            let pending = PendingLogout { reason: deadline.reason, due_at: deadline.at, until };
            let session = Session { pending_logout: Some(pending), ..session.clone() };
            let state =
                PhoneState { epoch: state.epoch + 1, session: Some(session.clone()), ..state.clone() };
            return Some(Automatic::Waits(state, session));
        }
    }
    let logout = Logout { reason: deadline.reason, wears: by.wears, actor: Actor::default() };
    let out = decide_logout(state, logout, by.policy, now).ok()?;
    Some(Automatic::Ends(out, deadline))
}

#[cfg(test)]
#[path = "logout_tests.rs"]
mod tests;
