//! Tests of the login decision, and what it shares with those of the logout decision.

use proptest::prelude::*;

use super::fixture::{at, empty, logged_in, parameters, rendered, request};
use super::*;
use crate::parameters::AgentStateGuard;

fn decide(held: &Held, policy: &ServiceParameters) -> Result<Login, LoginRefusal> {
    decide_login(held, &request("agent7"), policy, at(0))
}

fn held(phone: PhoneState, others: Vec<PhoneState>) -> Held {
    Held { phone, others }
}

const HERE: &str = "SEP000DEDAB3566";
const THERE: &str = "SEP0012DA8AC43D";

#[test]
fn li_1_a_login_dresses_the_phone_and_tells_others() {
    let login = decide(&held(empty(HERE), vec![]), &parameters()).unwrap();
    let phone = &login.states[0];
    assert_eq!(phone.session.as_ref(), Some(&login.session));
    assert_eq!(phone.wears, request("agent7").rendering.configuration);
    assert!(phone.actions.restart && !phone.actions.reset && !phone.actions.cancel_call_back);
    assert_eq!(login.events, [SessionEvent::LoggedIn(login.session.told())]);
    assert_eq!(login.session.expires_at, None, "no maximum is enforced by default (SP-1)");
}

#[test]
fn li_7_a_reset_is_ordered_where_the_rendering_asks_for_one() {
    let request = rendered("agent7", |rendering| rendering.reset = true);
    let login = decide_login(&held(empty(HERE), vec![]), &request, &parameters(), at(0)).unwrap();
    assert!(login.states[0].actions.reset);
}

#[test]
fn sp_13_an_occupied_phone_is_refused_taken_over_on_request_or_always() {
    let occupied = held(logged_in(HERE, "agent8", None), vec![]);
    for (occupied_phone, take_over, admitted) in [
        (OccupiedPhone::Refuse, true, false),
        (OccupiedPhone::OnRequest, false, false),
        (OccupiedPhone::OnRequest, true, true),
        (OccupiedPhone::Always, false, true),
    ] {
        let policy = ServiceParameters { occupied_phone, ..parameters() };
        let request = LoginRequest { take_over, ..request("agent7") };
        let decided = decide_login(&occupied, &request, &policy, at(0));
        if admitted {
            let login = decided.unwrap();
            assert_eq!(login.ended[0].reason, LogoutReason::NextUser);
            assert_eq!(login.states.len(), 1);
            assert!(login.states[0].actions.clear_call_history, "the former user's calls are cleared (LO-3)");
            assert_eq!(login.states[0].epoch, occupied.phone.epoch + 1);
        } else {
            let LoginRefusal::PhoneOccupied { user, .. } = decided.unwrap_err() else {
                panic!("another refusal")
            };
            assert_eq!(user.as_str(), "agent8");
        }
    }
}

#[test]
fn sp_13_the_same_user_may_log_in_again_to_his_phone() {
    let login = decide(&held(logged_in(HERE, "agent7", None), vec![]), &parameters()).unwrap();
    assert_eq!(login.ended[0].reason, LogoutReason::User);
}

/// SP-5.
#[test]
fn li_9_not_allowed_names_the_other_phone() {
    let refused =
        decide(&held(empty(HERE), vec![logged_in(THERE, "agent7", None)]), &parameters()).unwrap_err();
    assert_eq!(
        refused,
        LoginRefusal::LoggedInElsewhere { user: "agent7".parse().unwrap(), phone: THERE.parse().unwrap() }
    );
}

/// SP-5.
#[test]
fn li_9_auto_logout_ends_the_others_in_the_same_step() {
    let policy = ServiceParameters { multiple_login: MultipleLogin::AutoLogout, ..parameters() };
    let other = logged_in(THERE, "agent7", None);
    let login = decide(&held(empty(HERE), vec![other.clone()]), &policy).unwrap();
    assert_eq!(login.states.len(), 2);
    assert_eq!(login.states[1].session, None);
    assert_eq!(login.states[1].wears, other.session.unwrap().logout_configuration);
    assert_eq!(login.ended[0].reason, LogoutReason::LoggedInElsewhere);
}

#[test]
fn li_9_auto_logout_touches_no_phone_of_anybody_else() {
    let policy = ServiceParameters { multiple_login: MultipleLogin::AutoLogout, ..parameters() };
    let others = vec![
        logged_in("SEP020000000001", "agent8", None),
        logged_in(THERE, "agent7", None),
        empty("SEP020000000002"),
    ];
    let login = decide(&held(empty(HERE), others), &policy).unwrap();
    let touched: Vec<_> = login.states.iter().map(|state| state.phone.as_str()).collect();
    assert_eq!(touched, [HERE, THERE]);
    assert_eq!(login.ended.len(), 1);
}

/// SP-5.
#[test]
fn li_9_allowed_leaves_the_others_alone() {
    let policy = ServiceParameters { multiple_login: MultipleLogin::Allowed, ..parameters() };
    let login = decide(&held(empty(HERE), vec![logged_in(THERE, "agent7", None)]), &policy).unwrap();
    assert!(login.ended.is_empty());
}

#[test]
fn cc_7_an_acd_line_is_worn_on_one_phone_and_the_refusal_names_who_and_where() {
    let line: LineName = "2101".parse().unwrap();
    let mut other = logged_in(THERE, "agent8", None);
    other.session.as_mut().unwrap().acd_line = Some(line.clone());
    let request = rendered("agent7", |rendering| rendering.acd_line = Some(line.clone()));
    let refused = decide_login(&held(empty(HERE), vec![other]), &request, &parameters(), at(0)).unwrap_err();
    let expected =
        LoginRefusal::LineInUse { line, user: "agent8".parse().unwrap(), phone: THERE.parse().unwrap() };
    assert_eq!(refused, expected);
}

#[test]
fn cc_7_a_phone_that_the_login_leaves_does_not_hold_the_line() {
    let line: LineName = "2101".parse().unwrap();
    let mut other = logged_in(THERE, "agent7", None);
    other.session.as_mut().unwrap().acd_line = Some(line.clone());
    let request = rendered("agent7", |rendering| rendering.acd_line = Some(line));
    let policy = ServiceParameters { multiple_login: MultipleLogin::AutoLogout, ..parameters() };
    assert!(decide_login(&held(empty(HERE), vec![other]), &request, &policy, at(0)).is_ok());
}

#[test]
fn sp_20_a_login_may_ask_for_less_never_for_more() {
    let policy = ServiceParameters { enforce_maximum_login_time: true, ..parameters() };
    let asking =
        |hours: u64| LoginRequest { duration: Some(Duration::from_secs(hours * 3600)), ..request("agent7") };
    let empty = held(empty(HERE), vec![]);
    let login = decide_login(&empty, &asking(4), &policy, at(0)).unwrap();
    assert_eq!(login.session.expires_at, Some(at(4 * 3600)));
    let refused = decide_login(&empty, &asking(9), &policy, at(0)).unwrap_err();
    assert!(matches!(refused, LoginRefusal::DurationTooLong { .. }));
    let login = decide_login(&empty, &request("agent7"), &policy, at(0)).unwrap();
    assert_eq!(login.session.expires_at, Some(at(8 * 3600)), "the cluster's maximum (SP-2)");
}

#[test]
fn li_2_occupied_comes_before_elsewhere_and_elsewhere_before_the_shared_line() {
    let line: LineName = "2101".parse().unwrap();
    let mut holder = logged_in(THERE, "agent9", None);
    holder.session.as_mut().unwrap().acd_line = Some(line.clone());
    let mine = logged_in("SEP020000000001", "agent7", None);
    let request = rendered("agent7", |rendering| rendering.acd_line = Some(line));
    let refusal = |phone: PhoneState, others: Vec<PhoneState>| {
        decide_login(&held(phone, others), &request, &parameters(), at(0)).unwrap_err()
    };
    let all = refusal(logged_in(HERE, "agent8", None), vec![holder.clone(), mine.clone()]);
    assert!(matches!(all, LoginRefusal::PhoneOccupied { .. }));
    let two = refusal(empty(HERE), vec![holder.clone(), mine]);
    assert!(matches!(two, LoginRefusal::LoggedInElsewhere { .. }));
    let one = refusal(empty(HERE), vec![holder]);
    assert!(matches!(one, LoginRefusal::LineInUse { .. }));
}

#[test]
fn li_2_a_duration_that_is_too_long_comes_before_all_of_them_and_the_refusals_say_what_would_help() {
    let policy = ServiceParameters { enforce_maximum_login_time: true, ..parameters() };
    let too_long = LoginRequest { duration: Some(Duration::from_secs(9 * 3600)), ..request("agent7") };
    let occupied = held(logged_in(HERE, "agent8", None), vec![]);
    let refused = decide_login(&occupied, &too_long, &policy, at(0)).unwrap_err();
    assert!(matches!(refused, LoginRefusal::DurationTooLong { .. }));
    for (occupied_phone, helps) in [(OccupiedPhone::Refuse, false), (OccupiedPhone::OnRequest, true)] {
        let policy = ServiceParameters { occupied_phone, ..parameters() };
        let refused = decide(&occupied, &policy).unwrap_err();
        assert!(matches!(refused, LoginRefusal::PhoneOccupied { on_request, .. } if on_request == helps));
    }
}

#[test]
fn sp_1_the_clusters_maximum_holds_only_where_it_is_enforced() {
    let empty = held(empty(HERE), vec![]);
    for (enforce_maximum_login_time, ends) in [(false, None), (true, Some(at(2 * 3600)))] {
        let maximum_login_time = Duration::from_secs(2 * 3600);
        let policy = ServiceParameters { enforce_maximum_login_time, maximum_login_time, ..parameters() };
        assert_eq!(decide(&empty, &policy).unwrap().session.expires_at, ends);
    }
}

#[test]
fn sp_20_a_users_own_maximum_bounds_what_he_asks_for_and_no_limit_lets_him_ask_for_anything() {
    let policy = ServiceParameters { enforce_maximum_login_time: true, ..parameters() };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let ends = |user_login_time, asked: Option<u64>| {
        let request = LoginRequest { user_login_time, duration: asked.map(hours), ..request("agent7") };
        let login = decide_login(&held(empty(HERE), vec![]), &request, &policy, at(0));
        login.map(|login| login.session.expires_at).map_err(
            |refused| matches!(refused, LoginRefusal::DurationTooLong { allowed, .. } if allowed == hours(9)),
        )
    };
    let own = UserLoginTime::AtMost(hours(9));
    assert_eq!(ends(own, None), Ok(Some(at(9 * 3600))), "longer than the cluster's");
    assert_eq!(ends(own, Some(9)), Ok(Some(at(9 * 3600))));
    assert_eq!(ends(own, Some(10)), Err(true));
    assert_eq!(ends(UserLoginTime::Unlimited, None), Ok(None));
    assert_eq!(ends(UserLoginTime::Unlimited, Some(10)), Ok(Some(at(10 * 3600))));
}

#[test]
fn sp_7_the_user_is_remembered_from_his_login_on_where_the_parameter_says_so() {
    for (remember_last_user, last_user) in [(true, Some("agent7".parse().unwrap())), (false, None)] {
        let policy = ServiceParameters { remember_last_user, ..parameters() };
        let mut phone = empty(HERE);
        phone.last_user = Some("agent8".parse().unwrap());
        assert_eq!(decide(&held(phone, vec![]), &policy).unwrap().states[0].last_user, last_user);
    }
}

#[test]
fn sp_8_a_login_clears_the_history_only_where_logins_by_hand_do() {
    for (clear_call_logs, clears) in
        [(ClearCallLogs::Never, false), (ClearCallLogs::Manual, true), (ClearCallLogs::EveryLogout, false)]
    {
        let policy = ServiceParameters { clear_call_logs, ..parameters() };
        let login = decide(&held(empty(HERE), vec![]), &policy).unwrap();
        assert_eq!(login.states[0].actions.clear_call_history, clears, "{clear_call_logs:?}");
    }
}

#[test]
fn cc_7_neither_another_line_nor_a_line_worn_otherwise_is_in_the_way() {
    let line: LineName = "2101".parse().unwrap();
    let wearing = |acd_line: Option<&str>| {
        let mut other = logged_in(THERE, "agent8", None);
        other.session.as_mut().unwrap().acd_line = acd_line.map(|line| line.parse().unwrap());
        held(empty(HERE), vec![other])
    };
    let request = rendered("agent7", |rendering| rendering.acd_line = Some(line));
    for acd_line in [None, Some("2102")] {
        assert!(decide_login(&wearing(acd_line), &request, &parameters(), at(0)).is_ok(), "{acd_line:?}");
    }
    assert!(decide(&wearing(Some("2101")), &parameters()).is_ok(), "a user without an ACD line");
}

prop_compose! {
    fn any_policy()(multiple in 0..3, occupied in 0..3, enforce: bool, remember: bool) -> ServiceParameters {
        ServiceParameters {
            multiple_login: [MultipleLogin::Allowed, MultipleLogin::NotAllowed, MultipleLogin::AutoLogout][multiple as usize],
            occupied_phone: [OccupiedPhone::Refuse, OccupiedPhone::OnRequest, OccupiedPhone::Always][occupied as usize],
            enforce_maximum_login_time: enforce,
            remember_last_user: remember,
            ..parameters()
        }
    }
}

proptest! {
    /// Whatever is live and whatever the policy: a login that is admitted leaves exactly one session of the user
    /// unless several are allowed, every state it returns is one epoch on, and every session it ends is told.
    #[test]
    fn li_9_an_admitted_login_leaves_a_state_that_keeps_the_policy(
        policy in any_policy(),
        here in prop::option::of(7u8..10),
        there in prop::collection::vec(7u8..10, 0..4),
        take_over: bool,
        hours in prop::option::of(1u64..20),
    ) {
        let phone = here.map_or_else(|| empty(HERE), |n| logged_in(HERE, &format!("agent{n}"), None));
        let others: Vec<_> = there
            .iter()
            .enumerate()
            .map(|(i, n)| logged_in(&format!("SEP02000000000{i}"), &format!("agent{n}"), None))
            .filter(|state| state.session.as_ref().unwrap().user.as_str() == "agent7")
            .collect();
        let held = held(phone, others);
        let request = LoginRequest { take_over, duration: hours.map(|h| Duration::from_secs(h * 3600)), ..request("agent7") };
        if let Ok(login) = decide_login(&held, &request, &policy, at(0)) {
            let mut after: Vec<PhoneState> = std::iter::once(&held.phone).chain(&held.others).cloned().collect();
            for state in &login.states {
                let before = after.iter_mut().find(|s| s.phone == state.phone).unwrap();
                prop_assert_eq!(state.epoch, before.epoch + 1);
                prop_assert_eq!(state.generation, before.generation + 1);
                *before = state.clone();
            }
            let his = after.iter().filter(|s| s.session.as_ref().is_some_and(|s| s.user.as_str() == "agent7")).count();
            prop_assert!(his == 1 || policy.multiple_login == MultipleLogin::Allowed);
            prop_assert_eq!(login.events.len(), login.ended.len() + 1);
            prop_assert_eq!(login.session.generation, login.states[0].generation);
            if policy.enforce_maximum_login_time {
                prop_assert!(login.session.expires_at.unwrap() <= at(8 * 3600));
            }
        }
    }
}

proptest! {
    /// What is refused of the phone alone is what the decision refuses, and no more.
    #[test]
    fn li_10_a_phone_refuses_beforehand_what_the_decision_refuses(
        policy in any_policy(),
        guard in prop::sample::select(vec![AgentStateGuard::Allow, AgentStateGuard::Warn, AgentStateGuard::Block]),
        here in prop::option::of(7u8..9),
        talks: bool,
        leaves: bool,
        take_over: bool,
    ) {
        let policy = ServiceParameters { agent_state_guard: guard, ..policy };
        let mut phone = here.map_or_else(|| empty(HERE), |n| logged_in(HERE, &format!("agent{n}"), None));
        if let (Some(n), true) = (here, talks) {
            let user = format!("agent{n}").parse().unwrap();
            phone = phone.with_agent_state(&user, crate::phone_state::AgentState::Talking).unwrap();
        }
        if let (Some(session), true) = (phone.session.as_mut(), leaves) {
            let reason = LogoutReason::MaximumTime;
            session.pending_logout = Some(crate::deadline::PendingLogout { reason, due_at: at(-1), until: at(3_600) });
        }
        let request = LoginRequest { take_over, ..request("agent7") };
        let beforehand = refuse_at_phone(&phone, &request.user, take_over, &policy, at(0));
        prop_assert_eq!(decide_login(&held(phone, vec![]), &request, &policy, at(0)).map(|_| ()), beforehand);
    }
}

#[test]
fn lo_4_a_phone_whose_logout_waits_takes_its_own_user_and_nobody_else() {
    let mut phone = logged_in(HERE, "agent8", Some(at(-1)));
    let session = phone.session.as_mut().unwrap();
    let reason = LogoutReason::MaximumTime;
    session.pending_logout =
        Some(crate::deadline::PendingLogout { reason, due_at: at(-1), until: at(3_600) });
    let policy = ServiceParameters { occupied_phone: OccupiedPhone::Always, ..parameters() };
    let refused = decide(&held(phone.clone(), vec![]), &policy).unwrap_err();
    let (user, place) = ("agent8".parse().unwrap(), HERE.parse().unwrap());
    assert_eq!(refused, LoginRefusal::LogoutPending { phone: place, user });
    let again = decide_login(&held(phone, vec![]), &request("agent8"), &policy, at(0)).unwrap();
    assert_eq!(again.session.pending_logout, None);
    assert_eq!(again.ended[0].reason, LogoutReason::User);
}

#[test]
fn lo_6_and_lo_7_a_login_says_when_it_ends_by_itself() {
    let zone = |time: &str| ServiceParameters {
        daily_logout_times: vec![time.parse().unwrap()],
        time_zone: "Asia/Kathmandu".into(),
        ..parameters()
    };
    let request = rendered("agent7", |rendering| rendering.idle_limit = Some(Duration::from_secs(60)));
    let session = decide_login(&held(empty(HERE), vec![]), &request, &zone("24:00"), at(0)).unwrap().session;
    assert_eq!(session.idle_since, Some(at(0)));
    assert_eq!(session.next_logout().unwrap().at, at(60));
    let midnight = "2023-11-16T00:00:00+05:45".parse().unwrap();
    assert_eq!(session.daily_logout_at, Some(midnight));

    let lifted = empty(HERE).with_hook(HookState::OffHook, at(-5)).unwrap();
    let session = decide_login(&held(lifted, vec![]), &request, &zone("24:00"), at(0)).unwrap().session;
    assert_eq!(session.idle_since, None, "nobody is idle with the handset up");
}

#[test]
fn li_8_a_login_with_the_handset_up_has_a_time_within_which_the_phone_must_wear_it() {
    let lifted = empty(HERE).with_hook(HookState::OffHook, at(-5)).unwrap();
    let request = LoginRequest { apply_within: Duration::from_secs(60), ..request("agent7") };
    let decide = |phone| decide_login(&held(phone, vec![]), &request, &parameters(), at(0)).unwrap();
    let login = decide(lifted);
    assert_eq!(login.session.apply_by, Some(at(60)));
    assert_eq!(login.states[0].due_at(), Some(at(60)));
    assert_eq!(decide(empty(HERE)).session.apply_by, None);
}

#[test]
fn cc_9_a_login_that_would_end_the_session_of_an_agent_at_work_is_held_to_the_policy() {
    let busy = |phone: &str, user: &str| {
        let state = logged_in(phone, user, None);
        state.with_agent_state(&user.parse().unwrap(), crate::phone_state::AgentState::Talking).unwrap()
    };
    let here = held(busy(HERE, "agent8"), vec![]);
    let there = held(empty(HERE), vec![busy(THERE, "agent7")]);
    for (guard, reported) in
        [(AgentStateGuard::Allow, Some(0)), (AgentStateGuard::Warn, Some(1)), (AgentStateGuard::Block, None)]
    {
        let policy = ServiceParameters {
            agent_state_guard: guard,
            multiple_login: MultipleLogin::AutoLogout,
            occupied_phone: OccupiedPhone::Always,
            ..parameters()
        };
        for (held, whose) in [(&here, "agent8"), (&there, "agent7")] {
            match (decide(held, &policy), reported) {
                (Ok(login), Some(reported)) => {
                    assert_eq!((login.ended.len(), login.busy.len()), (1, reported), "{guard:?}");
                    assert_eq!(login.session.agent_state, None, "it ends with its session");
                }
                (Err(LoginRefusal::AgentBusy(busy)), None) => assert_eq!(busy.user.as_str(), whose),
                (other, _) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn cc_9_a_report_of_another_user_or_of_the_same_changes_nothing() {
    let state = logged_in(HERE, "agent7", None);
    let report = |state: &PhoneState, user: &str| {
        state.with_agent_state(&user.parse().unwrap(), crate::phone_state::AgentState::Ready)
    };
    assert_eq!(report(&state, "agent8"), None);
    assert_eq!(report(&empty(HERE), "agent7"), None);
    let ready = report(&state, "agent7").unwrap();
    assert_eq!((ready.epoch, report(&ready, "agent7")), (state.epoch + 1, None));
}
