//! Daily logout times over the clock changes of several zones, against a walk through the minutes.

use proptest::prelude::*;

use super::*;

fn daily(zone: &str, times: &[&str]) -> DailyLogouts {
    let daily_logout_times = times.iter().map(|time| time.parse().unwrap()).collect();
    DailyLogouts::of(&ServiceParameters {
        daily_logout_times,
        time_zone: zone.into(),
        ..ServiceParameters::default()
    })
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The instants in order after `from`, up to `to`.
fn instants(daily: &DailyLogouts, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let next = |at: &Timestamp| daily.next_after(*at).filter(|at| *at <= to);
    std::iter::successors(next(&from), next).collect()
}

/// What a clock on the wall does: at each minute, each time of each day is performed once the clock shows it or more. It
/// is looked at from a day before, so that it is known what it has shown already when it is set back.
fn walked(zone: &str, times: &[TimeOfDay], from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let zone = TimeZone::get(zone).unwrap();
    let shown = |at: Timestamp| zone.to_datetime(at);
    let begin = from - SignedDuration::from_hours(24);
    let first = shown(begin).date().yesterday().unwrap();
    let days = first.series(1.day()).take_while(|day| *day <= shown(to).date());
    let walls = days.flat_map(|day| {
        times.iter().map(move |time| DateTime::from(day) + i64::from(time.minutes()).minutes())
    });
    let mut open: Vec<DateTime> = walls.filter(|wall| *wall > shown(begin)).collect();
    let mut found = Vec::new();
    let mut at = begin;
    while at < to {
        at += SignedDuration::from_mins(1);
        let before = open.len();
        open.retain(|wall| *wall > shown(at));
        if open.len() < before && at > from {
            found.push(at);
        }
    }
    found
}

#[test]
fn lo_7_a_time_that_clocks_skip_is_taken_after_the_gap() {
    let berlin = daily("Europe/Berlin", &["02:30"]);
    let found = instants(&berlin, utc("2026-03-28T00:00:00Z"), utc("2026-03-30T12:00:00Z"));
    assert_eq!(
        found,
        [utc("2026-03-28T01:30:00Z"), utc("2026-03-29T01:00:00Z"), utc("2026-03-30T00:30:00Z")]
    );
    let santiago = daily("America/Santiago", &["24:00"]);
    let found = instants(&santiago, utc("2024-09-07T12:00:00Z"), utc("2024-09-08T12:00:00Z"));
    assert_eq!(found, [utc("2024-09-08T04:00:00Z")], "midnight itself is skipped");
}

#[test]
fn lo_7_a_time_that_clocks_repeat_is_taken_once_at_the_first() {
    let new_york = daily("America/New_York", &["01:30"]);
    let found = instants(&new_york, utc("2026-10-31T12:00:00Z"), utc("2026-11-02T12:00:00Z"));
    assert_eq!(found, [utc("2026-11-01T05:30:00Z"), utc("2026-11-02T06:30:00Z")]);
}

#[test]
fn lo_7_whoever_logs_in_when_clocks_repeat_a_time_is_not_logged_out_at_it() {
    let cairo = daily("Africa/Cairo", &["23:06"]);
    let found = instants(&cairo, utc("2024-10-31T21:00:00Z"), utc("2024-11-02T12:00:00Z"));
    assert_eq!(found, [utc("2024-11-01T21:06:00Z")], "it was 23:06 an hour before");
}

#[test]
fn lo_7_24_00_is_the_end_of_the_day_and_the_same_as_00_00_of_the_next() {
    let both = daily("Europe/Berlin", &["24:00", "00:00"]);
    let found = instants(&both, utc("2026-06-01T00:00:00Z"), utc("2026-06-03T00:00:00Z"));
    assert_eq!(found, [utc("2026-06-01T22:00:00Z"), utc("2026-06-02T22:00:00Z")]);
}

#[test]
fn sp_10_without_times_or_with_a_zone_that_nobody_knows_there_are_none() {
    for none in [daily("Europe/Berlin", &[]), daily("Mars/Olympus", &["12:00"])] {
        assert_eq!(none.next_after(utc("2026-06-01T00:00:00Z")), None);
        assert!(!none.has(utc("2026-06-01T12:00:00Z")));
    }
}

#[test]
fn lo_7_at_the_end_of_time_there_is_no_next_one() {
    assert_eq!(daily("UTC", &["12:00"]).next_after(Timestamp::MAX), None);
}

/// Zones, and days around which their clocks are changed; one of them loses a whole day.
const CHANGES: [(&str, &str); 14] = [
    ("Europe/Berlin", "2026-03-28T00:00:00Z"),
    ("Europe/Berlin", "2037-10-24T00:00:00Z"),
    ("Europe/London", "1996-10-26T00:00:00Z"),
    ("America/New_York", "2026-03-07T00:00:00Z"),
    ("America/New_York", "2006-10-28T00:00:00Z"),
    ("America/New_York", "2055-11-06T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
    ("America/Sao_Paulo", "2018-11-03T00:00:00Z"),
    ("America/Sao_Paulo", "2018-02-17T00:00:00Z"),
    ("America/Santiago", "2024-09-07T00:00:00Z"),
    ("Africa/Cairo", "2024-10-31T00:00:00Z"),
    ("Asia/Kathmandu", "2026-05-01T00:00:00Z"),
    ("Pacific/Apia", "2011-12-29T00:00:00Z"),
];

fn time_of_day() -> impl Strategy<Value = TimeOfDay> {
    // Half of them in the hours in which clocks are changed.
    let minutes = prop_oneof![0_u32..=1440, 0_u32..=240, 1380_u32..=1440];
    minutes.prop_map(|minutes| format!("{:02}:{:02}", minutes / 60, minutes % 60).parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// SP-10. A user who logs in again at once is logged out once at each, never early.
    #[test]
    fn lo_7_every_session_is_logged_out_at_each_daily_instant_exactly_once(
        change in prop::sample::select(&CHANGES[..]),
        times in prop::collection::vec(time_of_day(), 1..=3),
        began in 0_i64..1440,
    ) {
        let (zone, day) = change;
        let from = utc(day) + SignedDuration::from_mins(began);
        let to = from + SignedDuration::from_hours(72);
        let parameters = ServiceParameters {
            daily_logout_times: times.clone(), time_zone: zone.into(), ..ServiceParameters::default()
        };
        let daily = DailyLogouts::of(&parameters);
        let found = instants(&daily, from, to);
        prop_assert_eq!(&found, &walked(zone, &times, from, to));
        prop_assert!(found.iter().all(|at| daily.has(*at)));
        prop_assert!(found.iter().all(|at| !daily.has(*at + SignedDuration::from_secs(1))));
    }

    /// A change of the times or the zone moves what is to come, and never makes what has passed due.
    #[test]
    fn sp_21_a_change_of_the_daily_times_never_makes_what_has_passed_due(
        zones in prop::array::uniform2(prop::sample::select(&CHANGES[..])),
        before in prop::collection::vec(time_of_day(), 0..=3),
        after in prop::collection::vec(time_of_day(), 0..=3),
        changed in 0_i64..3 * 1440,
    ) {
        let of = |zone: &str, times: &[TimeOfDay]| DailyLogouts::of(&ServiceParameters {
            daily_logout_times: times.to_vec(), time_zone: zone.into(), ..ServiceParameters::default()
        });
        let (old, new) = (of(zones[0].0, &before), of(zones[1].0, &after));
        let began = utc(zones[0].1);
        let now = began + SignedDuration::from_mins(changed);
        let mut state = crate::login::fixture::logged_in("SEP000DEDAB3566", "agent7", None);
        state.session.as_mut().unwrap().daily_logout_at = old.next_after(began);
        let was_due = state.due_at().filter(|at| *at <= now);
        let moved = state.with_daily_logouts(&new, now).unwrap_or_else(|| state.clone());
        match was_due.filter(|at| new.has(*at)) {
            Some(due) => prop_assert_eq!(moved.due_at(), Some(due), "what is due stays due"),
            None => prop_assert_eq!(moved.due_at(), new.next_after(now)),
        }
        prop_assert_eq!(moved.with_daily_logouts(&new, now), None, "a repeat changes nothing");
    }
}
