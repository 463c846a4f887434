//! When a session ends by itself: at its maximum time, when its user has been idle for too long, at a daily logout time
//! (SP-1, SP-10, LO-4 to LO-7).
//!
//! What a session ends by stands in the session: a cluster that was down past an instant finds it when it starts.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::parameters::{ServiceParameters, TimeOfDay};
use crate::phone_state::{LogoutReason, PhoneState, Session};

/// An instant at which a session ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// Why: maximum time, idle or time of day; policy where the phone does not come to wear what the login brought
    /// (LI-8).
    pub reason: LogoutReason,
}

/// An automatic logout that fell due while the handset was up, and waits until it is down (LO-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLogout {
    /// Why the session ends.
    pub reason: LogoutReason,
    /// When it fell due.
    pub due_at: Timestamp,
    /// When it waits no longer: at its limit, or since the handset is down.
    pub until: Timestamp,
}

impl Session {
    /// Its next automatic logout, whether that has passed or not; `None` when it has no limit. What is pending comes
    /// before all else; of two at the same instant the maximum time comes first, then the idle limit, and the end of
    /// the time within which the phone must come to wear the login (LI-8) last.
    pub fn next_logout(&self) -> Option<Deadline> {
        if let Some(pending) = self.pending_logout {
            return Some(Deadline { at: pending.until, reason: pending.reason });
        }
        let idle = self.idle_since.zip(self.idle_limit);
        let idle = idle.map(|(since, limit)| since.checked_add(limit).unwrap_or(Timestamp::MAX));
        let ends = [
            (self.expires_at, LogoutReason::MaximumTime),
            (idle, LogoutReason::Idle),
            (self.daily_logout_at, LogoutReason::TimeOfDay),
            (self.apply_by, LogoutReason::Policy),
        ];
        let deadlines = ends.into_iter().filter_map(|(at, reason)| Some(Deadline { at: at?, reason }));
        deadlines.min_by_key(|deadline| deadline.at)
    }
}

impl PhoneState {
    /// The next instant at which the clock has something to do about its session, whether it has passed or not.
    pub fn due_at(&self) -> Option<Timestamp> {
        Some(self.session.as_ref()?.next_logout()?.at)
    }

    /// The phone after the daily logout times became these: its session ends at the first one after `now`, except
    /// where it is due at one of them, or waits for the handset. `None` when that changes nothing.
    pub fn with_daily_logouts(&self, daily: &DailyLogouts, now: Timestamp) -> Option<Self> {
        let session = self.session.as_ref().filter(|session| session.pending_logout.is_none())?;
        let is_due = session.daily_logout_at.is_some_and(|at| at <= now && daily.has(at));
        let next = daily.next_after(now);
        if is_due || session.daily_logout_at == next {
            return None;
        }
        let session = Session { daily_logout_at: next, ..session.clone() };
        Some(Self { epoch: self.epoch + 1, session: Some(session), ..self.clone() })
    }
}

/// The daily logout times of a cluster, in its time zone (SP-10, LO-7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyLogouts {
    times: Vec<TimeOfDay>,
    zone: TimeZone,
}

impl DailyLogouts {
    /// Those of the parameters; none where their time zone is not known.
    pub fn of(parameters: &ServiceParameters) -> Self {
        let times = &parameters.daily_logout_times;
        match TimeZone::get(&parameters.time_zone) {
            Ok(zone) if !times.is_empty() => Self { times: times.clone(), zone },
            _ => Self { times: Vec::new(), zone: TimeZone::UTC },
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The first one after an instant.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        if self.times.is_empty() {
            return None;
        }
        let today = self.zone.to_datetime(instant).date();
        let days = (-1..=2).filter_map(|days: i64| today.checked_add(days.days()).ok());
        let instants =
            days.flat_map(|day| self.times.iter().filter_map(move |time| self.instant(day, *time)));
        instants.filter(|at| *at > instant).min()
    }

    /// Whether that instant is one of them.
    pub fn has(&self, instant: Timestamp) -> bool {
        let before = instant.checked_sub(SignedDuration::from_nanos(1));
        before.is_ok_and(|before| self.next_after(before) == Some(instant))
    }

    /// The instant of a time on a day: where clocks skip it, the moment after the gap; where they repeat it, the
    /// first.
    fn instant(&self, day: Date, time: TimeOfDay) -> Option<Timestamp> {
        let wall = DateTime::from(day).checked_add(i64::from(time.minutes()).minutes()).ok()?;
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let found = ambiguous.compatible().ok()?;
        if !is_skipped {
            return Some(found);
        }
        let after = found.checked_add(SignedDuration::from_nanos(1)).ok()?;
        Some(self.zone.preceding(after).next().map_or(found, |change| change.timestamp()))
    }
}

#[cfg(test)]
#[path = "deadline_tests.rs"]
mod tests;
