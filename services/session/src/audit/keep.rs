//! For how long records are kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 3600);
const FOREVER: &str = "forever";

/// Settings of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// After which a record is deleted, within a day: a time such as `400d`, or `forever`. It is never less than
    /// `session.keep_events_for`.
    pub keep_for: KeepFor,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { keep_for: KeepFor::For(400 * DAY) }
    }
}

/// For how long something is kept. As text a time in which a day is 24 hours, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum KeepFor {
    /// Without end.
    Forever,
    /// For that time.
    For(Duration),
}

impl FromStr for KeepFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == FOREVER {
            return Ok(Self::Forever);
        }
        let span = text.parse::<Span>().ok();
        let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let length = length.and_then(|length| Duration::try_from(length).ok());
        length.map(Self::For).ok_or_else(|| format!("{text:?} is neither a time such as 400d nor {FOREVER}"))
    }
}

impl TryFrom<String> for KeepFor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for KeepFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str(FOREVER),
            Self::For(length) if length.as_secs() % DAY.as_secs() == 0 && length.subsec_nanos() == 0 => {
                write!(f, "{}d", length.as_secs() / DAY.as_secs())
            }
            Self::For(length) => {
                write!(f, "{:#}", SignedDuration::try_from(*length).unwrap_or(SignedDuration::MAX))
            }
        }
    }
}

impl From<KeepFor> for String {
    fn from(keep: KeepFor) -> Self {
        keep.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_days_of_24_hours_and_told_as_it_is_written() {
        for (text, length) in [
            ("400d", 400 * DAY),
            ("2 weeks", 14 * DAY),
            ("36h", Duration::from_secs(36 * 3600)),
            ("1.5s", Duration::from_millis(1500)),
        ] {
            let read: KeepFor = text.parse().unwrap();
            assert_eq!(read, KeepFor::For(length), "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{read}");
        }
        assert_eq!(AuditConfig::default().keep_for.to_string(), "400d");
        assert_eq!(FOREVER.parse(), Ok(KeepFor::Forever));
        assert_eq!(KeepFor::Forever.to_string(), FOREVER);
        for wrong in ["", "always", "1 month", "1y", "-1d", "400"] {
            assert!(wrong.parse::<KeepFor>().is_err(), "{wrong}");
        }
    }
}
