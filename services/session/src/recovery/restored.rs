//! What a session and its phone are after the store was lost: all that the trail tells of it, the rendering that the
//! directory makes of it now, and for what neither knows the choice that harms least.

use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::deadline::DailyLogouts;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::{
    Actions, Actor, Configuration, EndedSession, HookState, LogoutReason, PhoneState, Session,
};

/// A phone whose login is younger may not have restarted for it yet, and is told to do so.
const DRESSING_TAKES: Duration = Duration::from_secs(600);

/// The phone with the session that the trail told of, with its epoch and generation at the floor. Its deadlines are those
/// it had; what fell due meanwhile is for the sweep. The phone must acknowledge anew, but is not made to restart for what it
/// wears already.
///
/// Handsets are taken for down, except where a logout waits for one (LO-4); the idle clock begins anew (LO-6).
pub(super) fn phone(
    told: Session,
    made: Rendering,
    policy: &ServiceParameters,
    floor: u64,
    now: Timestamp,
) -> PhoneState {
    let hook = if told.pending_logout.is_some() { HookState::OffHook } else { HookState::OnHook };
    let undressed = told.apply_by.is_some_and(|by| by > now)
        || told.since.checked_add(DRESSING_TAKES).is_ok_and(|dressed| dressed > now);
    let session = Session {
        idle_since: (hook == HookState::OnHook).then_some(now),
        apply_by: None,
        agent_state: None,
        lines: made.lines,
        primary_extension: made.primary_extension,
        generation: floor,
        logout_configuration: made.logout_configuration,
        ..told
    };
    let state = PhoneState {
        epoch: floor,
        generation: floor,
        wears: made.configuration,
        actions: Actions { restart: undressed, reset: undressed && made.reset, ..Actions::default() },
        hook,
        last_user: policy.remember_last_user.then(|| session.user.clone()),
        ..PhoneState::new(session.phone.clone())
    };
    let state = PhoneState { session: Some(session), ..state };
    // The daily times may have been others when the trail was told of it.
    state.with_daily_logouts(&DailyLogouts::of(policy), now).unwrap_or(state)
}

/// The phone of a session that cannot be rebuilt, in what it wears with nobody logged in.
pub(super) fn phone_without(told: &Session, wears: Configuration, floor: u64) -> PhoneState {
    let restart = Actions { restart: true, ..Actions::default() };
    PhoneState {
        epoch: floor,
        generation: floor,
        wears,
        actions: restart,
        ..PhoneState::new(told.phone.clone())
    }
}

/// The end of a session that cannot be rebuilt.
pub(super) fn ended(told: &Session, reason: LogoutReason, floor: u64, now: Timestamp) -> EndedSession {
    EndedSession {
        session: told.clone(),
        reason,
        at: now,
        actor: Actor::default(),
        epoch: floor,
        note: String::new(),
    }
}

#[cfg(test)]
fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_700_000_000 + seconds)
}

/// A session that the trail told of, for tests.
#[cfg(test)]
pub(super) fn sample() -> Session {
    Session {
        id: "01JD0000000000000000000001".parse().unwrap(),
        user: "agent".parse().unwrap(),
        phone: "SEP000DEDAB3566".parse().unwrap(),
        profile: "agent".parse().unwrap(),
        since: at(0),
        expires_at: Some(at(3600)),
        idle_limit: Some(Duration::from_secs(600)),
        idle_since: Some(at(0)),
        daily_logout_at: None,
        pending_logout: None,
        apply_by: None,
        agent_state: None,
        primary_extension: Some("2101".parse().unwrap()),
        lines: vec!["2101".parse().unwrap()],
        acd_line: Some("2101".parse().unwrap()),
        generation: 7,
        epoch: 12,
        actor: Actor { name: "agent".into(), ..Actor::default() },
        logout_configuration: Configuration::default(),
    }
}

#[cfg(test)]
mod tests {
    use roamline_domain::deadline::PendingLogout;

    use super::*;

    const FLOOR: u64 = 1 << 20;

    fn told(since: i64) -> Session {
        Session { since: at(since), idle_since: Some(at(since)), ..sample() }
    }

    fn made() -> Rendering {
        Rendering {
            profile: "agent".parse().unwrap(),
            configuration: Configuration(vec![1].into()),
            reset: true,
            lines: vec!["2102".parse().unwrap()],
            acd_line: None,
            primary_extension: Some("2102".parse().unwrap()),
            idle_limit: None,
            logout_configuration: Configuration(vec![2].into()),
        }
    }

    fn restored(told: Session, now: i64) -> PhoneState {
        phone(told, made(), &ServiceParameters::default(), FLOOR, at(now))
    }

    #[test]
    fn lo_5_a_session_comes_back_with_the_deadlines_it_had_and_those_that_passed_are_due() {
        let state = restored(told(0), 5000);
        let session = state.session.as_ref().unwrap();
        assert_eq!((session.since, session.expires_at), (at(0), Some(at(3600))));
        assert_eq!(state.due_at(), Some(at(3600)));
        assert_eq!(
            session.acd_line,
            told(0).acd_line,
            "whose phone it is on was decided at the login (CC-7)"
        );
        assert_eq!(session.lines, made().lines, "a number rings where it is worn");
    }

    #[test]
    fn epochs_and_generations_are_beyond_all_that_were_given_out_and_the_session_keeps_its_own() {
        let state = restored(told(0), 5000);
        assert_eq!((state.epoch, state.generation), (FLOOR, FLOOR));
        let session = state.session.as_ref().unwrap();
        assert_eq!(session.epoch, 12, "what his own client says of it is not from before it");
        assert!(!state.session_is_applied());
        let late = state.acknowledged(7).unwrap().unwrap();
        assert!(!late.session_is_applied(), "an acknowledgement from before the loss says nothing");
        assert!(late.acknowledged(FLOOR).unwrap().unwrap().session_is_applied());
    }

    #[test]
    fn ev_3_only_a_phone_that_may_not_have_restarted_for_its_login_is_told_to() {
        assert_eq!(restored(told(0), 5000).actions, Actions::default());
        let young = restored(told(0), 599).actions;
        assert!(young.restart && young.reset);
        let pending = Session { apply_by: Some(at(6000)), ..told(0) };
        assert!(restored(pending, 5000).actions.restart);
    }

    #[test]
    fn lo_6_the_idle_clock_begins_anew_and_li_8_a_login_is_not_dropped_for_a_handset_nobody_knows_of() {
        let state = restored(Session { apply_by: Some(at(60)), ..told(0) }, 5000);
        let session = state.session.unwrap();
        assert_eq!(
            (state.hook, session.idle_since, session.apply_by),
            (HookState::OnHook, Some(at(5000)), None)
        );
    }

    #[test]
    fn lo_4_a_logout_that_waits_for_the_handset_waits_on() {
        let pending = PendingLogout { reason: LogoutReason::Idle, due_at: at(100), until: at(9000) };
        let state = restored(Session { pending_logout: Some(pending), ..told(0) }, 5000);
        assert_eq!((state.hook, state.due_at()), (HookState::OffHook, Some(at(9000))));
        assert_eq!(state.session.unwrap().idle_since, None);
    }

    #[test]
    fn lo_7_daily_times_that_were_changed_after_the_login_hold() {
        let policy = ServiceParameters {
            daily_logout_times: vec!["18:00".parse().unwrap()],
            time_zone: "UTC".into(),
            remember_last_user: true,
            ..ServiceParameters::default()
        };
        let state = phone(told(0), made(), &policy, FLOOR, at(1000));
        let daily = DailyLogouts::of(&policy).next_after(at(1000));
        assert_eq!(state.session.as_ref().unwrap().daily_logout_at, daily);
        assert_eq!(state.last_user, Some("agent".parse().unwrap()), "SP-7");
    }

    #[test]
    fn a_phone_whose_session_cannot_come_back_is_beyond_all_that_it_was_told() {
        let state = phone_without(&told(0), Configuration(vec![3].into()), FLOOR);
        assert_eq!((state.epoch, state.generation, &state.session), (FLOOR, FLOOR, &None));
        assert!(state.actions.restart);
        assert_eq!(ended(&told(0), LogoutReason::Policy, FLOOR, at(1)).epoch, state.epoch);
    }
}
