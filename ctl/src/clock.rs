//! The edge where a command reads the time.

use jiff::Timestamp;

/// Now.
#[allow(clippy::disallowed_methods, reason = "a command line has no clock but the machine's")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
