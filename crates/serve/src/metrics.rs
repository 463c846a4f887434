//! Instruments: one registry for the process, read as text on the admin port, and sent where telemetry is. Which there are
//! is listed in the [inventory](crate::inventory), and no other can be made. Names are dotted
//! (`roamline.session.logins`); the text has them with underscores and unit suffixes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider, ObservableGauge};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

use crate::inventory::{Entry, Kind, LabelOf};

/// What a label says: its name and its value.
pub type Label<'a> = (&'static str, &'a str);

/// Boundaries for seconds, from a fast call to a slow one; 2 s are what LO-5 allows a logout.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 10.0];

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

static PROVIDER: OnceLock<SdkMeterProvider> = OnceLock::new();

/// What records for the admin port, beside what else there is to record for.
fn built(builder: MeterProviderBuilder) -> SdkMeterProvider {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build();
    match exporter {
        Ok(exporter) => builder.with_reader(exporter).build(),
        Err(error) => {
            tracing::error!(%error, "metrics are not shown on the admin port");
            builder.build()
        }
    }
}

/// Sends what is recorded by way of that reader, too. Must be called before anything is recorded.
pub(crate) fn send_with(reader: impl MetricReader, resource: &Resource) {
    let builder = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
    if PROVIDER.set(built(builder)).is_err() {
        tracing::error!("metrics are recorded already, and are not sent");
    }
}

/// Sends what is left, and records no more.
pub(crate) fn end_sending() {
    if let Some(provider) = PROVIDER.get() {
        // Whether the last ones were taken, nobody is there to hear.
        let _ = provider.shutdown();
    }
}

fn meter() -> Meter {
    PROVIDER.get_or_init(|| built(SdkMeterProvider::builder())).meter("roamline")
}

/// An entry of the inventory, and what records for it once it is used.
struct Instrument<T> {
    entry: Entry,
    made: OnceLock<T>,
}

impl<T> Instrument<T> {
    const fn new(entry: Entry) -> Self {
        Self { entry, made: OnceLock::new() }
    }

    /// A label that the inventory does not list is a mistake that tests find.
    fn check(&self, labels: &[Label<'_>]) {
        debug_assert!(self.entry.takes(labels), "{} has no labels {labels:?}", self.entry.name);
    }

    /// The labels as they are recorded.
    fn pairs(&self, labels: &[Label<'_>]) -> Vec<KeyValue> {
        self.check(labels);
        labels.iter().map(|(name, value)| KeyValue::new(*name, (*value).to_owned())).collect()
    }
}

impl<T> fmt::Debug for Instrument<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.name)
    }
}

/// Counts up.
#[derive(Debug)]
pub struct Counter(Instrument<opentelemetry::metrics::Counter<u64>>);

impl Counter {
    pub(crate) const fn new(
        name: &'static str,
        of: &'static str,
        labels: &'static [LabelOf],
        says: &'static str,
    ) -> Self {
        Self(Instrument::new(Entry { name, kind: Kind::Counter, unit: "", of, labels, says }))
    }

    /// Counts `number` more.
    pub fn add(&self, number: u64, labels: &[Label<'_>]) {
        let entry = self.entry();
        let made =
            self.0.made.get_or_init(|| meter().u64_counter(entry.name).with_description(entry.says).build());
        made.add(number, &self.0.pairs(labels));
    }

    pub(crate) const fn entry(&self) -> &Entry {
        &self.0.entry
    }
}

/// Records how values are spread.
#[derive(Debug)]
pub struct Histogram(Instrument<opentelemetry::metrics::Histogram<f64>>);

impl Histogram {
    /// Of seconds.
    pub(crate) const fn new(
        name: &'static str,
        of: &'static str,
        labels: &'static [LabelOf],
        says: &'static str,
    ) -> Self {
        Self(Instrument::new(Entry { name, kind: Kind::Histogram, unit: "s", of, labels, says }))
    }

    /// Records one value.
    pub fn record(&self, value: f64, labels: &[Label<'_>]) {
        let entry = self.entry();
        let made = self.0.made.get_or_init(|| {
            let meter = meter();
            let builder = meter.f64_histogram(entry.name).with_description(entry.says);
            builder.with_unit(entry.unit).with_boundaries(SECONDS.to_vec()).build()
        });
        made.record(value, &self.0.pairs(labels));
    }

    pub(crate) const fn entry(&self) -> &Entry {
        &self.0.entry
    }
}

/// Goes up and down, from 0.
#[derive(Debug)]
pub struct Gauge(Instrument<opentelemetry::metrics::UpDownCounter<i64>>);

impl Gauge {
    pub(crate) const fn new(
        name: &'static str,
        of: &'static str,
        labels: &'static [LabelOf],
        says: &'static str,
    ) -> Self {
        Self(Instrument::new(Entry { name, kind: Kind::Gauge, unit: "", of, labels, says }))
    }

    /// Moves it by `change`.
    pub fn add(&self, change: i64, labels: &[Label<'_>]) {
        let entry = self.entry();
        let made = self
            .0
            .made
            .get_or_init(|| meter().i64_up_down_counter(entry.name).with_description(entry.says).build());
        made.add(change, &self.0.pairs(labels));
    }

    pub(crate) const fn entry(&self) -> &Entry {
        &self.0.entry
    }
}

/// What stands under which labels.
type Standing = BTreeMap<Vec<(&'static str, String)>, i64>;

/// Stands at the value that it was last set to, under each set of labels until that is forgotten.
#[derive(Debug)]
pub struct Level {
    instrument: Instrument<ObservableGauge<i64>>,
    standing: Mutex<Standing>,
}

impl Level {
    /// The unit is `s`, or none.
    pub(crate) const fn new(
        name: &'static str,
        unit: &'static str,
        of: &'static str,
        labels: &'static [LabelOf],
        says: &'static str,
    ) -> Self {
        let entry = Entry { name, kind: Kind::Gauge, unit, of, labels, says };
        Self { instrument: Instrument::new(entry), standing: Mutex::new(BTreeMap::new()) }
    }

    /// Sets it.
    pub fn set(&'static self, value: i64) {
        self.set_for(value, &[]);
    }

    /// Sets the one with these labels.
    pub fn set_for(&'static self, value: i64, labels: &[Label<'_>]) {
        self.instrument.check(labels);
        self.standing().insert(owned(labels), value);
        let entry = self.entry();
        self.instrument.made.get_or_init(|| {
            let meter = meter();
            let builder = meter.i64_observable_gauge(entry.name).with_description(entry.says);
            builder.with_unit(entry.unit).with_callback(|observer| self.tell(observer)).build()
        });
    }

    /// Shows the one with these labels no more: what it told of is gone.
    pub fn forget(&self, labels: &[Label<'_>]) {
        self.standing().remove(&owned(labels));
    }

    fn tell(&self, observer: &dyn AsyncInstrument<i64>) {
        for (labels, value) in self.standing().iter() {
            let pairs: Vec<_> =
                labels.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect();
            observer.observe(*value, &pairs);
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn entry(&self) -> &Entry {
        &self.instrument.entry
    }
}

fn owned(labels: &[Label<'_>]) -> Vec<(&'static str, String)> {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
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
    use crate::inventory::Values::OneOf;

    static THINGS: Counter = Counter::new("test.things", "tests", &[("kind", OneOf(&["round"]))], "things");
    static WAIT: Histogram = Histogram::new("test.wait", "tests", &[], "waiting");
    static OPEN: Gauge = Gauge::new("test.open", "tests", &[], "open things");
    static END: Level = Level::new("test.end", "s", "tests", &[], "the end");

    #[test]
    fn what_was_recorded_stands_in_the_text() {
        THINGS.add(3, &[("kind", "round")]);
        WAIT.record(0.02, &[]);
        OPEN.add(-2, &[]);
        END.set(5);
        END.set(3);
        let text = text().unwrap();
        assert!(text.contains("test_things_total{kind=\"round\"} 3"), "{text}");
        assert!(text.contains("test_wait_seconds_bucket{le=\"0.025\"} 1"), "{text}");
        assert!(text.contains("test_open -2"), "{text}");
        assert!(text.contains("test_end_seconds 3"), "{text}");
    }

    #[test]
    fn what_is_forgotten_stands_in_the_text_no_more() {
        static NEAR: Level =
            Level::new("test.near", "", "tests", &[("who", OneOf(&["anna", "bob"]))], "near");
        NEAR.set_for(1, &[("who", "anna")]);
        NEAR.set_for(2, &[("who", "bob")]);
        assert!(text().unwrap().contains("test_near{who=\"anna\"} 1"));
        NEAR.forget(&[("who", "anna")]);
        let kept = text().unwrap();
        assert!(!kept.contains("anna") && kept.contains("test_near{who=\"bob\"} 2"), "{kept}");
        NEAR.set_for(0, &[("who", "anna")]);
        assert!(text().unwrap().contains("test_near{who=\"anna\"} 0"));
    }

    #[test]
    #[should_panic(expected = "test.things has no labels")]
    fn a_value_that_is_not_listed_is_found_by_tests() {
        THINGS.add(1, &[("kind", "square")]);
    }
}
