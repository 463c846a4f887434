//! Room for what waits to be sent. What does not fit is dropped, and what becomes of everything is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::WAITING;
use crate::inventory::TELEMETRY;

/// Room for what waits to be sent, and what became of it.
#[derive(Debug)]
pub(super) struct Room {
    signal: &'static str,
    taken: AtomicUsize,
    failing: AtomicBool,
}

impl Room {
    pub(super) fn new(signal: &'static str) -> Self {
        Self { signal, taken: AtomicUsize::new(0), failing: AtomicBool::new(false) }
    }

    /// Whether there is room for one more, which is taken then.
    fn take(&self) -> bool {
        let more = |taken: usize| (taken < WAITING).then_some(taken + 1);
        let room = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !room {
            self.count(1, "dropped");
        }
        room
    }

    /// So many have been sent, or not.
    fn give_back(&self, number: usize, sent: &OTelSdkResult) {
        let less = |taken: usize| Some(taken.saturating_sub(number));
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.count(number, if sent.is_ok() { "sent" } else { "failed" });
        // Told once, and not through what fails.
        let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) if !failed_before => {
                tracing::warn!(signal = self.signal, %error, "the collector of telemetry takes nothing: it is dropped");
            }
            Ok(()) if failed_before => {
                tracing::info!(signal = self.signal, "the collector takes telemetry again");
            }
            _ => {}
        }
    }

    fn count(&self, number: usize, result: &'static str) {
        TELEMETRY.add(number as u64, &[("signal", self.signal), ("result", result)]);
    }
}

/// Takes no more than there is room for.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    pub(super) inner: P,
    pub(super) room: Arc<Room>,
}

/// Counts what it sends.
#[derive(Debug)]
pub(super) struct Counted<E> {
    pub(super) inner: E,
    pub(super) room: Arc<Room>,
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.room.take() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        let sent = self.inner.export(batch).await;
        self.room.give_back(number, &sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Bounded<P> {
    fn emit(&self, line: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.room.take() {
            self.inner.emit(line, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: opentelemetry_sdk::logs::LogExporter> opentelemetry_sdk::logs::LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let number = batch.iter().count();
        let sent = self.inner.export(batch).await;
        self.room.give_back(number, &sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;
    use crate::otlp::BATCH;

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_counted() {
        let room = Room::new("traces");
        let taken = (0..WAITING + 10).filter(|_| room.take()).count();
        assert_eq!(taken, WAITING);
        room.give_back(BATCH, &Ok(()));
        assert!(room.take());
        let text = metrics::text().unwrap();
        let dropped = "roamline_telemetry_records_total{result=\"dropped\",signal=\"traces\"} 10";
        assert!(text.contains(dropped), "{text}");
    }
}
