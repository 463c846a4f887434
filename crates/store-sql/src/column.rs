//! How values stand in portable columns: BIGINT for counts and instants (microseconds), TEXT for words and JSON.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Cause;

/// An instant in microseconds; what is finer is cut off.
pub(crate) fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The first microsecond at which the instant has come, so that nothing is due before its time.
pub(crate) fn micros_due(deadline: Timestamp) -> i64 {
    let finer = i64::from(deadline.subsec_nanosecond() % 1_000 > 0);
    (deadline.as_microsecond() + finer).min(Timestamp::MAX.as_microsecond())
}

/// By seconds and the rest, because `from_microsecond` stops a second before [`Timestamp::MAX`].
pub(crate) fn instant(micros: i64) -> Result<Timestamp, Cause> {
    let nanos = i32::try_from(micros % 1_000_000 * 1_000)?;
    Ok(Timestamp::new(micros / 1_000_000, nanos)?)
}

pub(crate) fn big(count: u64) -> Result<i64, Cause> {
    Ok(count.try_into()?)
}

pub(crate) fn count(big: i64) -> Result<u64, Cause> {
    Ok(big.try_into()?)
}

/// The word of an enum's variant, as serde spells it.
pub(crate) fn word(value: &impl Serialize) -> Result<String, Cause> {
    match serde_json::to_value(value)? {
        Value::String(word) => Ok(word),
        other => Err(format!("{other} is no word").into()),
    }
}

pub(crate) fn from_word<T: DeserializeOwned>(word: String) -> Result<T, Cause> {
    Ok(serde_json::from_value(Value::String(word))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lo_5_a_deadline_is_never_rounded_to_before_its_time() {
        for nanos in [0, 1, 999, 1_000, 1_001, -1, -999, -1_001] {
            let deadline = Timestamp::from_nanosecond(nanos).unwrap();
            let due = instant(micros_due(deadline)).unwrap();
            assert!(due >= deadline && due.as_nanosecond() - nanos < 1_000, "{nanos}");
        }
        assert!(instant(micros_due(Timestamp::MAX)).is_ok());
    }

    #[test]
    fn numbers_that_no_count_can_be_are_refused() {
        assert!(count(-1).is_err() && big(u64::MAX).is_err() && instant(i64::MIN).is_err());
    }
}
