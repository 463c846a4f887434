//! Phones and requests for tests of decisions.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{LoginRequest, Rendering};
use crate::directory::UserLoginTime;
use crate::parameters::ServiceParameters;
use crate::phone_state::{Actor, Configuration, PhoneState, Session};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn parameters() -> ServiceParameters {
    ServiceParameters::default()
}

pub(crate) fn empty(phone: &str) -> PhoneState {
    PhoneState::new(phone.parse().unwrap())
}

pub(crate) fn request(user: &str) -> LoginRequest {
    LoginRequest {
        session: "01JD0000000000000000000002".parse().unwrap(),
        user: user.parse().unwrap(),
        rendering: Rendering {
            profile: user.parse().unwrap(),
            configuration: Configuration(user.to_owned().into()),
            reset: false,
            lines: vec!["2101".parse().unwrap()],
            acd_line: None,
            primary_extension: None,
            idle_limit: None,
            logout_configuration: Configuration("logout profile 1".into()),
        },
        duration: None,
        user_login_time: UserLoginTime::Cluster,
        apply_within: Duration::from_secs(1800),
        take_over: false,
        actor: Actor { name: user.into(), source: "127.0.0.1".into(), ..Actor::default() },
    }
}

/// As [`request`], with another rendering.
pub(crate) fn rendered(user: &str, change: impl FnOnce(&mut Rendering)) -> LoginRequest {
    let mut request = request(user);
    change(&mut request.rendering);
    request
}

pub(crate) fn logged_in(phone: &str, user: &str, expires_at: Option<Timestamp>) -> PhoneState {
    let request = request(user);
    let mut state = empty(phone).dressed(request.rendering.configuration.clone(), Default::default());
    state.session = Some(Session {
        id: "01JD0000000000000000000001".parse().unwrap(),
        user: request.user,
        phone: state.phone.clone(),
        profile: request.rendering.profile,
        since: at(-60),
        expires_at,
        idle_limit: None,
        idle_since: Some(at(-60)),
        daily_logout_at: None,
        pending_logout: None,
        apply_by: None,
        agent_state: None,
        primary_extension: None,
        lines: request.rendering.lines,
        acd_line: None,
        generation: state.generation,
        epoch: state.epoch,
        actor: request.actor,
        logout_configuration: request.rendering.logout_configuration,
    });
    state
}
