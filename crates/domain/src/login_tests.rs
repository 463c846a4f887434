//! Tests of the login decision, and what it shares with those of the logout decision.

use proptest::prelude::*;

use super::fixture::{at, empty, logged_in, parameters, request};
use super::*;

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
    assert_eq!(phone.wears, request("agent7").configuration);
    assert!(phone.actions.restart && !phone.actions.reset);
    assert_eq!(login.events, [SessionEvent::LoggedIn(login.session.clone())]);
    assert_eq!(login.session.expires_at, None, "no maximum is enforced by default (SP-1)");
}

#[test]
fn li_7_a_reset_is_ordered_where_the_rendering_asks_for_one() {
    let request = LoginRequest { reset: true, ..request("agent7") };
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

#[test]
fn li_9_not_allowed_names_the_other_phone() {
    let refused =
        decide(&held(empty(HERE), vec![logged_in(THERE, "agent7", None)]), &parameters()).unwrap_err();
    assert_eq!(
        refused,
        LoginRefusal::LoggedInElsewhere { user: "agent7".parse().unwrap(), phone: THERE.parse().unwrap() }
    );
}

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
    let request = LoginRequest { acd_line: Some(line.clone()), ..request("agent7") };
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
    let request = LoginRequest { acd_line: Some(line), ..request("agent7") };
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
    let request = LoginRequest { acd_line: Some(line), ..request("agent7") };
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
