use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use throughline_core::codec::baggage::print;
use throughline_core::codec::traceparent::Malformed;
use throughline_core::{Config, Format, Formats, Outcome, Trust, W3cPropagator};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn config() -> Config {
    Config::new("test", "1").with_propagator(W3cPropagator::new())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    });
    pairs.collect()
}

#[test]
fn a_context_travels_whole() {
    let came = headers(&[
        ("traceparent", TRACEPARENT),
        ("tracestate", "foo@@bar=1"),
        ("tracestate", "ot=th:0"),
        ("baggage", "tenant=acme"),
    ]);
    let extraction = config().extract(&came);
    assert_eq!(extraction.outcome(), Outcome::Continued);
    assert!(extraction.context().span().span_context().is_remote());

    let mut left =
        headers(&[("traceparent", "stale"), ("tracestate", "stale=1"), ("accept", "*/*")]);
    left.append("traceparent", HeaderValue::from_static("stale, too"));
    config().inject(extraction.context(), &mut left);
    let expected = headers(&[
        ("traceparent", TRACEPARENT),
        ("tracestate", "foo@@bar=1,ot=th:0"),
        ("baggage", "tenant=acme"),
        ("accept", "*/*"),
    ]);
    assert_eq!(left, expected);
}

#[test]
fn a_malformed_trace_restarts_and_its_baggage_stays() {
    let mut came = headers(&[("traceparent", TRACEPARENT), ("baggage", "tenant=acme")]);
    came.append("traceparent", HeaderValue::from_static(TRACEPARENT));
    let extraction = config().extract(&came);
    assert_eq!(extraction.outcome(), Outcome::Malformed(Malformed::Doubled));
    assert!(!extraction.context().span().span_context().is_valid());
    assert_eq!(extraction.context().baggage().len(), 1);
}

#[test]
fn what_is_current_is_never_taken_for_what_came() {
    let stale = config().extract(&headers(&[("traceparent", TRACEPARENT)]));
    let _attached = stale.context().clone().attach();
    for came in [headers(&[]), headers(&[("traceparent", "00-broken")])] {
        let extraction = config().extract(&came);
        assert!(!extraction.context().span().span_context().is_valid());
    }
}

#[test]
fn who_is_not_trusted_brings_nothing_in() {
    for trust in [Trust::Link, Trust::Ignore] {
        let came = headers(&[("traceparent", TRACEPARENT), ("baggage", "admin=true")]);
        let extraction = config().trust(trust).extract(&came);
        assert_eq!(extraction.outcome(), Outcome::Untrusted);
        assert!(!extraction.context().span().span_context().is_valid());
        assert!(extraction.context().baggage().is_empty());
    }
}

#[test]
fn who_is_not_trusted_brings_in_the_baggage_that_is_admitted_and_no_more() {
    let spoken = [
        config(),
        Config::new("test", "1").with_propagator(Formats::new([Format::B3, Format::Baggage])),
        Config::new("test", "1").with_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ])),
    ];
    let came = headers(&[
        ("traceparent", TRACEPARENT),
        ("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
        ("tracestate", "a@b@c=theirs"),
        ("baggage", "admin=true,campaign=spring;from=mail,experiment=b"),
    ]);
    for config in spoken {
        let config = config.admit_baggage(["campaign"]).admit_baggage(["experiment", "absent"]);
        for trust in [Trust::Link, Trust::Ignore] {
            let extraction = config.extract_trusting(&came, trust);
            assert_eq!(extraction.outcome(), Outcome::Untrusted, "{config:?}");
            let context = extraction.context();
            assert!(!context.span().span_context().is_valid());
            let printed = print(context.baggage()).map(sorted);
            let wanted = sorted("campaign=spring;from=mail,experiment=b".to_owned());
            assert_eq!(printed, Some(wanted), "{config:?}");
            let mut left = HeaderMap::new();
            config.inject(context, &mut left);
            assert!(!left.contains_key("tracestate"), "{left:?}");
        }
        assert_eq!(config.extract(&came).context().baggage().len(), 3);
    }
}

/// Members that OpenTelemetry can't hold travel beside the span, in the context. They belong to
/// their trace.
#[test]
fn another_trace_in_the_same_context_has_another_tracestate() {
    let came = headers(&[("traceparent", TRACEPARENT), ("tracestate", "a@b@c=secret")]);
    let extraction = config().extract(&came);
    let other = opentelemetry::trace::SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        opentelemetry::trace::TraceFlags::SAMPLED,
        false,
        Default::default(),
    );
    let mut left = HeaderMap::new();
    config().inject(&extraction.context().with_remote_span_context(other), &mut left);
    assert_eq!(left.get("tracestate"), None);
    config().inject(extraction.context(), &mut left);
    assert_eq!(left.get("tracestate").map(HeaderValue::as_bytes), Some(&b"a@b@c=secret"[..]));
}

/// An allow-list, as an organisation may have one: W3C's name, and not W3C's behaviour.
#[derive(Debug)]
struct NoBaggage(Vec<String>);

impl TextMapPropagator for NoBaggage {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn a_propagator_that_a_boundary_was_given_is_called() {
    let given = NoBaggage(vec!["baggage".to_owned()]);
    let config = Config::new("test", "1").with_propagator(given);
    let came = headers(&[("traceparent", TRACEPARENT), ("baggage", "tenant=acme")]);
    assert!(config.extract(&came).context().baggage().is_empty());
}

#[test]
fn nothing_is_injected_as_nothing() {
    let mut left = headers(&[("traceparent", "by hand"), ("baggage", "stale=1")]);
    config().inject(&Context::new(), &mut left);
    // Who speaks by hand, without a provider, is left alone; baggage that isn't ours isn't sent.
    assert_eq!(left, headers(&[("traceparent", "by hand")]));
}

#[test]
fn maps_and_byte_lists_carry_it_too() {
    let map = HashMap::from([("TraceParent".to_owned(), TRACEPARENT.to_owned())]);
    let extraction = config().extract(&map);
    assert_eq!(extraction.outcome(), Outcome::Continued);

    let mut list: Vec<(String, Vec<u8>)> = vec![
        ("other".into(), b"\xff".to_vec()),
        ("traceparent".into(), b"\xff".to_vec()),
        ("Traceparent".into(), b"x".to_vec()),
    ];
    assert_eq!(config().extract(&list).outcome(), Outcome::Malformed(Malformed::Doubled));
    config().inject(extraction.context(), &mut list);
    assert_eq!(list[1], ("traceparent".into(), TRACEPARENT.as_bytes().to_vec()));
    assert_eq!(list.len(), 2);
}

#[test]
fn the_propagator_serves_code_that_never_heard_of_us() {
    let map = HashMap::from([
        ("traceparent".to_owned(), TRACEPARENT.to_owned()),
        ("tracestate".to_owned(), String::new()),
    ]);
    let context = W3cPropagator::new().extract_with_context(&Context::new(), &map);
    let mut left = HashMap::new();
    W3cPropagator::new().inject_context(&context, &mut left);
    assert_eq!(left, HashMap::from([("traceparent".to_owned(), TRACEPARENT.to_owned())]));
}

/// A format of nobody's: `x-trace: <32 hex>:<16 hex>`.
#[derive(Debug)]
struct XTrace(Vec<String>);

impl XTrace {
    fn new() -> Self {
        XTrace(vec!["x-trace".to_owned()])
    }
}

impl TextMapPropagator for XTrace {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let ids = (span.span_context().trace_id(), span.span_context().span_id());
        injector.set("x-trace", format!("{}:{}", ids.0, ids.1));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let parse = || {
            let (trace, span) = extractor.get("x-trace")?.split_once(':')?;
            let ids = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
            Some(opentelemetry::trace::SpanContext::new(
                ids.0,
                ids.1,
                opentelemetry::trace::TraceFlags::SAMPLED,
                true,
                Default::default(),
            ))
        };
        parse().map_or_else(|| context.clone(), |span| context.with_remote_span_context(span))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn another_format_is_left_to_its_propagator() {
    let config = Config::new("test", "1").with_propagator(XTrace::new());
    let value = "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331";
    let extraction = config.extract(&headers(&[("x-trace", value)]));
    assert_eq!(extraction.outcome(), Outcome::Continued);
    let mut left = headers(&[("x-trace", "stale")]);
    config.inject(extraction.context(), &mut left);
    assert_eq!(left, headers(&[("x-trace", value)]));

    let linked = config.trust(Trust::Link).extract(&headers(&[("x-trace", value)]));
    assert_eq!(linked.outcome(), Outcome::Untrusted);
}

/// The one test of this binary that sets the global propagator; the others bring their own.
#[test]
fn a_global_propagator_is_followed_once_there_is_one() {
    let config = Config::new("test", "1");
    let w3c = headers(&[("traceparent", TRACEPARENT)]);
    let other = headers(&[("x-trace", "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331")]);
    assert_eq!(config.extract(&w3c).outcome(), Outcome::Continued);
    assert_eq!(config.extract(&other).outcome(), Outcome::Absent);

    opentelemetry::global::set_text_map_propagator(XTrace::new());
    assert_eq!(config.extract(&w3c).outcome(), Outcome::Absent);
    assert_eq!(config.extract(&other).outcome(), Outcome::Continued);
}

#[test]
fn baggage_that_came_before_brings_nothing_else_of_what_came_then() {
    let config = config();
    let first = format!("00-{}-00f067aa0ba902b7-01", "1".repeat(32));
    let second = format!("00-{}-00f067aa0ba902b7-00", "2".repeat(32));
    let extract = |trace: &str, baggage: &str| {
        let came = headers(&[("traceparent", trace), ("tracestate", "v=1"), ("baggage", baggage)]);
        config.extract(&came).context().clone()
    };
    // As long, with the same byte in the middle and at the end: they take each other's place.
    let alike = ["tenant=acme,plan=a", "tenbnt=acme,plan=a", "tencnt=acme,plan=a"];
    for round in 0..3 {
        for baggage in alike {
            let trace = if round % 2 == 0 { &first } else { &second };
            let context = extract(trace, baggage);
            let printed = print(context.baggage());
            assert_eq!(printed.map(sorted), Some(sorted(baggage.to_owned())));
            assert_eq!(context.span().span_context().trace_id().to_string(), trace[3..35]);
            assert_eq!(context.span().span_context().trace_state().header(), "v=1");
        }
        let alone = config.extract(&headers(&[("baggage", alike[0])]));
        assert!(!alone.context().span().span_context().is_valid());
        let none = config.extract(&headers(&[("traceparent", &first)]));
        assert!(none.context().baggage().is_empty());
    }
    assert_eq!(extract(&first, "tenant=acme,plan=a,,=").baggage().len(), 2);
}

#[test]
fn what_a_context_holds_stays_under_baggage_that_came_before() {
    #[derive(Debug, PartialEq)]
    struct Held(u8);
    let came = headers(&[("baggage", "tenant=acme")]);
    let carrier: HashMap<String, String> =
        [("baggage".to_owned(), "tenant=acme".to_owned())].into();
    assert_eq!(config().extract(&came).context().baggage().len(), 1);
    let base = Context::new().with_value(Held(7));
    let context = W3cPropagator::new().extract_with_context(&base, &carrier);
    assert_eq!(context.get::<Held>(), Some(&Held(7)));
    assert_eq!(context.baggage().len(), 1);
}

fn sorted(header: String) -> Vec<String> {
    let mut members: Vec<_> = header.split(',').map(str::to_owned).collect();
    members.sort();
    members
}
