//! OTLP JSON lines: read as the Collector writes them, written as it would.

mod common;

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use throughline_lineage::otlp::{ReadError, Reader, read, write};
use throughline_lineage::{
    AnyValue, Attributes, Event, Forest, Kind, Link, Resource, Scope, Settings, Span, Status,
};

// What a Collector 0.145.0 wrote: of a span with every kind of value, as it came in; of an order of
// the demo, but for the other orders and the name of the host; and of values that JSON, protobuf
// and Go each see in their own way. `integration-tests/native/test` sends the first again.
const COLLECTOR: &str = include_str!("data/collector.jsonl");
const DEMO: &str = include_str!("data/demo.jsonl");
const ODD: &str = include_str!("data/odd.jsonl");

fn line(span: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"scope":{{}},"spans":[{span}]}}]}}]}}"#
    )
}

const IDS: &str = r#""traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7""#;

#[test]
fn a_line_of_the_collector_is_read_whole() {
    let spans = read(COLLECTOR.as_bytes()).unwrap();
    let [server, audit] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(server.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(server.span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(server.parent.unwrap().to_string(), "53995c3f42cd8ad8");
    assert_eq!((server.trace_state.as_str(), server.flags & 0xff), ("ot=th:8", 1));
    assert_eq!(server.parent_is_remote(), Some(true));
    assert_eq!((server.name.as_str(), server.kind), ("POST /orders", Kind::Server));
    assert_eq!(server.start_time_unix_nano, 1_790_000_000_123_456_789);
    assert_eq!(server.duration().as_millis(), 100);
    assert_eq!(server.attributes.get_int("http.response.status_code"), Some(503));
    assert_eq!(server.attributes.get("sampled.share"), Some(&AnyValue::Double(0.25)));
    assert_eq!(server.attributes.get("retried"), Some(&AnyValue::Bool(true)));
    let digest = AnyValue::Bytes(vec![0xde, 0xad, 0xbe, 0xef]);
    assert_eq!(server.attributes.get("digest"), Some(&digest));
    assert_eq!(server.attributes.get("nothing"), Some(&AnyValue::Empty));
    let gold = AnyValue::Map([("tier", "gold")].into_iter().collect());
    assert_eq!(server.attributes.get("labels"), Some(&gold));
    assert_eq!(server.dropped_attributes_count, 2);
    assert_eq!((server.events.len(), server.events[0].name.as_str()), (1, "retry"));
    assert_eq!(server.links[0].span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(server.links[0].attributes.get_str("why"), Some("edge"));
    assert_eq!(server.status, Status::Error("no stock".to_owned()));
    assert_eq!(server.service(), Some("orders"));
    assert_eq!(
        (server.scope.name.as_str(), server.scope.version.as_str()),
        ("throughline-tower", "0.1.0")
    );
    assert_eq!(server.scope.schema_url, "https://opentelemetry.io/schemas/1.45.0");

    assert_eq!((audit.parent, audit.parent_is_remote()), (Some(server.span_id), Some(false)));
    assert_eq!((audit.kind, &audit.status), (Kind::Internal, &Status::Unset));
    assert!(Arc::ptr_eq(&audit.resource, &server.resource), "neighbours share their resource");
}

#[test]
fn an_order_that_went_through_the_collector_is_whole() {
    let forest = Forest::new(read(DEMO.as_bytes()).unwrap());
    let [order] = forest.traces() else { panic!("{} traces", forest.traces().len()) };
    assert_eq!(
        order.outline(),
        "\
POST /orders server [gateway]
  POST client [gateway]
    POST /orders server [orders]
      reserve internal [orders]
      POST client [orders]
        POST /shipments server [fulfilment]
          pack internal [fulfilment]
          POST client [fulfilment]
            POST /orders/{id}/state server [gateway]
      audit internal [orders]
"
    );
    assert!(forest.judge(&Settings::complete()).is_unbroken());
    let root = &read(DEMO.as_bytes()).unwrap()[0];
    assert_eq!(root.resource.schema_url, "https://opentelemetry.io/schemas/1.45.0");
}

#[test]
fn odd_values_of_the_collector_are_read() {
    let spans = read(ODD.as_bytes()).unwrap();
    let [odd] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(odd.name, "<a>&b\u{2028}é\u{1}\n");
    assert_eq!((odd.kind, odd.start_time_unix_nano, &odd.status), (Kind::Internal, 0, &Status::Ok));
    let double = |key: &str| match odd.attributes.get(key) {
        Some(AnyValue::Double(value)) => *value,
        other => panic!("{key} is {other:?}"),
    };
    assert_eq!((double("d1"), double("d2"), double("d4")), (1.0, 1e300, 1e-7));
    assert!(double("d3").is_nan());
    assert_eq!(odd.attributes.get_str("s"), Some(""));
    assert_eq!(odd.attributes.get("b"), Some(&AnyValue::Bool(false)));
    assert_eq!(odd.attributes.get_int("i"), Some(-3));
    assert_eq!(odd.attributes.get("m"), Some(&AnyValue::Map(Attributes::default())));
    assert_eq!(odd.attributes.get("y"), Some(&AnyValue::Bytes(Vec::new())));
    assert_eq!(odd.scope.attributes.get("a"), Some(&AnyValue::Array(Vec::new())));
    assert_eq!((odd.dropped_events_count, odd.dropped_links_count), (4, 5));
    assert_eq!(odd.events[0].dropped_attributes_count, 2);
    assert_eq!(odd.links[0].trace_state, "a=b");
    assert_eq!(odd.resource.schema_url, "r");
}

#[test]
fn it_is_written_again_byte_for_byte() {
    for text in [COLLECTOR, DEMO] {
        let mut written = Vec::new();
        write(&mut written, &read(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), text);
    }
    let mut nothing = Vec::new();
    write(&mut nothing, []).unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn what_other_exporters_write_is_read_too() {
    // Numbers as numbers, enums by name, nulls, empty and zero parents, unknown fields, CRLF.
    let text = [
        line(&format!(
            r#"{{{IDS},"parentSpanId":"","kind":"SPAN_KIND_CONSUMER","startTimeUnixNano":5,"endTimeUnixNano":"7","attributes":[{{"key":"n","value":{{"intValue":3}}}},{{"key":"d","value":{{"doubleValue":"NaN"}}}},{{"key":"s","value":{{"stringValue":null,"futureValue":1}}}},{{"key":"v","value":null}}],"status":{{"code":"STATUS_CODE_OK","message":null}},"events":null,"droppedLinksCount":"3","brandNew":{{"a":[1]}}}}"#
        )),
        String::new(),
        line(&format!(r#"{{{IDS},"parentSpanId":"0000000000000000","name":null,"status":null}}"#)),
        r#"{"resourceSpans":[{"resource":null,"scopeSpans":null},{"scopeSpans":[{"scope":null,"spans":null}]}]}"#.to_owned(),
        "{}".to_owned(),
    ]
    .join("\r\n");
    let spans = read(text.as_bytes()).unwrap();
    assert_eq!(spans.len(), 2);
    let span = &spans[0];
    assert_eq!((span.parent, span.kind, &span.status), (None, Kind::Consumer, &Status::Ok));
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (5, 7));
    assert_eq!(span.attributes.get_int("n"), Some(3));
    assert!(matches!(span.attributes.get("d"), Some(AnyValue::Double(d)) if d.is_nan()));
    assert_eq!(span.attributes.get("s"), Some(&AnyValue::Empty));
    assert_eq!(span.attributes.get("v"), Some(&AnyValue::Empty));
    assert_eq!(span.dropped_links_count, 3);
    assert_eq!(spans[1].parent, None);
}

#[test]
fn malformed_lines_are_named_with_what_is_wrong() {
    for (bad, wanted) in [
        ("{", "EOF"),
        ("[]", "does not begin with `{`"),
        ("\u{feff}{}", "does not begin with `{`"),
        (&line(r#"{"spanId":"00f067aa0ba902b7"}"#), "missing field `traceId`"),
        (&line(r#"{"traceId":"4bf9","spanId":"00f067aa0ba902b7"}"#), "trace id `4bf9` is not 32"),
        (
            &line(r#"{"traceId":"S/kvNXezTaajzpKdDg5HNg==","spanId":"00f067aa0ba902b7"}"#),
            "not in base64",
        ),
        (
            &line(&format!(r#"{{"traceId":"{}","spanId":"00f067aa0ba902b7"}}"#, "0".repeat(32))),
            "trace id is all zeros",
        ),
        (&line(&format!(r#"{{{IDS},"parentSpanId":"xyz"}}"#)), "parent span id `xyz`"),
        (&line(&format!(r#"{{{IDS},"kind":9}}"#)), "span kind `9`"),
        (&line(&format!(r#"{{{IDS},"kind":"SERVER"}}"#)), "span kind `SERVER`"),
        (&line(&format!(r#"{{{IDS},"status":{{"code":7}}}}"#)), "status code `7`"),
        (&line(&format!(r#"{{{IDS},"startTimeUnixNano":"soon"}}"#)), r#""soon""#),
        (&line(&format!(r#"{{{IDS},"startTimeUnixNano":"-1"}}"#)), "-1 does not fit u64"),
        (&line(&format!(r#"{{{IDS},"flags":4294967296}}"#)), "4294967296 does not fit u32"),
        (
            &line(&format!(
                r#"{{{IDS},"attributes":[{{"key":"b","value":{{"bytesValue":"???"}}}}]}}"#
            )),
            "bytesValue `???` is not base64",
        ),
        (&line(&format!(r#"{{{IDS},"attributes":{}1{}}}"#, "[".repeat(999), "]".repeat(999))), ""),
    ] {
        let text = format!("{COLLECTOR}\n{bad}\n");
        let error = read(text.as_bytes()).unwrap_err();
        assert!(matches!(error, ReadError::Malformed { line: 3, column: 1.., .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with("line 3, column "), "{message}");
        assert!(message.contains(wanted), "`{wanted}` is not in: {message}");
        assert!(!message.contains("at line 1"), "{message}");
    }
}

#[test]
fn another_signal_is_named() {
    let error = read(br#"{"resourceMetrics":[]}"#.as_slice()).unwrap_err();
    assert!(error.to_string().contains("holds metrics, not traces"), "{error}");
    let error = read(br#"{"resourceLogs":[]}"#.as_slice()).unwrap_err();
    assert!(error.to_string().contains("holds logs, not traces"), "{error}");
}

#[test]
fn a_reader_goes_on_after_a_bad_line_but_not_after_a_bad_input() {
    let half = &COLLECTOR[..COLLECTOR.len() / 2];
    let text = format!("{half}\n{COLLECTOR}{half}");
    let lines: Vec<_> =
        Reader::new(text.as_bytes()).map(|line| line.map(|s| s.len()).ok()).collect();
    assert_eq!(lines, [None, Some(2), None]);

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let mut reader = Reader::new(BufReader::new(Broken));
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "line 1 could not be read: the disk is gone");
    assert!(reader.next().is_none());
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        any::<String>().prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        prop_oneof![
            any::<f64>().prop_filter("NaN is not itself", |d| !d.is_nan()),
            Just(f64::INFINITY)
        ]
        .prop_map(AnyValue::Double),
        any::<Vec<u8>>().prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AnyValue::Array),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| AnyValue::Map(pairs.into_iter().collect())),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec((any::<String>(), any_value()), 0..4)
        .prop_map(|pairs| pairs.into_iter().collect())
}

prop_compose! {
    fn any_span()(
        ids in (1_u8.., 1_u8.., prop::option::of(1_u8..)),
        texts in (any::<String>(), any::<String>(), any::<String>()),
        kind in prop::sample::select(vec![Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer]),
        numbers in any::<(u64, u64, u32, u32)>(),
        status in prop_oneof![Just(Status::Unset), Just(Status::Ok), any::<String>().prop_map(Status::Error)],
        own in attributes(),
        other in attributes(),
    ) -> Span {
        let (name, state, scope) = texts;
        let mut span = span(ids.0, ids.1, &name).kind(kind);
        span.parent = ids.2.map(id);
        span.trace_state = state;
        (span.start_time_unix_nano, span.end_time_unix_nano) = (numbers.0, numbers.1);
        (span.flags, span.dropped_events_count) = (numbers.2, numbers.3);
        span.status = status;
        span.attributes = own.clone();
        span.events.push(Event { time_unix_nano: numbers.1, name, attributes: other.clone(), ..Event::default() });
        span.links.push(Link { attributes: other.clone(), ..Link::new(trace(7), id(7)) });
        span.resource = Arc::new(Resource { attributes: own, dropped_attributes_count: numbers.3, schema_url: scope.clone() });
        span.scope = Arc::new(Scope { name: scope.clone(), schema_url: scope, attributes: other, ..Scope::default() });
        span
    }
}

// A red run writes nothing into the tree: what it found becomes a test by hand.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(spans in prop::collection::vec(any_span(), 0..6)) {
        let mut written = Vec::new();
        write(&mut written, &spans).unwrap();
        prop_assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), usize::from(!spans.is_empty()));
        prop_assert_eq!(read(written.as_slice()).unwrap(), spans);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _ = Reader::new(bytes.as_slice()).count();
    }

    /// Lines that are nearly right reach further than noise does.
    #[test]
    fn no_damaged_line_makes_it_panic(damage in prop::collection::vec((0..COLLECTOR.len(), any::<u8>()), 1..4), cut in 0..COLLECTOR.len()) {
        let mut bytes = COLLECTOR.as_bytes().to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        for text in [&bytes[..], &bytes[..cut], &bytes[cut..]] {
            for spans in Reader::new(text).flatten() {
                let forest = Forest::new(spans);
                let _ = forest.judge(&Settings::complete()).to_string();
                let _ = forest.traces().iter().map(ToString::to_string).count();
            }
        }
    }
}
