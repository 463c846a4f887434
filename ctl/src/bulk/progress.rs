//! How far a long work is: a bar on a terminal, a line now and then elsewhere. All of it goes to standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::remark;
use crate::words;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Rows that are done, and how long the rest will take.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    /// Rows that were done before.
    first: u64,
    began_at: Instant,
    told_at: Instant,
}

impl Progress {
    /// Of so many rows, the first of which are done already.
    pub(crate) fn new(total: u64, first: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent}%  {pos}/{len} rows  {msg}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        Self { bar, total, first, began_at: now, told_at: now }
    }

    /// So many rows are done now.
    pub(crate) fn at(&mut self, rows: u64) {
        let told = self.speed(rows, self.began_at.elapsed());
        if let Some(bar) = &self.bar {
            bar.set_position(rows);
            bar.set_message(told);
        } else if self.told_at.elapsed() >= LINE_EVERY {
            self.told_at = Instant::now();
            remark(&format!("{rows}/{} rows, {told}", self.total));
        }
    }

    /// What is done when all rows are.
    pub(crate) fn then(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None if self.began_at.elapsed() >= LINE_EVERY => remark(what),
            None => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn speed(&self, rows: u64, taken: Duration) -> String {
        let done = rows.saturating_sub(self.first) as f64;
        let rate = done / taken.as_secs_f64().max(0.001);
        if rate < 1.0 {
            return format!("{rate:.1} rows/s");
        }
        let left = self.total.saturating_sub(rows) as f64 / rate;
        format!("{rate:.0} rows/s, {} left", words::duration(left.ceil() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_19_the_rate_counts_what_this_run_has_done_and_tells_the_time_left() {
        let progress = Progress::new(60_000, 20_000);
        assert_eq!(progress.speed(30_000, Duration::from_secs(10)), "1000 rows/s, 30s left");
        assert_eq!(progress.speed(20_000, Duration::from_secs(10)), "0.0 rows/s");
    }
}
