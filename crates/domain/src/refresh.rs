//! What changes when a live session is brought up to date with its profile (DP-10): what the phone wears and what
//! follows from it, and never who is logged in, since when or until when.

use crate::login::{Held, Rendering};
use crate::logout::NotLoggedIn;
use crate::name::{LineName, PhoneName, SessionId, UserId};
use crate::phone_state::{Actions, Actor, PhoneState, RefreshedSession, Session, SessionEvent};

/// A session, and its profile as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// The session it was rendered for.
    pub session: SessionId,
    /// The phone's epoch before the directory was asked for the rendering.
    pub epoch: u64,
    /// What the directory makes of it now.
    pub rendering: Rendering,
    /// Who asks for it.
    pub actor: Actor,
}

/// Why a session cannot be refreshed. It goes on as it is then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshRefused {
    /// Nobody is logged in.
    #[error(transparent)]
    NotLoggedIn(#[from] NotLoggedIn),
    /// Another session is on the phone now.
    #[error("session {session} is on {phone} no more")]
    Gone {
        /// The session.
        session: SessionId,
        /// The phone.
        phone: PhoneName,
    },
    /// The phone has changed since the directory was asked: another refresh may have brought what is newer. Ask again.
    #[error("{phone} has changed since the profile was rendered for it")]
    Overtaken {
        /// The phone.
        phone: PhoneName,
    },
    /// The profile has another ACD line now, which is worn on another phone (CC-7).
    #[error("line {line} is worn by {user} on {phone} (CC-7)")]
    LineInUse {
        /// The line.
        line: LineName,
        /// Who wears it.
        user: UserId,
        /// Where.
        phone: PhoneName,
    },
}

/// What a refresh changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The phone's new state.
    pub state: PhoneState,
    /// What others are told.
    pub event: SessionEvent,
    /// Whether the phone wore something else before, and is restarted.
    pub redressed: bool,
}

/// Decides a refresh; `None` where nothing has changed. The phone restarts, and is reset where that is needed (LI-7),
/// if it shall wear something else; what does not show on it, such as the idle limit, is taken over silently.
/// `held` has the phones on which the new ACD line is worn.
///
/// # Errors
/// The session has ended, the phone has changed since the rendering was asked for, or the new ACD line is worn elsewhere
/// (CC-7).
pub fn decide_refresh(held: &Held, refresh: &Refresh) -> Result<Option<Refreshed>, RefreshRefused> {
    let phone = &held.phone;
    let Some(session) = &phone.session else {
        return Err(NotLoggedIn { phone: phone.phone.clone() }.into());
    };
    if session.id != refresh.session {
        let (session, phone) = (refresh.session.clone(), phone.phone.clone());
        return Err(RefreshRefused::Gone { session, phone });
    }
    if phone.epoch != refresh.epoch {
        return Err(RefreshRefused::Overtaken { phone: phone.phone.clone() });
    }
    let rendering = &refresh.rendering;
    if rendering.acd_line != session.acd_line {
        refuse_shared_line(held, rendering)?;
    }
    let mut after = Session {
        lines: rendering.lines.clone(),
        acd_line: rendering.acd_line.clone(),
        primary_extension: rendering.primary_extension.clone(),
        idle_limit: rendering.idle_limit,
        logout_configuration: rendering.logout_configuration.clone(),
        ..session.clone()
    };
    let redressed = phone.wears != rendering.configuration;
    if !redressed && after == *session {
        return Ok(None);
    }
    let mut state = if redressed {
        let actions = Actions { restart: true, reset: rendering.reset, ..Actions::default() };
        phone.dressed(rendering.configuration.clone(), actions)
    } else {
        PhoneState { epoch: phone.epoch + 1, ..phone.clone() }
    };
    if redressed {
        after.generation = state.generation;
    }
    let event =
        SessionEvent::Refreshed(RefreshedSession { session: after.told(), actor: refresh.actor.clone() });
    state.session = Some(after);
    Ok(Some(Refreshed { state, event, redressed }))
}

fn refuse_shared_line(held: &Held, rendering: &Rendering) -> Result<(), RefreshRefused> {
    let Some(line) = &rendering.acd_line else { return Ok(()) };
    let others = held.others.iter().filter_map(|other| other.session.as_ref());
    let holder = others.filter(|session| session.acd_line.as_ref() == Some(line)).map(|session| {
        let (user, phone) = (session.user.clone(), session.phone.clone());
        RefreshRefused::LineInUse { line: line.clone(), user, phone }
    });
    holder.into_iter().next().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::login::fixture::{at, logged_in};
    use crate::phone_state::Configuration;

    const HERE: &str = "SEP000DEDAB3566";
    const THERE: &str = "SEP0012DA8AC43D";

    /// What the directory would render if nothing had changed.
    fn same(state: &PhoneState) -> Refresh {
        let session = state.session.clone().unwrap();
        Refresh {
            session: session.id,
            epoch: state.epoch,
            rendering: Rendering {
                profile: session.profile,
                configuration: state.wears.clone(),
                reset: false,
                lines: session.lines,
                acd_line: session.acd_line,
                primary_extension: session.primary_extension,
                idle_limit: session.idle_limit,
                logout_configuration: session.logout_configuration,
            },
            actor: Actor { name: "administrator".into(), ..Actor::default() },
        }
    }

    /// What it renders after a change.
    fn changed(state: &PhoneState, change: impl FnOnce(&mut Rendering)) -> Refresh {
        let mut refresh = same(state);
        change(&mut refresh.rendering);
        refresh
    }

    fn alone(phone: PhoneState) -> Held {
        Held { phone, others: Vec::new() }
    }

    #[test]
    fn dp_10_a_refresh_that_finds_the_same_changes_nothing() {
        let state = logged_in(HERE, "agent7", Some(at(100)));
        assert_eq!(decide_refresh(&alone(state.clone()), &changed(&state, |to| to.reset = true)), Ok(None));
    }

    #[test]
    fn dp_10_a_refresh_dresses_the_phone_anew_and_leaves_the_session_its_id_and_times() {
        let state = logged_in(HERE, "agent7", Some(at(100))).acknowledged(1).unwrap().unwrap();
        assert!(state.session_is_applied());
        for reset in [false, true] {
            let refresh = changed(&state, |to| {
                to.configuration = Configuration("new".into());
                to.reset = reset;
                to.lines = vec!["2102".parse().unwrap()];
                to.idle_limit = Some(Duration::from_secs(60));
            });
            let done = decide_refresh(&alone(state.clone()), &refresh).unwrap().unwrap();
            let (before, after) = (state.session.clone().unwrap(), done.state.session.clone().unwrap());
            assert!(done.redressed);
            assert_eq!((done.state.epoch, done.state.generation), (state.epoch + 1, state.generation + 1));
            assert_eq!(done.state.actions, Actions { restart: true, reset, ..Actions::default() }, "LI-7");
            assert!(!done.state.session_is_applied(), "the phone has yet to say that it wears it");
            assert_eq!(after.lines, refresh.rendering.lines);
            assert_eq!(
                (&after.id, after.since, after.expires_at),
                (&before.id, before.since, before.expires_at)
            );
            assert_eq!((after.epoch, &after.actor), (before.epoch, &before.actor));
            assert_eq!(after.next_logout().unwrap().at, at(0), "the new idle limit holds at once");
            let told = RefreshedSession { session: after.told(), actor: refresh.actor };
            assert_eq!(done.event, SessionEvent::Refreshed(told), "EV-1: who asked for it");
        }
    }

    #[test]
    fn dp_10_what_does_not_show_on_the_phone_is_taken_over_without_a_restart() {
        let state = logged_in(HERE, "agent7", None).acknowledged(1).unwrap().unwrap();
        let refresh = changed(&state, |to| to.idle_limit = Some(Duration::from_secs(60)));
        let done = decide_refresh(&alone(state.clone()), &refresh).unwrap().unwrap();
        assert!(!done.redressed && done.state.session_is_applied());
        assert_eq!((done.state.generation, done.state.actions), (state.generation, Actions::default()));
        assert_eq!(done.state.epoch, state.epoch + 1);
    }

    #[test]
    fn cc_7_a_refresh_takes_no_acd_line_that_is_worn_elsewhere_and_keeps_its_own() {
        let line: Option<LineName> = Some("2101".parse().unwrap());
        let mut holder = logged_in(THERE, "agent9", None);
        holder.session.as_mut().unwrap().acd_line.clone_from(&line);
        let mut state = logged_in(HERE, "agent7", None);
        let refresh = changed(&state, |to| to.acd_line.clone_from(&line));
        let held = Held { phone: state.clone(), others: vec![holder.clone()] };
        let (user, phone) = ("agent9".parse().unwrap(), THERE.parse().unwrap());
        let refused = RefreshRefused::LineInUse { line: line.clone().unwrap(), user, phone };
        assert_eq!(decide_refresh(&held, &refresh), Err(refused));
        assert!(decide_refresh(&alone(state.clone()), &refresh).unwrap().is_some());
        state.session.as_mut().unwrap().acd_line = line;
        let held = Held { phone: state.clone(), others: vec![holder] };
        assert_eq!(decide_refresh(&held, &same(&state)), Ok(None), "what it wears already is its own");
    }

    #[test]
    fn dp_10_a_session_that_has_ended_is_not_refreshed_in_another() {
        let state = logged_in(HERE, "agent7", None);
        let other = Refresh { session: "01JD0000000000000000000009".parse().unwrap(), ..same(&state) };
        let refused = decide_refresh(&alone(state.clone()), &other).unwrap_err();
        assert!(matches!(refused, RefreshRefused::Gone { .. }));
        let empty = PhoneState { session: None, ..state.clone() };
        let refused = decide_refresh(&alone(empty), &same(&state)).unwrap_err();
        assert!(matches!(refused, RefreshRefused::NotLoggedIn(_)));
    }

    #[test]
    fn dp_10_a_rendering_from_before_another_change_of_the_phone_is_not_put_on() {
        let state = logged_in(HERE, "agent7", None);
        let older = changed(&state, |to| to.configuration = Configuration("older".into()));
        let newer = changed(&state, |to| to.configuration = Configuration("newer".into()));
        let done = decide_refresh(&alone(state), &newer).unwrap().unwrap();
        let refused = decide_refresh(&alone(done.state.clone()), &older).unwrap_err();
        assert_eq!(refused, RefreshRefused::Overtaken { phone: done.state.phone });
    }

    proptest! {
        /// Whatever has changed in the directory: a refresh done twice changes nothing the second time.
        #[test]
        fn dp_10_a_refresh_is_done_once(
            wears in prop::collection::vec(any::<u8>(), 0..3),
            reset: bool,
            idle in prop::option::of(1u64..10_000),
            acd in prop::option::of(2100u32..2104),
        ) {
            let state = logged_in(HERE, "agent7", Some(at(100)));
            let refresh = changed(&state, |to| {
                to.configuration = Configuration(wears.into());
                to.reset = reset;
                to.idle_limit = idle.map(Duration::from_secs);
                to.acd_line = acd.map(|number| number.to_string().parse().unwrap());
            });
            if let Some(done) = decide_refresh(&alone(state.clone()), &refresh).unwrap() {
                prop_assert_eq!(done.state.epoch, state.epoch + 1);
                let again = Refresh { epoch: done.state.epoch, ..refresh };
                prop_assert_eq!(decide_refresh(&alone(done.state), &again), Ok(None));
            }
        }
    }
}
