//! The table, and what of it stands to what.

use std::time::Duration;

use crate::generate::Measured;

/// What was measured, as it is told.
#[derive(Default)]
pub(crate) struct Report {
    ratios: Vec<String>,
}

/// The processor's time that a measurement took of those who served it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) server: Duration,
    pub(crate) redis: Duration,
}

impl Report {
    /// The head of the table.
    pub(crate) fn head(&mut self, title: &str) {
        println!("\n{title}");
        println!(
            "{:<44} {:>9} {:>10} {:>10} {:>8} {:>8} {:>8} {:>8}",
            "", "per s", "server us", "redis us", "p50 ms", "p99 ms", "p99.9", "max"
        );
    }

    /// A row of those of that name, and everything that failed.
    pub(crate) fn row(&mut self, what: &str, of: &str, measured: &Measured, taken: Option<Taken>) {
        let all = measured.rate() * measured.took.as_secs_f64();
        let each = |time: Duration| match time.as_secs_f64() {
            0.0 => "-".to_owned(),
            seconds => format!("{:.1}", seconds * 1e6 / all),
        };
        let taken = taken.unwrap_or_default();
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|quantile| measured.at(of, quantile));
        println!(
            "{what:<44} {:>9.0} {:>10} {:>10} {p50:>8.2} {p99:>8.2} {p999:>8.2} {max:>8.1}",
            measured.rate_of(of),
            each(taken.server),
            each(taken.redis),
        );
        for (reason, count) in &measured.errors {
            println!("    {count} failed: {reason}");
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str) {
        println!("{text}");
    }

    /// How two figures stand to each other, where both were measured, and what was wanted.
    pub(crate) fn ratio(&mut self, what: &str, of: Option<f64>, to: Option<f64>, wanted: &str) {
        if let (Some(of), Some(to)) = (of, to) {
            self.ratios.push(format!("{what:<58} {:>6.2}   wanted: {wanted}", of / to));
        }
    }

    /// The ratios, last.
    pub(crate) fn end(&self) {
        println!("\nRatios");
        self.ratios.iter().for_each(|ratio| println!("{ratio}"));
    }
}
