//! Latencies in histograms, errors by reason, and the rate that was reached.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::exit::Failure;
use crate::output::table;

/// What is told of a distribution.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// Histograms hold microseconds to three digits, up to an hour; what takes longer counts as an hour.
const LONGEST: u64 = 3_600_000_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Logins that arrive.
    Login,
    /// And their logouts.
    Logout,
    /// Logins of the storm.
    StormLogin,
    /// Events that watchers received.
    Event,
}

impl What {
    /// For people, and for programs.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Login => ("login", "logins"),
            Self::Logout => ("logout", "logouts"),
            Self::StormLogin => ("login of the storm", "stormLogins"),
            Self::Event => ("event", "events"),
        }
    }
}

/// What was measured.
pub(super) struct Measured {
    wanted_rate: f64,
    /// What began before this does not count; nothing does as long as it is not said.
    counted_from: Option<Instant>,
    times: BTreeMap<What, Histogram<u64>>,
    errors: BTreeMap<String, u64>,
    took: Duration,
}

impl Measured {
    /// Nothing yet.
    pub(super) fn new(wanted_rate: f64) -> Result<Self, Failure> {
        let mut times = BTreeMap::new();
        for what in [What::Login, What::Logout, What::StormLogin, What::Event] {
            let empty = Histogram::new_with_max(LONGEST, 3);
            times.insert(what, empty.map_err(|error| Failure::other(error.to_string()))?);
        }
        Ok(Self { wanted_rate, counted_from: None, times, errors: BTreeMap::new(), took: Duration::ZERO })
    }

    /// Counts from then on.
    pub(super) fn count_from(&mut self, instant: Instant) {
        self.counted_from = Some(instant);
    }

    /// Takes in how long something took that was meant to begin at `at`, or why it failed.
    pub(super) fn note(&mut self, what: What, at: Instant, outcome: Result<Duration, String>) {
        if self.counted_from.is_none_or(|from| at < from) {
            return;
        }
        match outcome {
            Ok(took) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                if let Some(times) = self.times.get_mut(&what) {
                    times.saturating_record(micros);
                }
            }
            Err(reason) => *self.errors.entry(format!("{} {reason}", what.names().0)).or_default() += 1,
        }
    }

    /// Says how long it all took.
    pub(super) fn ended(&mut self, took: Duration) {
        self.took = took;
    }

    /// What is told: logins and logouts always, the rest where there was any.
    fn told(&self) -> impl Iterator<Item = (&What, &Histogram<u64>)> {
        let always = [What::Login, What::Logout];
        self.times.iter().filter(move |(what, times)| always.contains(what) || !times.is_empty())
    }

    fn achieved_rate(&self) -> f64 {
        match self.took.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.times.get(&What::Login).map_or(0, Histogram::len) as f64 / seconds,
        }
    }

    /// For programs; times in milliseconds.
    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "wantedRate": self.wanted_rate,
            "achievedRate": self.achieved_rate(),
            "seconds": self.took.as_secs_f64(),
            "errors": self.errors,
        });
        if let Value::Object(fields) = &mut json {
            for (what, times) in self.told() {
                fields.insert(what.names().1.to_owned(), distribution(times));
            }
        }
        json
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let row = |name: &str, histogram: &Histogram<u64>| {
            let mut row = vec![name.to_owned(), histogram.len().to_string()];
            row.extend(QUANTILES.iter().map(|(_, q)| format!("{:.2}", milliseconds(histogram, *q))));
            row
        };
        let header = ["MILLISECONDS", "COUNT", "P50", "P90", "P99", "P99.9", "MAX"];
        let mut text = table(&header, self.told().map(|(what, times)| row(what.names().0, times)));
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
    fn times_and_errors_add_up_without_those_of_the_warm_up() {
        let counted_from = Instant::now();
        let mut measured = Measured::new(10.0).unwrap();
        measured.note(What::Event, counted_from, Ok(Duration::ZERO));
        measured.count_from(counted_from);
        for milliseconds in [1, 2, 100] {
            let took = Duration::from_millis(milliseconds);
            measured.note(What::Login, counted_from, Ok(took));
            measured.note(What::Logout, counted_from, Ok(took));
        }
        let earlier = counted_from - Duration::from_millis(1);
        measured.note(What::Login, earlier, Ok(Duration::from_secs(9)));
        measured.note(What::Login, earlier, Err("NOT_STARTED".into()));
        measured.note(What::StormLogin, counted_from, Err("PHONE_OCCUPIED".into()));
        measured.ended(Duration::from_secs(1));
        let json = measured.json();
        assert_eq!(json["logins"]["count"], 3);
        assert_eq!(json["achievedRate"], 3.0);
        assert_eq!(json["errors"]["login of the storm PHONE_OCCUPIED"], 1);
        assert_eq!(json["errors"].as_object().unwrap().len(), 1);
        assert!((json["logins"]["maxMilliseconds"].as_f64().unwrap() - 100.0).abs() < 0.2);
        assert!(json.get("events").is_none(), "there were none");
        measured.note(What::Event, counted_from, Ok(Duration::from_millis(3)));
        assert_eq!(measured.json()["events"]["count"], 1);
        assert!(measured.text().contains("login of the storm PHONE_OCCUPIED 1"));
    }
}
