//! Answers whose time tells nothing.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What comes of `work`; where it `is_even`, not before a multiple of `every` has passed since the call, so that how long
/// the work took tells nothing (LI-2). With `every` at zero, at once.
pub async fn at_even_times<T>(
    every: Duration,
    work: impl Future<Output = T>,
    is_even: impl FnOnce(&T) -> bool,
) -> T {
    let began = Instant::now();
    let answer = work.await;
    if !every.is_zero() && is_even(&answer) {
        let passed = began.elapsed().as_nanos() / every.as_nanos() + 1;
        let due = every.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX));
        if let Some(due) = began.checked_add(due) {
            sleep_until(due).await;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn work(milliseconds: u64) {
        sleep_until(Instant::now() + Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn li_2_an_even_answer_comes_after_a_multiple_of_the_time_whatever_the_work_took() {
        let every = Duration::from_millis(100);
        for (took, answered) in [(0, 100), (1, 100), (99, 100), (101, 200), (250, 300)] {
            let began = Instant::now();
            at_even_times(every, work(took), |()| true).await;
            assert_eq!(began.elapsed(), Duration::from_millis(answered), "{took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn others_come_at_once() {
        let began = Instant::now();
        at_even_times(Duration::from_millis(100), work(7), |()| false).await;
        at_even_times(Duration::ZERO, work(7), |()| true).await;
        assert_eq!(began.elapsed(), Duration::from_millis(14));
    }
}
