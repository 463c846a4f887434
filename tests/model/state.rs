//! What the rules know of a cluster: phones, sessions, parameters; and what they say of an operation.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::{AgentState, LogoutReason};

use crate::daily::Daily;
use crate::site::facts;
use crate::step::{Clear, Guard, Multiple, Occupied};

/// A session by its number: in the order of logins, from 0.
pub(crate) type Number = usize;

/// What an operation is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    LoggedIn { session: Number, ended: BTreeMap<Number, LogoutReason>, replayed: bool },
    LoggedOut { session: Number, reason: LogoutReason, replayed: bool },
    Acknowledged { newest: u64 },
    Refused(ErrorReason),
    Done,
}

/// What a watch is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    LoggedIn(Number),
    LoggedOut(Number, LogoutReason),
    LogoutPending(Number),
}

/// What a phone must still do (EV-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Todo {
    pub(crate) restart: bool,
    pub(crate) clear: bool,
    pub(crate) cancel: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) holds: Option<Number>,
    pub(crate) up: bool,
    /// The newest state of wear, and the one that it said it wears.
    pub(crate) newest: u64,
    pub(crate) worn: u64,
    pub(crate) todo: Todo,
    pub(crate) last_user: Option<usize>,
}

/// One login, live or past.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: usize,
    pub(crate) phone: usize,
    pub(crate) since: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) idle_since: Option<Timestamp>,
    pub(crate) daily_at: Option<Timestamp>,
    /// Why it ends once the handset is down, and when it does so in any case (LO-4).
    pub(crate) waits: Option<(LogoutReason, Timestamp)>,
    /// When it is dropped if the handset is not down before (LI-8).
    pub(crate) apply_by: Option<Timestamp>,
    pub(crate) agent: Option<AgentState>,
    pub(crate) wear: u64,
}

impl Session {
    /// When it ends by itself as things stand, and why.
    pub(crate) fn next_logout(&self) -> Option<(Timestamp, LogoutReason)> {
        if let Some((reason, until)) = self.waits {
            return Some((until, reason));
        }
        let idle = facts(self.user).idle.zip(self.idle_since);
        let idle = idle.map(|(limit, since)| since + SignedDuration::from_secs(limit.cast_signed()));
        let ends = [
            (self.expires_at, LogoutReason::MaximumTime),
            (idle, LogoutReason::Idle),
            (self.daily_at, LogoutReason::TimeOfDay),
            (self.apply_by, LogoutReason::Policy),
        ];
        ends.into_iter().filter_map(|(at, reason)| Some((at?, reason))).min_by_key(|(at, _)| *at)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) multiple: Multiple,
    pub(crate) occupied: Occupied,
    pub(crate) enforce: bool,
    pub(crate) maximum: u64,
    pub(crate) remember: bool,
    pub(crate) clear: Clear,
    pub(crate) guard: Guard,
    pub(crate) daily: Daily,
}
