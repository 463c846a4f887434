//! How a session ends (LO-1 to LO-3, LO-5, LO-8, LO-9).

use jiff::Timestamp;

use crate::name::PhoneName;
use crate::parameters::{ClearCallLogs, ServiceParameters};
use crate::phone_state::{
    Actions, Actor, Configuration, EndedSession, LogoutReason, PhoneState, SessionEvent,
};

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

/// What a logout changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The phone's new state: in its logout profile, to be restarted (LO-2).
    pub state: PhoneState,
    /// The session that ended.
    pub ended: EndedSession,
}

impl LoggedOut {
    /// What others are told.
    pub fn event(&self) -> SessionEvent {
        SessionEvent::LoggedOut(self.ended.clone())
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
    let ended = EndedSession { session, reason: logout.reason, at: now, actor: logout.actor };
    Ok(LoggedOut { state, ended })
}

/// The reason with which the clock ends the phone's session at `now`, if it does: from its instant on, not before
/// (LO-5).
pub fn due(state: &PhoneState, now: Timestamp) -> Option<LogoutReason> {
    let expires_at = state.session.as_ref()?.expires_at?;
    (expires_at <= now).then_some(LogoutReason::MaximumTime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fixture::{at, logged_in, parameters};

    fn logout(reason: LogoutReason) -> Logout {
        Logout { reason, wears: None, actor: Actor::default() }
    }

    #[test]
    fn lo_2_the_phone_wears_its_logout_profile_and_restarts() {
        let state = logged_in("SEP000DEDAB3566", "agent7", None);
        let out = decide_logout(&state, logout(LogoutReason::User), &parameters(), at(60)).unwrap();
        assert_eq!(out.state.session, None);
        assert_eq!(out.state.wears, state.session.clone().unwrap().logout_configuration);
        assert_eq!(out.state.generation, state.generation + 1);
        assert!(out.state.actions.restart);
        assert_eq!(out.ended.reason, LogoutReason::User);
        assert_eq!(out.ended.at, at(60));
    }

    /// SP-8.
    #[test]
    fn lo_3_call_history_is_cleared_as_the_parameter_says_and_call_backs_always() {
        let state = logged_in("SEP000DEDAB3566", "agent7", None);
        let cases = [
            (ClearCallLogs::Never, LogoutReason::User, false),
            (ClearCallLogs::Manual, LogoutReason::User, true),
            (ClearCallLogs::Manual, LogoutReason::MaximumTime, false),
            (ClearCallLogs::EveryLogout, LogoutReason::MaximumTime, true),
        ];
        for (clear_call_logs, reason, cleared) in cases {
            let policy = ServiceParameters { clear_call_logs, ..parameters() };
            let out = decide_logout(&state, logout(reason), &policy, at(0)).unwrap();
            assert_eq!(out.state.actions.clear_call_history, cleared, "{clear_call_logs:?} {reason:?}");
            assert!(out.state.actions.cancel_call_back);
        }
    }

    #[test]
    fn lo_8_logout_of_an_empty_phone_is_an_error_of_its_own() {
        let empty = PhoneState::new("SEP000DEDAB3566".parse().unwrap());
        let refused = decide_logout(&empty, logout(LogoutReason::User), &parameters(), at(0)).unwrap_err();
        assert_eq!(refused.phone, empty.phone);
    }

    /// SP-7.
    #[test]
    fn lo_9_the_last_user_is_remembered_only_where_the_parameter_says_so() {
        let state = logged_in("SEP000DEDAB3566", "agent7", None);
        let remember = ServiceParameters { remember_last_user: true, ..parameters() };
        let out = decide_logout(&state, logout(LogoutReason::User), &remember, at(0)).unwrap();
        assert_eq!(out.state.last_user, Some("agent7".parse().unwrap()));
        let out = decide_logout(&state, logout(LogoutReason::User), &parameters(), at(0)).unwrap();
        assert_eq!(out.state.last_user, None);
    }

    #[test]
    fn lo_1_and_sp_8_what_persons_and_applications_do_is_by_hand_and_what_the_clock_does_is_not() {
        use LogoutReason::*;
        let by_hand = [User, NextUser, Administrator, Supervisor, Application];
        let by_itself =
            [LoggedInElsewhere, MaximumTime, Idle, TimeOfDay, PhoneRemoved, CrossClusterPeer, Policy];
        let state = logged_in("SEP000DEDAB3566", "agent7", None);
        let policy = ServiceParameters { clear_call_logs: ClearCallLogs::Manual, ..parameters() };
        for (reason, manual) in
            by_hand.into_iter().map(|r| (r, true)).chain(by_itself.into_iter().map(|r| (r, false)))
        {
            let out = decide_logout(&state, logout(reason), &policy, at(0)).unwrap();
            assert_eq!(out.state.actions.clear_call_history, manual, "{reason:?}");
            assert_eq!(out.ended.reason, reason);
        }
    }

    #[test]
    fn lo_2_what_the_directory_says_at_the_logout_comes_before_what_was_rendered_at_the_login() {
        let state = logged_in("SEP000DEDAB3566", "agent7", None);
        let wears = Configuration(b"changed meanwhile".to_vec());
        let given = Logout { wears: Some(wears.clone()), ..logout(LogoutReason::User) };
        let out = decide_logout(&state, given, &parameters(), at(0)).unwrap();
        assert_eq!(out.state.wears, wears);
        assert!(!out.state.actions.reset);
    }

    #[test]
    fn lo_5_a_session_is_due_at_its_instant_and_not_before() {
        let state = logged_in("SEP000DEDAB3566", "agent7", Some(at(100)));
        assert_eq!(due(&state, at(99)), None);
        assert_eq!(due(&state, at(100)), Some(LogoutReason::MaximumTime));
        assert_eq!(due(&state, at(100_000)), Some(LogoutReason::MaximumTime));
    }
}
