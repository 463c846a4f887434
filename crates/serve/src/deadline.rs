//! How long callers say that they wait.

use std::time::Duration;

use http::HeaderMap;

/// The header in which it stands.
pub(crate) const TIMEOUT: &str = "grpc-timeout";

/// How long the caller waits: at most eight digits and a unit.
pub(crate) fn within(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = u64::from(number.parse::<u32>().ok()?);
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_in_every_unit_and_what_is_none_is_passed_over() {
        let read = |text: &'static str| {
            within(&HeaderMap::from_iter([(
                http::HeaderName::from_static(TIMEOUT),
                http::HeaderValue::from_static(text),
            )]))
        };
        for (text, millis) in [("2H", 7_200_000), ("3M", 180_000), ("4S", 4_000), ("5m", 5)] {
            assert_eq!(read(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(read("2000000u"), Some(Duration::from_secs(2)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for wrong in ["", "S", "5", "5x", "-1S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
