//! Lengths of time as they come from outside.

use std::time::Duration;

/// The length of time that was said; `None` if it is negative. (prost's own conversion negates what is negative, which
/// overflows for the least of all.)
pub fn length(said: prost_types::Duration) -> Option<Duration> {
    let said = said.normalized();
    let (seconds, nanos) = (u64::try_from(said.seconds).ok()?, u32::try_from(said.nanos).ok()?);
    Some(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use prost_types::Duration as Said;

    use super::*;

    #[test]
    fn any_length_is_read_or_refused() {
        let read = |seconds, nanos| length(Said { seconds, nanos });
        assert_eq!(read(1, 500_000_000), Some(Duration::from_millis(1500)));
        assert_eq!(read(2, -500_000_000), Some(Duration::from_millis(1500)));
        assert_eq!(read(i64::MAX, i32::MAX), Some(Duration::new(i64::MAX.unsigned_abs(), 999_999_999)));
        for (seconds, nanos) in [(-1, 0), (0, -1), (i64::MIN, 0), (i64::MIN, i32::MIN), (i64::MIN, i32::MAX)]
        {
            assert_eq!(read(seconds, nanos), None, "{seconds} {nanos}");
        }
    }
}
