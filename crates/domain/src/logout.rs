//! How a session ends (LO-1 to LO-9).

use std::time::Duration;

use jiff::Timestamp;

use crate::deadline::{DailyLogouts, Deadline, PendingLogout};
use crate::name::PhoneName;
use crate::parameters::{ClearCallLogs, ServiceParameters};
use crate::phone_state::{
    Actions, Actor, Configuration, EndedSession, HookState, LogoutReason, PhoneState, Session, SessionEvent,
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
/// is up, the logout waits (LO-4).
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
        if state.hook == HookState::OffHook && until > now {
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
mod tests {
    use super::*;
    use crate::login::fixture::{at, logged_in, parameters};

    /// What the clock does where the daily logout times are not known.
    fn automatic(state: &PhoneState, now: Timestamp) -> Option<Automatic> {
        let hour = Duration::from_secs(3600);
        let by = AutomaticLogout { wears: None, policy: &parameters(), daily: None, defer_at_most: hour };
        decide_automatic(state, by, now)
    }

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
        assert_eq!(automatic(&state, at(99)), None);
        for late in [100, 100_000] {
            let Some(Automatic::Ends(out, deadline)) = automatic(&state, at(late)) else { panic!("stays") };
            assert_eq!(out.ended.reason, LogoutReason::MaximumTime);
            assert_eq!((out.ended.at, deadline.at), (at(late), at(100)));
        }
    }

    fn hook(state: &PhoneState, hook: HookState, now: Timestamp) -> PhoneState {
        state.with_hook(hook, now).unwrap()
    }

    #[test]
    fn lo_6_the_idle_clock_stands_while_the_handset_is_up_and_begins_anew_when_it_is_down() {
        let mut state = logged_in("SEP000DEDAB3566", "agent7", Some(at(10_000)));
        state.session.as_mut().unwrap().idle_limit = Some(Duration::from_secs(600));
        let due = |state: &PhoneState| state.session.as_ref().unwrap().next_logout().unwrap();
        assert_eq!(due(&state), Deadline { at: at(540), reason: LogoutReason::Idle });
        let lifted = hook(&state, HookState::OffHook, at(539));
        assert_eq!(due(&lifted), Deadline { at: at(10_000), reason: LogoutReason::MaximumTime });
        assert_eq!(automatic(&lifted, at(5_000)), None, "nobody is idle on a call");
        let down = hook(&lifted, HookState::OnHook, at(5_000));
        assert_eq!(automatic(&down, at(5_599)), None);
        let Some(Automatic::Ends(out, _)) = automatic(&down, at(5_600)) else { panic!("stays") };
        assert_eq!(out.ended.reason, LogoutReason::Idle);
    }

    #[test]
    fn lo_4_an_automatic_logout_waits_for_the_handset_and_comes_when_it_is_down() {
        let lifted = hook(&logged_in("SEP000DEDAB3566", "agent7", Some(at(100))), HookState::OffHook, at(0));
        let Some(Automatic::Waits(waits, session)) = automatic(&lifted, at(101)) else { panic!("no wait") };
        let pending = PendingLogout { reason: LogoutReason::MaximumTime, due_at: at(100), until: at(3_700) };
        assert_eq!(session.pending_logout, Some(pending));
        assert_eq!((waits.epoch, waits.due_at()), (lifted.epoch + 1, Some(at(3_700))));
        assert_eq!(automatic(&waits, at(3_699)), None, "marked once");
        let down = hook(&waits, HookState::OnHook, at(200));
        let Some(Automatic::Ends(out, _)) = automatic(&down, at(200)) else { panic!("stays") };
        assert_eq!((out.ended.reason, out.ended.at), (LogoutReason::MaximumTime, at(200)));
    }

    #[test]
    fn lo_4_it_does_not_wait_for_longer_than_its_limit() {
        let lifted = hook(&logged_in("SEP000DEDAB3566", "agent7", Some(at(100))), HookState::OffHook, at(0));
        let Some(Automatic::Waits(waits, _)) = automatic(&lifted, at(100)) else { panic!("no wait") };
        assert!(matches!(automatic(&waits, at(3_700)), Some(Automatic::Ends(..))));
        let down_for_long = automatic(&lifted, at(3_700));
        assert!(matches!(down_for_long, Some(Automatic::Ends(..))), "the limit counts from the instant");
    }

    /// SP-10, SP-21.
    #[test]
    fn lo_7_a_daily_logout_that_was_abolished_does_not_happen() {
        let mut state = logged_in("SEP000DEDAB3566", "agent7", None);
        let daily = |times: &[&str]| {
            let daily_logout_times = times.iter().map(|time| time.parse().unwrap()).collect();
            ServiceParameters { daily_logout_times, ..parameters() }
        };
        let decide = |state: &PhoneState, policy: &ServiceParameters, now| {
            let daily = Some(DailyLogouts::of(policy));
            let by = AutomaticLogout { wears: None, policy, daily, defer_at_most: Duration::ZERO };
            decide_automatic(state, by, now)
        };
        let evening = DailyLogouts::of(&daily(&["18:00"])).next_after(at(0)).unwrap();
        state.session.as_mut().unwrap().daily_logout_at = Some(evening);
        let Some(Automatic::Ends(out, _)) = decide(&state, &daily(&["18:00"]), evening) else {
            panic!("stays")
        };
        assert_eq!(out.ended.reason, LogoutReason::TimeOfDay);
        let Some(Automatic::Moves(later)) = decide(&state, &daily(&["19:00"]), evening) else {
            panic!("ends")
        };
        let an_hour_later = evening + jiff::SignedDuration::from_hours(1);
        assert_eq!(later.due_at(), Some(an_hour_later));
        let Some(Automatic::Moves(never)) = decide(&state, &daily(&[]), evening) else { panic!("ends") };
        assert_eq!(never.due_at(), None);
    }
}
