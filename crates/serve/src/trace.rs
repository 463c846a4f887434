//! Which request something is done for: the trace that a caller names (W3C Trace Context), or one of its own, goes on with
//! every call to other services. Where telemetry is on, each call and each operation of a store is a span of it. Baggage
//! is neither read nor passed on.

use std::sync::{LazyLock, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer, WithContext,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer};

use crate::metrics::Label;

/// What else of a trace's context may stand in a request.
const STATE: &str = "tracestate";

/// What services ask for all the time, and for nobody: no trace begins with it.
const ASKED_ALWAYS: [&str; 2] =
    ["roamline.auth.v1.AuthService/GetJsonWebKeySet", "roamline.auth.v1.AuthService/ListRevocations"];

static TRACER: OnceLock<SdkTracer> = OnceLock::new();
static PROPAGATOR: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Records spans from now on. A second tracer changes nothing.
pub(crate) fn record_with(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}

/// A call within its trace, as it is made or answered.
#[derive(Clone, Debug)]
pub(crate) struct CallSpan {
    context: Context,
    /// Whether there is a span that is ours to end.
    is_own: bool,
}

impl CallSpan {
    /// One that is answered: it continues the trace that its headers name, or begins one. They name this part of it then.
    pub(crate) fn answered(method: &'static str, headers: &mut HeaderMap) -> Self {
        let from = PROPAGATOR.extract_with_context(&Context::new(), &Headers(headers));
        let is_traced =
            method.starts_with("roamline.") && (is_valid(&from) || !ASKED_ALWAYS.contains(&method));
        let call = match TRACER.get().filter(|_| is_traced) {
            Some(tracer) => Self::begin(tracer, method, SpanKind::Server, &from),
            None if is_valid(&from) => Self { context: from, is_own: false },
            None => Self { context: begun(), is_own: false },
        };
        call.name_in(headers);
        call
    }

    /// One that is made, for what is done now. What is done for nobody has a trace that nobody records.
    pub(crate) fn made(method: &'static str, peer: Option<&str>, headers: &mut HeaderMap) -> Self {
        let from = Context::current();
        let call = match TRACER.get() {
            _ if !is_valid(&from) => Self { context: begun(), is_own: false },
            Some(tracer) => Self::begin(tracer, method, SpanKind::Client, &from),
            None => Self { context: from, is_own: false },
        };
        call.name_in(headers);
        if let Some(peer) = peer {
            call.context.span().set_attribute(KeyValue::new("peer", peer.to_owned()));
            // What our vendors keep there is not another cluster's affair.
            headers.remove(STATE);
        }
        call
    }

    fn begin(tracer: &SdkTracer, method: &'static str, kind: SpanKind, from: &Context) -> Self {
        let attributes = [KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method)];
        let builder = tracer.span_builder(method).with_kind(kind).with_attributes(attributes);
        let context = Context::new().with_span(builder.start_with_context(tracer, from));
        Self { context, is_own: true }
    }

    fn name_in(&self, headers: &mut HeaderMap) {
        PROPAGATOR.inject_context(&self.context, &mut Headers(headers));
    }

    /// What is done for the call, and logged meanwhile, belongs to it.
    pub(crate) fn around<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.context.clone())
    }

    /// It has ended with that status of gRPC.
    pub(crate) fn end(&self, code: &'static str, is_fault: bool) {
        if !self.is_own {
            return;
        }
        let span = self.context.span();
        span.set_attribute(KeyValue::new("rpc.response.status_code", code));
        if is_fault {
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Does work that is a part of a request: a span of that name where the request is recorded. `failed` says how it has
/// failed, if it has.
pub async fn part<T>(
    name: &'static str,
    labels: &[Label<'_>],
    work: impl Future<Output = T>,
    failed: impl Fn(&T) -> Option<&'static str>,
) -> T {
    let from = Context::current();
    let Some(tracer) = TRACER.get().filter(|_| from.span().is_recording()) else { return work.await };
    let attributes: Vec<_> =
        labels.iter().map(|(name, value)| KeyValue::new(*name, (*value).to_owned())).collect();
    let builder = tracer.span_builder(name).with_kind(SpanKind::Client).with_attributes(attributes);
    let context = Context::new().with_span(builder.start_with_context(tracer, &from));
    let done = work.with_context(context.clone()).await;
    let span = context.span();
    if let Some(word) = failed(&done) {
        span.set_attribute(KeyValue::new("error.type", word));
        span.set_status(Status::error(""));
    }
    span.end();
    done
}

/// The trace, and the part of it, that something is done for now: their ids in hexadecimal.
pub(crate) fn present() -> Option<(String, String)> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
    })
}

fn is_valid(context: &Context) -> bool {
    context.span().span_context().is_valid()
}

/// A new trace that nobody records.
fn begun() -> Context {
    let ids = RandomIdGenerator::default();
    let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
    let begun = SpanContext::new(trace, span, TraceFlags::default(), false, TraceState::default());
    Context::new().with_remote_span_context(begun)
}

/// Headers as propagators see them.
struct Headers<'a>(&'a mut HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value), false) = (name, HeaderValue::from_str(&value), value.is_empty()) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(traceparent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !traceparent.is_empty() {
            headers.insert("traceparent", traceparent.parse().unwrap());
        }
        headers
    }

    fn named(headers: &HeaderMap) -> String {
        headers["traceparent"].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_trace_goes_on_and_one_is_begun_where_there_is_none() {
        let mut named_so = headers(PARENT);
        CallSpan::answered("x/Y", &mut named_so);
        assert_eq!(named(&named_so), PARENT);
        for wrong in ["", "00", "00-xyz-1-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            let mut without = headers(wrong);
            CallSpan::answered("x/Y", &mut without);
            let begun = named(&without);
            assert_ne!(begun, wrong);
            assert!(begun.len() == PARENT.len() && begun.ends_with("-00"), "{begun}");
        }
    }

    #[tokio::test]
    async fn a_call_made_for_another_is_of_its_trace_and_one_for_nobody_of_its_own() {
        let outer = CallSpan::answered("x/Y", &mut headers(PARENT));
        let made = outer.around(async {
            let mut made = headers("");
            made.insert(STATE, HeaderValue::from_static("ours=1"));
            CallSpan::made("x/Z", Some("hamburg"), &mut made);
            (made, present())
        });
        let (made, ids) = made.await;
        assert_eq!(named(&made), PARENT);
        assert!(made.get(STATE).is_none(), "what is ours does not go to another cluster");
        assert_eq!(ids.unwrap().0, "4bf92f3577b34da6a3ce929d0e0e4736");
        let mut alone = headers("");
        CallSpan::made("x/Z", None, &mut alone);
        assert!(named(&alone).ends_with("-00"));
        assert_eq!(present(), None);
    }
}
