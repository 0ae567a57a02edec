//! Header maps, short ones and full ones.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use throughline_core::codec::traceparent::Malformed;
use throughline_core::{Config, Outcome, ReadCarrier, W3cPropagator, WriteCarrier};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn config() -> Config {
    Config::new("test", "1").with_propagator(W3cPropagator::new())
}

/// `others` headers that mean nothing, with these among them.
fn among(others: usize, pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pad = |headers: &mut HeaderMap, from: usize, to: usize| {
        for i in from..to {
            let name = HeaderName::try_from(format!("x-other-{i}")).expect("a name");
            headers.insert(name, HeaderValue::from_static("of no interest"));
        }
    };
    pad(&mut headers, 0, others / 2);
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    pad(&mut headers, others / 2, others);
    headers
}

/// Short enough to be passed through, at the limit, and too long for that.
const OTHERS: [usize; 6] = [0, 3, 5, 6, 7, 40];

#[test]
fn every_value_of_every_name_is_visited_however_many_headers_there_are() {
    let names = ["traceparent", "tracestate", "baggage"].map(HeaderName::from_static);
    for others in OTHERS {
        let headers = among(
            others,
            &[
                ("baggage", "b=1"),
                ("tracestate", "s=1"),
                ("traceparent", "first"),
                ("tracestate", "s=2"),
                ("traceparent", "second"),
            ],
        );
        let mut seen: [Vec<&[u8]>; 3] = Default::default();
        headers.visit_each(names.each_ref(), |place, value| seen[place].push(value));
        let expected: [Vec<&[u8]>; 3] =
            [vec![b"first", b"second"], vec![b"s=1", b"s=2"], vec![b"b=1"]];
        assert_eq!(seen, expected, "among {others} others");
    }
}

#[test]
fn a_context_travels_whole_however_many_headers_there_are() {
    for others in OTHERS {
        let came = among(
            others,
            &[
                ("traceparent", TRACEPARENT),
                ("tracestate", "a=1"),
                ("tracestate", "b=2"),
                ("baggage", "tenant=acme"),
                ("baggage", "shop=7"),
            ],
        );
        let extraction = config().extract(&came);
        assert_eq!(extraction.outcome(), Outcome::Continued, "among {others} others");
        let context = extraction.context();
        assert_eq!(context.span().span_context().trace_state().header(), "a=1,b=2");
        assert_eq!(context.baggage().len(), 2);

        let doubled = [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)];
        let outcome = config().extract(&among(others, &doubled)).outcome();
        assert_eq!(outcome, Outcome::Malformed(Malformed::Doubled), "among {others} others");
    }
}

#[test]
fn what_is_stale_goes_however_many_headers_there_are() {
    let fresh = config().extract(&among(0, &[("traceparent", TRACEPARENT)]));
    for others in OTHERS {
        let stale = [("traceparent", "1"), ("tracestate", "s=1"), ("baggage", "b=1")];
        let twice = [stale, stale].concat();
        let mut left = among(others, &twice);
        config().inject(fresh.context(), &mut left);
        assert_eq!(left, among(others, &[("traceparent", TRACEPARENT)]), "among {others} others");
    }
}

#[test]
fn a_map_that_holds_all_it_can_drops_the_trace_and_goes_on() {
    let mut full = HeaderMap::new();
    for i in 0..u32::MAX {
        let name = HeaderName::try_from(format!("x-{i}")).expect("a name");
        if full.try_append(name, HeaderValue::from_static("x")).is_err() {
            break;
        }
    }
    let held = full.len();
    assert!(held > 20_000, "{held}");
    WriteCarrier::replace(&mut full, &HeaderName::from_static("traceparent"), TRACEPARENT);
    assert_eq!(full.len(), held);

    let context: Context =
        config().extract(&among(0, &[("traceparent", TRACEPARENT)])).context().clone();
    config().inject(&context, &mut full);
    assert_eq!(full.len(), held);

    // A stale context must not pass for the one that had no room.
    full.remove("x-1");
    full.insert("traceparent", HeaderValue::from_static("stale"));
    WriteCarrier::replace(&mut full, &HeaderName::from_static("traceparent"), TRACEPARENT);
    assert!(full.get("traceparent").is_none_or(|value| value == TRACEPARENT));
}
