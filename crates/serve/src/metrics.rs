//! Instruments: one registry for the process, read as text on the admin port. Names are dotted
//! (`roamline.session.logins`); the text has them with underscores and unit suffixes.

use std::sync::LazyLock;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// What a label says: its name and its value.
pub type Label<'a> = (&'static str, &'a str);

/// Boundaries for seconds, from a fast call to a slow one.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

static PROVIDER: LazyLock<SdkMeterProvider> = LazyLock::new(|| {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build();
    match exporter {
        Ok(exporter) => SdkMeterProvider::builder().with_reader(exporter).build(),
        Err(error) => {
            tracing::error!(%error, "metrics are not recorded");
            SdkMeterProvider::builder().build()
        }
    }
});

fn meter() -> Meter {
    PROVIDER.meter("roamline")
}

fn pairs(labels: &[Label<'_>]) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| KeyValue::new(*name, (*value).to_owned())).collect()
}

/// Counts up.
#[derive(Clone, Debug)]
pub struct Counter(opentelemetry::metrics::Counter<u64>);

impl Counter {
    /// A counter of that name.
    pub fn new(name: &'static str, description: &'static str) -> Self {
        Self(meter().u64_counter(name).with_description(description).build())
    }

    /// Counts `number` more.
    pub fn add(&self, number: u64, labels: &[Label<'_>]) {
        self.0.add(number, &pairs(labels));
    }
}

/// Records how values are spread.
#[derive(Clone, Debug)]
pub struct Histogram(opentelemetry::metrics::Histogram<f64>);

impl Histogram {
    /// A histogram of that name; the unit is one of UCUM (`s`, `By`, `1`).
    pub fn new(name: &'static str, description: &'static str, unit: &'static str) -> Self {
        let meter = meter();
        let builder = meter.f64_histogram(name).with_description(description).with_unit(unit);
        let builder = if unit == "s" { builder.with_boundaries(SECONDS.to_vec()) } else { builder };
        Self(builder.build())
    }

    /// Records one value.
    pub fn record(&self, value: f64, labels: &[Label<'_>]) {
        self.0.record(value, &pairs(labels));
    }
}

/// Goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(opentelemetry::metrics::UpDownCounter<i64>);

impl Gauge {
    /// A gauge of that name, at 0.
    pub fn new(name: &'static str, description: &'static str) -> Self {
        Self(meter().i64_up_down_counter(name).with_description(description).build())
    }

    /// Moves it by `change`.
    pub fn add(&self, change: i64, labels: &[Label<'_>]) {
        self.0.add(change, &pairs(labels));
    }
}

/// Stands at the value that it was last set to.
#[derive(Clone, Debug)]
pub struct Level(opentelemetry::metrics::Gauge<i64>);

impl Level {
    /// A level of that name; the unit is one of UCUM (`s`, `By`, `1`).
    pub fn new(name: &'static str, description: &'static str, unit: &'static str) -> Self {
        Self(meter().i64_gauge(name).with_description(description).with_unit(unit).build())
    }

    /// Sets it.
    pub fn set(&self, value: i64) {
        self.set_for(value, &[]);
    }

    /// Sets the one with these labels.
    pub fn set_for(&self, value: i64, labels: &[Label<'_>]) {
        self.0.record(value, &pairs(labels));
    }
}

/// Everything recorded so far, in the text format of Prometheus.
///
/// # Errors
/// When two instruments of one name contradict each other.
pub fn text() -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&REGISTRY.gather())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_stands_in_the_text() {
        Counter::new("test.things", "things").add(3, &[("kind", "round")]);
        Histogram::new("test.wait", "waiting", "s").record(0.02, &[]);
        Gauge::new("test.open", "open things").add(-2, &[]);
        let level = Level::new("test.end", "the end", "s");
        level.set(5);
        level.set(3);
        let text = text().unwrap();
        assert!(text.contains("test_things_total{kind=\"round\"} 3"), "{text}");
        assert!(text.contains("test_wait_seconds_bucket{le=\"0.025\"} 1"), "{text}");
        assert!(text.contains("test_open -2"), "{text}");
        assert!(text.contains("test_end_seconds 3"), "{text}");
    }
}
