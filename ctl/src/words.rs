//! Values as people read them: enum values, lengths of time, instants.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `SESSION_STATE_ACTIVE` without its prefix, in lower case: `active`.
pub(crate) fn of_enum(name: &str, prefix: &str) -> String {
    let word = name.strip_prefix(prefix).unwrap_or(name);
    match word {
        "UNSPECIFIED" => String::new(),
        word => word.to_ascii_lowercase().replace('_', "-"),
    }
}

/// An instant in the local time zone; empty when there is none.
pub(crate) fn instant(time: Option<&prost_types::Timestamp>) -> String {
    instant_in(time, TimeZone::system())
}

fn instant_in(time: Option<&prost_types::Timestamp>, zone: TimeZone) -> String {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
        .map(|time| time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
        .unwrap_or_default()
}

/// A proto timestamp as an instant; `None` when it is absent or out of range.
pub(crate) fn timestamp(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// Reads `90s`, `4h`, `1h30m`, for an argument.
pub(crate) fn read_duration(text: &str) -> Result<prost_types::Duration, String> {
    let usage = || format!("{text:?} is no length of time: write it as 90s, 4h or 1h30m");
    let duration: jiff::SignedDuration = text.parse().map_err(|_| usage())?;
    if duration.is_negative() || duration.is_zero() {
        return Err(usage());
    }
    Ok(prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() })
}

/// The seconds of a length of time as `1h 30m`.
pub(crate) fn duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n != 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_as_people_do() {
        let seconds = |text| read_duration(text).map(|d| d.seconds);
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("4h"), Ok(14_400));
        assert_eq!(seconds("1h30m"), Ok(5400));
        for bad in ["", "4", "-4h", "0s", "soon", "99999999999999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(duration(5400), "1h 30m");
        assert_eq!(duration(0), "0s");
    }

    #[test]
    fn instants_are_shown_in_a_time_zone() {
        let time = prost_types::Timestamp { seconds: 0, nanos: 0 };
        assert_eq!(instant_in(Some(&time), TimeZone::UTC), "1970-01-01 00:00:00 UTC");
        assert_eq!(instant_in(None, TimeZone::UTC), "");
    }

    #[test]
    fn enum_values_lose_their_prefix() {
        assert_eq!(of_enum("LINE_KIND_SILENT_RING", "LINE_KIND_"), "silent-ring");
        assert_eq!(of_enum("LINE_KIND_UNSPECIFIED", "LINE_KIND_"), "");
    }
}
