//! Tests of how sessions end.

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
    let by_itself = [LoggedInElsewhere, MaximumTime, Idle, TimeOfDay, PhoneRemoved, CrossClusterPeer, Policy];
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
    let wears = Configuration("changed meanwhile".into());
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
    let Some(Automatic::Ends(out, _)) = decide(&state, &daily(&["18:00"]), evening) else { panic!("stays") };
    assert_eq!(out.ended.reason, LogoutReason::TimeOfDay);
    let Some(Automatic::Moves(later)) = decide(&state, &daily(&["19:00"]), evening) else { panic!("ends") };
    let an_hour_later = evening + jiff::SignedDuration::from_hours(1);
    assert_eq!(later.due_at(), Some(an_hour_later));
    let Some(Automatic::Moves(never)) = decide(&state, &daily(&[]), evening) else { panic!("ends") };
    assert_eq!(never.due_at(), None);
}

fn off_hook(state: &PhoneState) -> PhoneState {
    let mut state = hook(state, HookState::OffHook, at(0));
    state.session.as_mut().unwrap().apply_by = Some(at(1_800));
    state
}

#[test]
fn li_8_a_login_that_the_phone_never_wears_is_dropped_at_its_time_and_waits_for_no_handset() {
    let state = off_hook(&logged_in("SEP000DEDAB3566", "agent7", None));
    assert_eq!(state.due_at(), Some(at(1_800)));
    assert_eq!(automatic(&state, at(1_799)), None);
    let Some(Automatic::Ends(out, deadline)) = automatic(&state, at(1_800)) else { panic!("stays") };
    assert_eq!(out.ended.reason, LogoutReason::Policy);
    assert_eq!(deadline, Deadline { at: at(1_800), reason: LogoutReason::Policy });
    assert_eq!(out.state.session, None, "its hold on the phone is gone");
    assert_eq!(out.state.wears, state.session.unwrap().logout_configuration);
}

#[test]
fn li_8_once_the_handset_was_down_a_login_stays() {
    let state = off_hook(&logged_in("SEP000DEDAB3566", "agent7", None));
    let down = hook(&state, HookState::OnHook, at(1_700));
    assert_eq!((down.due_at(), automatic(&down, at(100_000))), (None, None));
    assert_eq!(hook(&down, HookState::OffHook, at(1_701)).due_at(), None, "the next call is his own");
}

#[test]
fn li_8_a_login_that_the_phone_does_not_wear_ends_at_an_earlier_deadline_at_once() {
    let state = off_hook(&logged_in("SEP000DEDAB3566", "agent7", Some(at(60))));
    let Some(Automatic::Ends(out, _)) = automatic(&state, at(60)) else { panic!("waits for another's call") };
    assert_eq!(out.ended.reason, LogoutReason::MaximumTime);
}

const BUSY: [AgentState; 4] =
    [AgentState::Ready, AgentState::Reserved, AgentState::Talking, AgentState::WrapUp];

fn requested(reason: LogoutReason, insistence: Insistence) -> Requested {
    Requested { logout: logout(reason), insistence, phone_epoch: None }
}

fn working(agent_state: Option<AgentState>) -> PhoneState {
    let mut state = logged_in("SEP000DEDAB3566", "agent7", None);
    state.session.as_mut().unwrap().agent_state = agent_state;
    state
}

fn guarded(agent_state_guard: AgentStateGuard) -> ServiceParameters {
    ServiceParameters { agent_state_guard, ..parameters() }
}

#[test]
fn cc_9_a_logout_of_an_agent_at_work_is_allowed_reported_or_refused_as_the_policy_says() {
    for agent_state in BUSY {
        let decide = |guard| {
            let ask = requested(LogoutReason::User, Insistence::None);
            decide_requested(&working(Some(agent_state)), ask, &guarded(guard), at(0))
        };
        let told = AgentBusy {
            phone: "SEP000DEDAB3566".parse().unwrap(),
            user: "agent7".parse().unwrap(),
            agent_state,
        };
        assert_eq!(decide(AgentStateGuard::Allow).unwrap().busy, None);
        assert_eq!(decide(AgentStateGuard::Warn).unwrap().busy, Some(told.clone()));
        assert_eq!(decide(AgentStateGuard::Block), Err(LogoutRefused::AgentBusy(told)));
    }
    for idle in [None, Some(AgentState::NotReady), Some(AgentState::LoggedOut)] {
        let ask = requested(LogoutReason::User, Insistence::None);
        let out = decide_requested(&working(idle), ask, &guarded(AgentStateGuard::Block), at(0)).unwrap();
        assert_eq!(out.busy, None, "{idle:?}");
    }
}

#[test]
fn cc_9_a_forced_logout_happens_and_keeps_its_note_and_a_service_is_never_held_up() {
    let state = working(Some(AgentState::Talking));
    let note: Note = "  fire drill ".parse().unwrap();
    for (guard, reported) in
        [(AgentStateGuard::Allow, false), (AgentStateGuard::Warn, true), (AgentStateGuard::Block, true)]
    {
        let ask = requested(LogoutReason::Administrator, Insistence::Forced(note.clone()));
        let out = decide_requested(&state, ask, &guarded(guard), at(0)).unwrap();
        assert_eq!((out.ended.note.as_str(), out.busy.is_some()), ("fire drill", reported), "{guard:?}");
        let ask = requested(LogoutReason::PhoneRemoved, Insistence::Unconditional);
        let out = decide_requested(&state, ask, &guarded(guard), at(0)).unwrap();
        assert_eq!((out.ended.note.as_str(), out.busy), ("", None), "{guard:?}");
    }
    for wrong in ["", " \t", "two\nlines", &"x".repeat(201)] {
        assert_eq!(wrong.parse::<Note>(), Err(InvalidNote), "{wrong:?}");
    }
}

#[test]
fn cc_9_the_clock_logs_out_whatever_the_agent_does() {
    let mut state = working(Some(AgentState::Talking));
    state.session.as_mut().unwrap().expires_at = Some(at(0));
    let policy = guarded(AgentStateGuard::Block);
    let by = AutomaticLogout { wears: None, policy: &policy, daily: None, defer_at_most: Duration::ZERO };
    assert!(matches!(decide_automatic(&state, by, at(0)), Some(Automatic::Ends(..))));
}

#[test]
fn a_logout_made_for_an_earlier_session_is_refused_as_stale() {
    let mut state = logged_in("SEP000DEDAB3566", "agent7", None);
    state.session.as_mut().unwrap().epoch = 7;
    state.epoch = 9;
    let decide = |phone_epoch| {
        let ask = Requested { phone_epoch, ..requested(LogoutReason::User, Insistence::None) };
        decide_requested(&state, ask, &parameters(), at(0))
    };
    let refused = decide(Some(6)).unwrap_err();
    assert!(matches!(refused, LogoutRefused::Stale { known: 6, began: 7, present: 9, .. }), "{refused}");
    for known in [Some(7), Some(8), Some(9), None] {
        assert!(decide(known).is_ok(), "{known:?}");
    }
}
