//! Maximum Concurrent Requests (SP-4): how many logins are in work at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;

/// Logins at once for each processor where the parameter leaves the size to the machine.
const PER_PROCESSOR: u32 = 256;

/// Counts logins in work.
pub(crate) struct Limit {
    running: AtomicU32,
    most: AtomicU32,
}

/// One login in work.
pub(crate) struct Place<'a>(&'a Limit);

impl Default for Limit {
    fn default() -> Self {
        Self { running: AtomicU32::new(0), most: AtomicU32::new(sized_to_the_machine()) }
    }
}

impl Limit {
    /// A place, or the refusal that there is none.
    pub(crate) fn enter(&self) -> Result<Place<'_>, Refusal> {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        let most = self.most.load(Ordering::Relaxed);
        if before < most {
            return Ok(place);
        }
        let mut refusal =
            Refusal::new(ErrorReason::TooManyRequests, format!("{most} logins are in work already (SP-4)"));
        refusal.retry_after = Some(Duration::from_millis(500));
        Err(refusal)
    }

    /// Follows the parameter as the directory last told it (SP-21).
    pub(crate) fn set(&self, parameter: u32) {
        let most = if parameter == 0 { sized_to_the_machine() } else { parameter };
        self.most.store(most, Ordering::Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn sized_to_the_machine() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(processors).unwrap_or(1).saturating_mul(PER_PROCESSOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sp_4_a_login_beyond_the_limit_is_told_when_to_come_back() {
        let limit = Limit::default();
        limit.set(2);
        let (first, _second) = (limit.enter().unwrap(), limit.enter().unwrap());
        let Err(refused) = limit.enter() else { panic!("a third was let in") };
        assert_eq!(refused.reason, ErrorReason::TooManyRequests);
        assert!(refused.retry_after.is_some());
        drop(first);
        assert!(limit.enter().is_ok(), "a place that is left is free again");
    }
}
