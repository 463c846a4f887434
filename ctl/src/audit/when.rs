//! Instants as people write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Reads a date, a date with a time, an instant of RFC 3339, or a length of time before now. What names no time zone is
/// meant in that of the machine.
pub(super) fn read(text: &str, now: Timestamp) -> Result<prost_types::Timestamp, String> {
    let instant = read_in(text.trim(), now, &TimeZone::system())?;
    Ok(prost_types::Timestamp { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() })
}

fn read_in(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "{text:?} is no time: write it as 2026-11-01, \"2026-11-01 08:00\", 2026-11-01T08:00:00Z, or 4h for four hours ago"
        )
    };
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    if let Ok(length) = text.parse::<SignedDuration>() {
        let ago = (!length.is_negative()).then(|| now.checked_sub(length).ok()).flatten();
        return ago.ok_or_else(wrong);
    }
    let day = text.parse::<Date>().ok().filter(|_| text.len() <= "2026-11-01".len());
    let local = day.map(DateTime::from).or_else(|| text.parse().ok()).ok_or_else(wrong)?;
    local.to_zoned(zone.clone()).map(|zoned| zoned.timestamp()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let read = |text| read_in(text, now, &zone).map(|instant| instant.to_string());
        assert_eq!(read("2026-11-01").as_deref(), Ok("2026-10-31T23:00:00Z"));
        assert_eq!(read("2026-07-01 08:30").as_deref(), Ok("2026-07-01T06:30:00Z"));
        assert_eq!(read("2026-07-01T08:30:15").as_deref(), Ok("2026-07-01T06:30:15Z"));
        assert_eq!(read("2026-11-01T08:00:00Z").as_deref(), Ok("2026-11-01T08:00:00Z"));
        assert_eq!(read("2026-11-01T08:00:00+01:00").as_deref(), Ok("2026-11-01T07:00:00Z"));
        assert_eq!(read("4h").as_deref(), Ok("2026-11-22T08:00:00Z"));
        assert_eq!(read("90m").as_deref(), Ok("2026-11-22T10:30:00Z"));
        for bad in ["", "soon", "-4h", "2026-13-01", "08:00", "2026", "999999999h"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
