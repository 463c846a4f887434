//! Daily logout times by their definition alone (LO-7): the first instant at which the clock on the wall shows that
//! time or, where the time is skipped, a later one. Found by looking at every quarter of an hour.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

const QUARTER: SignedDuration = SignedDuration::from_mins(15);
/// Wall clocks are never put forward or back by more.
const AROUND: SignedDuration = SignedDuration::from_hours(3);

/// Times of day in minutes, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Daily {
    pub(crate) minutes: Vec<u16>,
    pub(crate) zone: &'static str,
}

impl Daily {
    pub(crate) fn none() -> Self {
        Self { minutes: Vec::new(), zone: "UTC" }
    }

    /// As administrators write them (SP-10).
    pub(crate) fn texts(&self) -> Vec<String> {
        self.minutes.iter().map(|minutes| format!("{:02}:{:02}", minutes / 60, minutes % 60)).collect()
    }

    /// The first one after an instant.
    pub(crate) fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let zone = TimeZone::get(self.zone).expect("a known zone");
        let today = zone.to_datetime(instant).date();
        let days = (-2..=2_i64).map(|days| today.checked_add(days.days()).expect("in this age"));
        let instants = days.flat_map(|day| self.minutes.iter().map(move |minutes| (day, *minutes)));
        instants.map(|(day, minutes)| first(&zone, day, minutes)).filter(|at| *at > instant).min()
    }

    /// Whether that instant is one of them.
    pub(crate) fn has(&self, instant: Timestamp) -> bool {
        self.next_after(instant - SignedDuration::from_nanos(1)) == Some(instant)
    }
}

fn first(zone: &TimeZone, day: Date, minutes: u16) -> Timestamp {
    let wall = DateTime::from(day).checked_add(i64::from(minutes).minutes()).expect("in this age");
    let as_utc = TimeZone::UTC.to_timestamp(wall).expect("in this age");
    let mut at = as_utc - SignedDuration::from_secs(i64::from(zone.to_offset(as_utc).seconds())) - AROUND;
    while zone.to_datetime(at) < wall {
        at += QUARTER;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lo_7_a_time_that_is_skipped_comes_after_the_gap_and_one_that_is_repeated_comes_once() {
        let berlin = Daily { minutes: vec![150], zone: "Europe/Berlin" };
        let after = |text: &str| berlin.next_after(text.parse().unwrap()).unwrap().to_string();
        assert_eq!(after("2026-03-28T20:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(after("2026-10-24T20:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(after("2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }
}
