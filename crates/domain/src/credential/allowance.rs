//! How many failures are allowed: so many at once, and so many a minute in the long run.

use std::time::Duration;

use jiff::Timestamp;

use super::after;

const MINUTE: Duration = Duration::from_secs(60);
/// How far beyond what is allowed at once failures are remembered, in multiples of it: they may come side by side.
const OVERDRAFT: u32 = 2;

/// What is allowed. All that is kept of the failures is the instant at which none of them counts any more (the "generic
/// cell rate algorithm"): none where there were none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// At once; 0 is without limit.
    pub at_once: u32,
    /// In a minute, in the long run; at least 1.
    pub a_minute: u32,
}

impl Allowance {
    /// How long it takes until one more is allowed, where there was so much that none counts any more at
    /// `forgotten_at`; none where it is allowed at `now`.
    pub fn wait(&self, forgotten_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        let last = self.each().saturating_mul(self.at_once.saturating_sub(1));
        let owed = self.owed(forgotten_at, now);
        (self.at_once > 0 && owed > last).then(|| owed.saturating_sub(last))
    }

    /// When none counts any more, after one at `now`.
    #[must_use]
    pub fn failed(&self, forgotten_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let most = self.each().saturating_mul(self.at_once.saturating_mul(OVERDRAFT));
        after(now, self.owed(forgotten_at, now).saturating_add(self.each()).min(most))
    }

    /// What is still to be forgotten; never more than could be, should the clock have been set back.
    fn owed(&self, forgotten_at: Option<Timestamp>, now: Timestamp) -> Duration {
        let most = self.each().saturating_mul(self.at_once.saturating_mul(OVERDRAFT));
        let owed = forgotten_at.map(|at| at.duration_since(now)).unwrap_or_default();
        Duration::try_from(owed).unwrap_or_default().min(most)
    }

    fn each(&self) -> Duration {
        MINUTE / self.a_minute.max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::login::fixture::at;

    const FIVE: Allowance = Allowance { at_once: 5, a_minute: 6 };

    #[test]
    fn so_many_are_allowed_at_once_and_then_one_after_the_other() {
        let mut forgotten_at = None;
        for _ in 0..5 {
            assert_eq!(FIVE.wait(forgotten_at, at(0)), None);
            forgotten_at = Some(FIVE.failed(forgotten_at, at(0)));
        }
        assert_eq!(FIVE.wait(forgotten_at, at(0)), Some(Duration::from_secs(10)));
        assert_eq!(FIVE.wait(forgotten_at, at(9)), Some(Duration::from_secs(1)));
        assert_eq!(FIVE.wait(forgotten_at, at(10)), None);
        assert_eq!(FIVE.wait(forgotten_at, at(50)), None);
    }

    #[test]
    fn what_has_no_limit_never_waits() {
        let none = Allowance { at_once: 0, a_minute: 0 };
        let failed = (0..1_000).fold(None, |forgotten_at, _| Some(none.failed(forgotten_at, at(0))));
        assert_eq!(none.wait(failed, at(0)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_failures_could() {
        let forgotten_at = Some(FIVE.failed(None, at(1_000_000)));
        let wait = FIVE.wait(forgotten_at, at(0)).unwrap();
        assert!(wait <= Duration::from_secs(60), "{wait:?}");
    }

    proptest! {
        #[test]
        fn who_obeys_is_never_allowed_more_than_at_once_and_so_many_a_minute(
            at_once in 1u32..20,
            a_minute in 1u32..60,
            pauses in prop::collection::vec(0i64..30, 1..300),
        ) {
            let allowance = Allowance { at_once, a_minute };
            let (mut now, mut forgotten_at, mut allowed) = (0, None, 0_u32);
            for pause in pauses {
                now += pause;
                if allowance.wait(forgotten_at, at(now)).is_none() {
                    forgotten_at = Some(allowance.failed(forgotten_at, at(now)));
                    allowed += 1;
                }
            }
            let most = f64::from(at_once) + now as f64 / 60.0 * f64::from(a_minute);
            prop_assert!(f64::from(allowed) <= most + 1e-3, "{allowed} of {most}");
        }

        #[test]
        fn who_waits_as_long_as_he_is_told_is_allowed(failures in 1u32..100, at_once in 1u32..20) {
            let allowance = Allowance { at_once, a_minute: 6 };
            let forgotten_at =
                (0..failures).fold(None, |forgotten_at, _| Some(allowance.failed(forgotten_at, at(0))));
            let wait = allowance.wait(forgotten_at, at(0)).unwrap_or_default();
            prop_assert_eq!(allowance.wait(forgotten_at, after(at(0), wait)), None);
        }
    }
}
