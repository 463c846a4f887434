//! The time, read at the edge and handed down as an argument.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A clock: the system's, or one that a test moves.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<Mutex<Timestamp>>),
}

/// The hand that moves a manual clock.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let now = Arc::new(Mutex::new(start));
        (Self(Source::Manual(Arc::clone(&now))), ManualClock(now))
    }

    /// The time.
    #[allow(clippy::disallowed_methods, reason = "this is the edge where the time is read")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The clock as a function, for layers and token sources.
    pub fn reader(&self) -> roamline_token::Now {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::System => f.write_str("Clock(system)"),
            Source::Manual(_) => write!(f, "Clock({})", self.now()),
        }
    }
}

impl ManualClock {
    /// Moves the clock forward; it stops at the end of time.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        *now = now.checked_add(by).unwrap_or(Timestamp::MAX);
    }

    /// Puts the clock to an instant.
    pub fn set(&self, to: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

/// Lets real time pass; for pauses that belong to the process itself.
#[allow(clippy::disallowed_methods, reason = "the pauses of a process's life are counted here")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_until_it_is_moved() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        hand.advance(Duration::from_secs(90));
        assert_eq!(clock.now().as_second(), 90);
        hand.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
