//! Formats together, over carriers and as the propagator of others.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use proptest::prelude::*;
use throughline_core::codec::Malformed;
use throughline_core::{Config, Description, End, Format, Formats, Outcome, Propagate, Trust};

use crate::grammar;

const W3C: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const B3: &str = "463ac35c9f6413ad48485a3953bb6124-0020000000000001-1";
const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
const ALL: [Format; 5] =
    [Format::TraceContext, Format::Baggage, Format::B3, Format::B3Multi, Format::XRay];

type Pairs<'a> = &'a [(&'a str, &'a str)];
type Headers = Vec<(String, String)>;

fn headers(pairs: Pairs<'_>) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sorted(mut headers: Headers) -> Headers {
    headers.sort();
    headers
}

fn speaking(formats: &[Format]) -> Config {
    Config::new("test", "1").with_propagator(Formats::new(formats.iter().copied()))
}

fn sent(formats: &[Format], context: &Context) -> Headers {
    let mut left = Headers::new();
    speaking(formats).inject(context, &mut left);
    left
}

fn caller(trace: u128, flags: u8) -> Context {
    let (trace, span) = (TraceId::from(trace), SpanId::from(7));
    let flags = TraceFlags::new(flags);
    Context::new().with_remote_span_context(SpanContext::new(
        trace,
        span,
        flags,
        true,
        Default::default(),
    ))
}

#[test]
fn each_format_is_sent_as_its_own_headers_and_no_others() {
    let context = caller(1, 1).with_baggage([KeyValue::new("k", "v")]);
    let (trace, span) = ("00000000000000000000000000000001", "0000000000000007");
    let cases: [(&[Format], Pairs<'_>); 6] = [
        (
            &[Format::TraceContext],
            &[("traceparent", "00-00000000000000000000000000000001-0000000000000007-01")],
        ),
        (&[Format::Baggage], &[("baggage", "k=v")]),
        (&[Format::B3], &[("b3", "00000000000000000000000000000001-0000000000000007-1")]),
        (
            &[Format::B3Multi],
            &[("x-b3-sampled", "1"), ("x-b3-spanid", span), ("x-b3-traceid", trace)],
        ),
        (
            &[Format::XRay],
            &[(
                "x-amzn-trace-id",
                "Root=1-00000000-000000000000000000000001;Parent=0000000000000007;Sampled=1",
            )],
        ),
        (&[], &[]),
    ];
    for (formats, expected) in cases {
        assert_eq!(sorted(sent(formats, &context)), headers(expected), "{formats:?}");
    }
}

#[test]
fn the_first_format_with_a_valid_trace_is_followed() {
    let came = headers(&[("traceparent", W3C), ("b3", B3), ("x-amzn-trace-id", XRAY)]);
    for (formats, trace) in [
        ([Format::TraceContext, Format::B3, Format::XRay], &W3C[3..35]),
        ([Format::B3, Format::XRay, Format::TraceContext], &B3[..32]),
        ([Format::XRay, Format::TraceContext, Format::B3], "5759e988bd862e3fe1be46a994272793"),
    ] {
        let extraction = speaking(&formats).extract(&came);
        let found = extraction.context().span().span_context().trace_id().to_string();
        assert_eq!(found, trace, "{formats:?}");
    }
}

#[test]
fn a_format_that_is_malformed_does_not_stand_before_one_that_is_valid() {
    let config = speaking(&[Format::TraceContext, Format::B3, Format::Baggage]);
    let came = headers(&[("traceparent", "00-broken"), ("b3", B3), ("baggage", "tenant=acme")]);
    let extraction = config.extract(&came);
    assert_eq!(extraction.outcome(), Outcome::Continued);
    assert_eq!(extraction.context().baggage().len(), 1);

    let came = headers(&[("traceparent", "00-broken"), ("b3", "x"), ("baggage", "tenant=acme")]);
    let extraction = config.extract(&came);
    assert_eq!(extraction.outcome(), Outcome::Malformed(Malformed::Length));
    assert!(!extraction.context().span().span_context().is_valid());
    assert_eq!(extraction.context().baggage().len(), 1);
}

#[test]
fn what_another_format_tells_of_the_same_span_is_not_lost() {
    let b3 = format!("{}-{}-d", &W3C[3..35], &W3C[36..52]);
    let random = W3C.replace("-01", "-03");
    let xray = format!(
        "Root=1-{}-{};Parent={};Sampled=1;Lineage=a:1",
        &W3C[3..11],
        &W3C[11..35],
        &W3C[36..52]
    );
    let came = headers(&[
        ("b3", &b3),
        ("traceparent", &random),
        ("tracestate", "ot=th:8"),
        ("x-amzn-trace-id", &xray),
    ]);
    let mut formats = [Format::TraceContext, Format::B3, Format::XRay];
    for _ in 0..formats.len() {
        formats.rotate_left(1);
        let extraction = speaking(&formats).extract(&came);
        let left = sorted(sent(&formats, extraction.context()));
        assert_eq!(left, sorted(came.clone()), "{formats:?}");
    }
    // Of another span it tells nothing.
    let other = headers(&[("b3", B3), ("traceparent", &random), ("tracestate", "ot=th:8")]);
    let formats = [Format::B3, Format::TraceContext];
    let left = sorted(sent(&formats, speaking(&formats).extract(&other).context()));
    let as_w3c = format!("00-{}-{}-01", &B3[..32], &B3[33..49]);
    assert_eq!(left, headers(&[("b3", B3), ("traceparent", &as_w3c)]));
}

#[test]
fn b3_is_read_from_the_single_header_then_from_the_several() {
    let several = [("X-B3-TraceId", "64fe8b2a57d3eff7"), ("X-B3-SpanId", "e457b5a2e4d86bd1")];
    let trace = |format, more: &[(&str, &str)]| {
        let extraction = speaking(&[format]).extract(&headers(&[&several[..], more].concat()));
        extraction.context().span().span_context().trace_id().to_string()
    };
    for format in [Format::B3, Format::B3Multi] {
        let padded = "000000000000000064fe8b2a57d3eff7";
        assert_eq!(trace(format, &[]), padded);
        assert_eq!(trace(format, &[("b3", B3)]), B3[..32]);
        assert_eq!(trace(format, &[("b3", "broken")]), padded);
        assert_eq!(trace(format, &[("b3", B3), ("b3", B3)]), padded);
    }
    let mut doubled = headers(&several);
    doubled.push(doubled[0].clone());
    let outcome = speaking(&[Format::B3]).extract(&doubled).outcome();
    assert_eq!(outcome, Outcome::Malformed(Malformed::Doubled));
    let doubled = headers(&[("x-amzn-trace-id", XRAY), ("x-amzn-trace-id", XRAY)]);
    let outcome = speaking(&[Format::XRay]).extract(&doubled).outcome();
    assert_eq!(outcome, Outcome::Malformed(Malformed::Doubled));
}

#[test]
fn what_opentelemetry_cannot_hold_goes_on_all_the_same() {
    let pass = |formats: &[Format], name: &str, value: &str| {
        let extraction = speaking(formats).extract(&headers(&[(name, value)]));
        sent(formats, extraction.context())
    };
    let debug = "463ac35c9f6413ad48485a3953bb6124-0020000000000001-d";
    assert_eq!(pass(&[Format::B3], "b3", debug), headers(&[("b3", debug)]));
    let deferred = &debug[..49];
    assert_eq!(pass(&[Format::B3], "b3", deferred), headers(&[("b3", deferred)]));
    let several = [
        ("x-b3-flags", "1"),
        ("x-b3-spanid", "0020000000000001"),
        ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
    ];
    assert_eq!(sorted(pass(&[Format::B3Multi], "b3", debug)), headers(&several));
    assert_eq!(sorted(pass(&[Format::B3Multi], "b3", deferred)), headers(&several[1..]));
    let lineage = format!("{XRAY};Lineage=a87bd80c:1|68fd508a:5");
    let xray = "x-amzn-trace-id";
    assert_eq!(pass(&[Format::XRay], xray, &lineage), headers(&[(xray, &lineage)]));
    let asked = XRAY.replace("Sampled=1", "Sampled=?");
    let left = XRAY.replace(";Sampled=1", "");
    assert_eq!(pass(&[Format::XRay], xray, &asked), headers(&[(xray, &left)]));
}

#[test]
fn what_came_with_another_trace_or_span_is_not_said_of_this_one() {
    let speaks = [Format::B3];
    let debug = headers(&[("b3", "463ac35c9f6413ad48485a3953bb6124-0020000000000001-d")]);
    let came = speaking(&speaks).extract(&debug).context().clone();
    let other = caller(1, 1).span().span_context().clone();
    let other = came.with_remote_span_context(other);
    assert!(sent(&speaks, &other)[0].1.ends_with("-1"), "debug belongs to its trace");

    let deferred = headers(&[("b3", "463ac35c9f6413ad48485a3953bb6124-0020000000000001")]);
    let came = speaking(&speaks).extract(&deferred).context().clone();
    let own = caller(0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124, 1).span().span_context().clone();
    let own = came.with_remote_span_context(own);
    assert!(sent(&speaks, &own)[0].1.ends_with("-1"), "a span of our own has decided");
}

#[test]
fn a_decision_without_a_trace_is_obeyed_if_it_is_no() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let config = speaking(&[Format::B3]).with_tracer_provider(&provider);
    for (name, value, recorded) in [
        ("b3", "0", 0),
        ("x-b3-sampled", "0", 0),
        ("x-b3-sampled", "false", 0),
        ("b3", "1", 1),
        ("b3", "d", 1),
        ("x-b3-flags", "1", 1),
    ] {
        exporter.reset();
        let extraction = config.extract(&headers(&[(name, value)]));
        assert_eq!(extraction.outcome(), Outcome::Absent, "{name}: {value}");
        let mut span =
            config.receive(extraction, SpanKind::Server, || Description::new("serve", 1));
        let onward = span.enter(|| {
            let call = config.send(SpanKind::Client, || Description::new("call", 1));
            let mut left = Headers::new();
            config.inject(call.context(), &mut left);
            call.end(End::Completed);
            left
        });
        span.end(End::Completed);
        let spans = exporter.get_finished_spans().expect("no poisoned lock");
        assert_eq!(spans.len(), 2 * recorded, "{name}: {value}");
        assert!(grammar::is_b3(&onward[0].1), "{onward:?}");
        assert!(onward[0].1.ends_with(if recorded == 0 { "-0" } else { "-1" }), "{onward:?}");
    }
    // A trace that is there goes before it; and two that are denied are two.
    let both = speaking(&[Format::B3, Format::XRay])
        .extract(&headers(&[("b3", "0"), ("x-amzn-trace-id", XRAY)]));
    assert_eq!(both.outcome(), Outcome::Continued);
    let denied = || sent(&[Format::B3], config.extract(&headers(&[("b3", "0")])).context());
    assert_ne!(denied(), denied());

    // Nobody outside decides what is stored here, neither this way.
    let edge = speaking(&[Format::B3]).trust(Trust::Link).extract(&headers(&[("b3", "0")]));
    assert!(!edge.context().span().span_context().is_valid());
}

#[test]
fn carriers_that_are_used_again_carry_one_context() {
    let context = caller(1, 1);
    for formats in [&ALL[2..3], &ALL[3..4], &ALL[4..], &ALL[..]] {
        let clean = sorted(sent(formats, &context));
        let mut left = headers(&[
            ("Traceparent", W3C),
            ("Tracestate", "stale=1"),
            ("Baggage", "stale=1"),
            ("B3", "0"),
            ("X-B3-TraceId", "64fe8b2a57d3eff7"),
            ("X-B3-SpanId", "e457b5a2e4d86bd1"),
            ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90"),
            ("X-B3-Sampled", "0"),
            ("X-B3-Flags", "1"),
            ("X-Amzn-Trace-Id", XRAY),
        ]);
        let others = left.clone();
        speaking(formats).inject(&context, &mut left);
        left.retain(|header| !others.contains(header));
        assert_eq!(sorted(left.clone()), clean, "{formats:?}");
        // The receiver finds this context, and nothing of the one before.
        let found = speaking(formats).extract(&left);
        assert_eq!(found.context().span().span_context(), context.span().span_context());
    }
    let mut left = headers(&[("b3", "0"), ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90")]);
    speaking(&[Format::B3Multi]).inject(&context, &mut left);
    let names: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]);
}

#[test]
fn nothing_is_injected_as_nothing() {
    assert_eq!(sent(&ALL, &Context::new()), Headers::new());
    let by_hand = headers(&[("b3", B3)]);
    let mut left = by_hand.clone();
    speaking(&[Format::B3]).inject(&Context::new(), &mut left);
    assert_eq!(left, by_hand);
}

#[test]
fn a_message_that_an_outer_layer_sent_is_known_by_its_header() {
    let provider = SdkTracerProvider::builder().build();
    for format in [Format::B3, Format::B3Multi, Format::XRay] {
        let config = speaking(&[format]).with_tracer_provider(&provider);
        let mut outer = config.send(SpanKind::Client, || Description::new("call", 1));
        let mut left = Headers::new();
        config.inject(outer.context(), &mut left);
        assert!(!config.is_sent(&left));
        assert!(outer.enter(|| config.is_sent(&left)), "{format:?}");
    }
}

#[test]
fn the_list_serves_code_that_never_heard_of_us() {
    let formats = Formats::new(ALL);
    let fields: Vec<_> = formats.fields().collect();
    assert_eq!(
        fields,
        [
            "traceparent",
            "tracestate",
            "baggage",
            "b3",
            "x-b3-traceid",
            "x-b3-spanid",
            "x-b3-sampled",
            "x-b3-flags",
            "x-b3-parentspanid",
            "x-amzn-trace-id",
        ]
    );
    let map =
        HashMap::from([("b3".to_owned(), B3.to_owned()), ("baggage".to_owned(), "k=v".to_owned())]);
    let context = formats.extract_with_context(&Context::new(), &map);
    let mut left = HashMap::new();
    formats.inject_context(&context, &mut left);
    assert_eq!(left["b3"], B3);
    assert_eq!(left["traceparent"], "00-463ac35c9f6413ad48485a3953bb6124-0020000000000001-01");
    assert!(!left.contains_key("tracestate"));
    assert_eq!(left["baggage"], "k=v");
}

#[test]
fn a_failed_extract_leaves_what_is_valid() {
    let base = caller(1, 1).with_baggage([KeyValue::new("k", "v")]);
    for (name, value) in [
        ("b3", "broken"),
        ("b3", "0"),
        ("x-amzn-trace-id", "broken"),
        ("traceparent", "broken"),
        ("tracestate", "a=1"),
        ("baggage", ""),
        ("baggage", ",,"),
        ("baggage", "broken"),
    ] {
        let map = HashMap::from([(name.to_owned(), value.to_owned())]);
        let context = Formats::new(ALL).extract_with_context(&base, &map);
        assert_eq!(context.span().span_context(), base.span().span_context(), "{name}: {value}");
        assert_eq!(context.baggage().len(), 1, "{name}: {value}");
    }
}

#[test]
fn names_are_those_of_the_environment() {
    for format in ALL {
        assert_eq!(Format::named(format.name()), Some(format));
        assert_eq!(Format::named(&format.name().to_uppercase()), Some(format));
    }
    assert_eq!(Format::named("jaeger"), None);
    let twice = Formats::new([Format::B3, Format::Baggage, Format::B3]);
    assert_eq!(twice.fields().collect::<Vec<_>>(), ["b3", "baggage"]);
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(W3C.to_owned()),
        Just(B3.to_owned()),
        Just(XRAY.to_owned()),
        Just("463ac35c9f6413ad48485a3953bb6124-0020000000000001-d".to_owned()),
        Just("463ac35c9f6413ad".to_owned()),
        "[01d]|true|false",
        "[0-9a-f]{16}(-[0-9a-f]{16}(-[01d])?)?",
        "Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16}(;Sampled=[01?])?(;Lineage=[ -~]{0,9})?",
        "([a-z0-9@]{1,3}=[ -~]{1,4},){0,40}",
        "([a-z%]{1,3}=[ -~]{1,9}(;[ -~]{0,9}){0,2},){0,80}",
        any::<String>(),
    ]
}

fn carried() -> impl Strategy<Value = Headers> {
    let names = Formats::new(ALL).fields().map(str::to_owned).collect::<Vec<_>>();
    let header = (prop::sample::select(names), value());
    proptest::collection::vec(header, 0..9)
}

fn members(headers: Headers) -> Headers {
    // Baggage has no order.
    let sort = |(name, value): (String, String)| {
        if name != "baggage" {
            return (name, value);
        }
        let mut members: Vec<&str> = value.split(',').collect();
        members.sort_unstable();
        (name, members.join(","))
    };
    sorted(headers.into_iter().map(sort).collect())
}

proptest! {
    #[test]
    fn what_is_injected_is_a_fixed_point_and_of_its_grammar(
        came in carried(),
        formats in prop::sample::subsequence(ALL.to_vec(), 0..=5).prop_shuffle(),
    ) {
        let config = speaking(&formats);
        // As a propagator: a message that leaves through a boundary has an id of its own.
        let printed = |context: &Context| {
            let mut left = HashMap::<String, String>::new();
            Formats::new(formats.iter().copied()).inject_context(context, &mut left);
            left.into_iter().collect::<Headers>()
        };
        let once = printed(config.extract(&came).context());
        for (name, value) in &once {
            let is_valid = match name.as_str() {
                "traceparent" => grammar::is_traceparent(value),
                "tracestate" => grammar::is_tracestate(value),
                "baggage" => grammar::is_baggage(value),
                "b3" => grammar::is_b3(value),
                "x-amzn-trace-id" => grammar::is_xray(value),
                "x-b3-traceid" => value.len() == 32,
                "x-b3-spanid" => value.len() == 16,
                "x-b3-sampled" => value == "0" || value == "1",
                "x-b3-flags" => value == "1",
                _ => false,
            };
            prop_assert!(is_valid, "{name}: {value:?}");
        }
        let twice = printed(config.extract(&once).context());
        prop_assert_eq!(members(once), members(twice));
    }

    #[test]
    fn no_bytes_panic(
        came in proptest::collection::vec(("[a-z0-9-]{0,9}|b3|baggage|x-amzn-trace-id|traceparent",
            proptest::collection::vec(any::<u8>(), 0..80)), 0..9),
    ) {
        let _ = speaking(&ALL).extract(&came);
    }
}

#[test]
fn an_unsampled_message_leaves_with_one_id_of_its_own_in_every_format() {
    let speaks = [Format::TraceContext, Format::B3, Format::B3Multi, Format::XRay];
    let came = headers(&[("b3", "463ac35c9f6413ad48485a3953bb6124-0020000000000001-0")]);
    let left = sent(&speaks, speaking(&speaks).extract(&came).context());
    let of = |name: &str| left.iter().find(|(it, _)| it == name).expect("sent").1.clone();
    let id = of("x-b3-spanid");
    assert_ne!(id, "0020000000000001");
    assert_eq!(of("traceparent")[36..52], id);
    assert_eq!(of("b3")[33..49], id);
    assert!(of("x-amzn-trace-id").contains(&format!("Parent={id}")));
}

#[test]
fn nothing_of_another_form_stays_beside_what_is_sent() {
    let stale = [
        ("b3", "463ac35c9f6413ad48485a3953bb6124-0020000000000001-1"),
        ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
        ("x-b3-spanid", "0020000000000001"),
        ("x-b3-sampled", "1"),
        ("x-b3-parentspanid", "0020000000000002"),
        ("x-kept", "yes"),
    ];
    for format in [Format::B3, Format::B3Multi] {
        let mut carrier = headers(&stale);
        speaking(&[format]).inject(&caller(1, 1), &mut carrier);
        let left = carrier.iter().filter(|(_, value)| value.contains("463ac35c9f64"));
        assert_eq!(left.count(), 0, "{format:?}: {carrier:?}");
        assert!(!carrier.iter().any(|(name, _)| name == "x-b3-parentspanid"));

        let mut carrier = headers(&stale);
        speaking(&[format]).inject_as(&caller(1, 1), &mut carrier, Propagate::Nothing);
        assert_eq!(carrier, headers(&[("x-kept", "yes")]), "{format:?}");
    }
}

#[test]
fn of_b3s_state_the_first_holds_and_two_ids_are_two_traces() {
    let ids =
        [("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"), ("x-b3-spanid", "0020000000000001")];
    let mut came = headers(&ids);
    came.extend(headers(&[("x-b3-sampled", "1"), ("x-b3-sampled", "0")]));
    let extraction = speaking(&[Format::B3Multi]).extract(&came);
    assert_eq!(extraction.outcome(), Outcome::Continued);
    assert!(extraction.context().span().span_context().is_sampled());
    came.extend(headers(&ids[1..]));
    let outcome = speaking(&[Format::B3Multi]).extract(&came).outcome();
    assert_eq!(outcome, Outcome::Malformed(Malformed::Doubled));
}

#[test]
fn what_an_earlier_message_of_a_trace_said_is_not_said_by_a_later_one() {
    let formats = Formats::new([Format::B3, Format::TraceContext]);
    let carrier = |pairs: Pairs<'_>| headers(pairs).into_iter().collect::<HashMap<_, _>>();
    let ids = "463ac35c9f6413ad48485a3953bb6124-0020000000000001";
    let first = carrier(&[("b3", &format!("{ids}-d"))]);
    let base = formats.extract_with_context(&Context::new(), &first);
    let second = carrier(&[("b3", &format!("{ids}-0"))]);
    let context = formats.extract_with_context(&base, &second);
    let mut left = HashMap::<String, String>::new();
    formats.inject_context(&context, &mut left);
    assert_eq!(left["b3"], format!("{ids}-0"));

    let first = carrier(&[("traceparent", W3C), ("tracestate", "a@b@c=old")]);
    let base = formats.extract_with_context(&Context::new(), &first);
    let context = formats.extract_with_context(&base, &carrier(&[("traceparent", W3C)]));
    let mut left = HashMap::<String, String>::new();
    formats.inject_context(&context, &mut left);
    assert!(!left.contains_key("tracestate"), "{left:?}");
}
