//! Latencies in histograms, errors by reason, and the rate that was reached.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Outcome;
use crate::exit::Failure;
use crate::output::table;

/// What is told of a distribution.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// Histograms hold microseconds to three digits, up to an hour; what takes longer counts as an hour.
const LONGEST: u64 = 3_600_000_000;

/// What was measured.
pub(super) struct Measured {
    wanted_rate: f64,
    logins: Histogram<u64>,
    logouts: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    took: Duration,
}

impl Measured {
    /// Nothing yet.
    pub(super) fn new(wanted_rate: f64) -> Result<Self, Failure> {
        let histogram =
            || Histogram::new_with_max(LONGEST, 3).map_err(|error| Failure::other(error.to_string()));
        Ok(Self {
            wanted_rate,
            logins: histogram()?,
            logouts: histogram()?,
            errors: BTreeMap::new(),
            took: Duration::ZERO,
        })
    }

    /// Takes an arrival in; `None` for one whose task failed.
    pub(super) fn note(&mut self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return self.error("login", "TASK_FAILED") };
        match outcome.login {
            Ok(took) => record(&mut self.logins, took),
            Err(reason) => self.error("login", &reason),
        }
        match outcome.logout {
            Some(Ok(took)) => record(&mut self.logouts, took),
            Some(Err(reason)) => self.error("logout", &reason),
            None => {}
        }
    }

    /// Counts an arrival that could not begin.
    pub(super) fn not_started(&mut self) {
        self.error("login", "NOT_STARTED");
    }

    /// Says how long it all took.
    pub(super) fn ended(&mut self, took: Duration) {
        self.took = took;
    }

    fn error(&mut self, what: &str, reason: &str) {
        *self.errors.entry(format!("{what} {reason}")).or_default() += 1;
    }

    fn achieved_rate(&self) -> f64 {
        match self.took.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.logins.len() as f64 / seconds,
        }
    }

    /// For programs; times in milliseconds.
    pub(super) fn json(&self) -> Value {
        json!({
            "wantedRate": self.wanted_rate,
            "achievedRate": self.achieved_rate(),
            "seconds": self.took.as_secs_f64(),
            "logins": distribution(&self.logins),
            "logouts": distribution(&self.logouts),
            "errors": self.errors,
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let row = |name: &str, histogram: &Histogram<u64>| {
            let mut row = vec![name.to_owned(), histogram.len().to_string()];
            row.extend(QUANTILES.iter().map(|(_, q)| format!("{:.2}", milliseconds(histogram, *q))));
            row
        };
        let header = ["MILLISECONDS", "COUNT", "P50", "P90", "P99", "P99.9", "MAX"];
        let mut text = table(&header, [row("login", &self.logins), row("logout", &self.logouts)]);
        text.push_str(&format!(
            "\n\nlogins a second: wanted {:.1}, achieved {:.1}, over {:.1} s\n",
            self.wanted_rate,
            self.achieved_rate(),
            self.took.as_secs_f64()
        ));
        if self.errors.is_empty() {
            text.push_str("errors: none\n");
        }
        for (what, count) in &self.errors {
            text.push_str(&format!("errors: {what} {count}\n"));
        }
        text
    }
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

fn distribution(histogram: &Histogram<u64>) -> Value {
    let mut fields = json!({ "count": histogram.len() });
    if let Value::Object(fields) = &mut fields {
        for (name, quantile) in QUANTILES {
            fields.insert(format!("{name}Milliseconds"), json!(milliseconds(histogram, quantile)));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_errors_add_up() {
        let mut measured = Measured::new(10.0).unwrap();
        for milliseconds in [1, 2, 100] {
            let took = Duration::from_millis(milliseconds);
            measured.note(Some(Outcome { login: Ok(took), logout: Some(Ok(took)) }));
        }
        measured.note(Some(Outcome { login: Err("PHONE_OCCUPIED".into()), logout: None }));
        measured.not_started();
        measured.ended(Duration::from_secs(1));
        let json = measured.json();
        assert_eq!(json["logins"]["count"], 3);
        assert_eq!(json["achievedRate"], 3.0);
        assert_eq!(json["errors"]["login PHONE_OCCUPIED"], 1);
        assert!((json["logins"]["maxMilliseconds"].as_f64().unwrap() - 100.0).abs() < 0.2);
        assert!(measured.text().contains("login NOT_STARTED 1"));
    }
}
