//! Propagators that aren't ours, and what they may do.

use http::HeaderMap;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use throughline_core::{Config, Description, End, Outcome, Trust};

/// `x-trace` is the number of a span, in the trace of that number. `x-more` is only sent for some.
#[derive(Debug)]
struct XTrace(Vec<String>);

fn caller(id: u64) -> SpanContext {
    let (trace, span) = (TraceId::from(u128::from(id)), SpanId::from(id));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
}

impl TextMapPropagator for XTrace {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        if span.span_context().is_valid() {
            injector.set("x-trace", span.span_context().span_id().to_string());
        }
    }

    /// As all of them do, it leaves what it was given where nothing came.
    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let found = extractor.get("x-trace").and_then(|text| u64::from_str_radix(text, 16).ok());
        found.map_or_else(|| context.clone(), |id| context.with_remote_span_context(caller(id)))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

fn config() -> Config {
    let names = ["x-trace", "x-more"].map(String::from);
    Config::new("test", "1").with_propagator(XTrace(names.into()))
}

type Headers = Vec<(String, String)>;

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_is_current_is_never_taken_for_what_came() {
    let current = Context::new().with_remote_span_context(caller(7));
    let current = current.with_baggage([KeyValue::new("tenant", "acme")]);
    let _attached = current.attach();
    for trust in [Trust::Continue, Trust::Link, Trust::Ignore] {
        let nothing = config().trust(trust).extract(&Headers::new());
        assert_eq!(nothing.outcome(), Outcome::Absent);
        assert!(!nothing.context().span().span_context().is_valid());
        assert!(nothing.context().baggage().is_empty());
    }
    let something = config().extract(&headers(&[("x-trace", "2a")]));
    assert_eq!(something.context().span().span_context(), &caller(42));
    assert!(something.context().baggage().is_empty());
}

#[test]
fn who_is_not_trusted_is_linked_or_ignored() {
    for (trust, links) in [(Trust::Link, vec![caller(42)]), (Trust::Ignore, vec![])] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let config = config().with_tracer_provider(&provider).trust(trust);
        let extraction = config.extract(&headers(&[("x-trace", "2a")]));
        assert_eq!(extraction.outcome(), Outcome::Untrusted);
        let span = config.receive(extraction, SpanKind::Server, || Description::new("serve", 1));
        span.end(End::Completed);
        let span = exporter.get_finished_spans().expect("no poisoned lock").remove(0);
        assert_ne!(span.span_context.trace_id(), caller(42).trace_id());
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        let linked: Vec<_> = span.links.iter().map(|link| link.span_context.clone()).collect();
        assert_eq!(linked, links);
    }
}

#[test]
fn every_field_of_it_is_written_anew() {
    let context = Context::new().with_remote_span_context(caller(42));
    let mut left =
        headers(&[("x-more", "stale"), ("accept", "*/*"), ("X-Trace", "1"), ("x-trace", "2")]);
    config().inject(&context, &mut left);
    assert_eq!(left, headers(&[("accept", "*/*"), ("x-trace", "000000000000002a")]));

    // Without a trace, who speaks by hand is left alone.
    let by_hand = headers(&[("x-more", "by hand"), ("x-trace", "2")]);
    let mut left = by_hand.clone();
    config().inject(&Context::new(), &mut left);
    assert_eq!(left, by_hand);
}

/// Writes whatever it was given.
#[derive(Debug)]
struct Writes(Vec<String>, &'static str, &'static str);

impl TextMapPropagator for Writes {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        injector.set(self.1, self.2.to_owned());
    }

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn nothing_that_could_end_a_header_is_written() {
    let context = Context::new().with_remote_span_context(caller(42));
    for (name, value, is_written) in [
        ("x-own", "a\tb ~!", true),
        ("X-Own", "a", true),
        ("x-own", "", false),
        ("x-own", "a\r\nset-cookie: b", false),
        ("x-own", "a\nb", false),
        ("x-own", "a\0", false),
        ("x-own", "a\x7f", false),
        ("x-own", "\u{85}", false),
        ("x-own", "Jürgen", false),
        ("x own", "a", false),
        ("x-own\r\nset-cookie", "a", false),
        ("", "a", false),
    ] {
        let config = Config::new("test", "1");
        let config = config.with_propagator(Writes(vec!["x-own".to_owned()], name, value));
        // A carrier that would take anything.
        let mut left = Headers::new();
        config.inject(&context, &mut left);
        let expected = if is_written { headers(&[("x-own", value)]) } else { Headers::new() };
        assert_eq!(left, expected, "{name:?}: {value:?}");
        let mut left = HeaderMap::new();
        config.inject(&context, &mut left);
        assert_eq!(left.len(), usize::from(is_written), "{name:?}: {value:?}");
    }
}
