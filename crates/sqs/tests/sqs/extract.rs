//! The context of a message that was received.

use std::collections::HashMap;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use proptest::prelude::*;
use serde_json::json;
use throughline_core::codec::traceparent;
use throughline_core::{Format, Formats, Outcome, Trust, W3cPropagator};
use throughline_sqs::{Interceptor, TraceHeader};

use crate::common::{ELSEWHERE, ELSEWHERE_HEADER, text};

const OTHER: &str = "00-33333333333333333333333333333333-4444444444444444-01";

fn interceptor() -> Interceptor {
    Interceptor::new().with_propagator(W3cPropagator::new())
}

fn message(attributes: &[(&str, &str)], header: Option<&str>, body: &str) -> Message {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), text(value)));
    let header = header.map(|it| (MessageSystemAttributeName::AwsTraceHeader, it.to_owned()));
    Message::builder()
        .set_message_attributes(Some(attributes.collect()))
        .set_attributes(Some(header.into_iter().collect()))
        .body(body)
        .build()
}

fn envelope(attributes: &[(&str, &str)]) -> String {
    let attributes: serde_json::Map<_, _> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!({"Type": "String", "Value": value})))
        .collect();
    json!({"Type": "Notification", "TopicArn": "arn", "Message": "m", "MessageAttributes": attributes})
        .to_string()
}

/// The `traceparent` of what is found, and its `tracestate`; empty for nothing.
fn found(interceptor: &Interceptor, message: &Message) -> (String, String) {
    let extraction = interceptor.extract(message);
    let span = extraction.context().span().span_context().clone();
    let parent = span.is_valid().then(|| traceparent::print(&span).as_str().to_owned());
    (parent.unwrap_or_default(), span.trace_state().header())
}

#[test]
fn a_context_is_found_wherever_it_is() {
    let in_body = envelope(&[("traceparent", OTHER), ("tracestate", "o=1")]);
    let own = [("TraceParent", ELSEWHERE), ("tracestate", "e=1")];
    let bare: &[(&str, &str)] = &[];
    for (what, message, wanted) in [
        ("attributes", message(&own, None, "a book"), (ELSEWHERE, "e=1")),
        ("attributes, not the body", message(&own, None, &in_body), (ELSEWHERE, "e=1")),
        (
            "attributes, not the header",
            message(&own, Some(ELSEWHERE_HEADER), ""),
            (ELSEWHERE, "e=1"),
        ),
        ("the envelope", message(bare, None, &in_body), (OTHER, "o=1")),
        (
            "the envelope, not the header",
            message(bare, Some(ELSEWHERE_HEADER), &in_body),
            (OTHER, "o=1"),
        ),
        ("the header", message(bare, Some(ELSEWHERE_HEADER), "a book"), (ELSEWHERE, "")),
        (
            "the header beside what is malformed",
            message(&[("traceparent", "x")], Some(ELSEWHERE_HEADER), ""),
            (ELSEWHERE, ""),
        ),
        (
            "the header, without a state of another trace",
            message(&[("tracestate", "e=1")], Some(ELSEWHERE_HEADER), ""),
            (ELSEWHERE, ""),
        ),
        ("nothing", message(bare, None, "a book"), ("", "")),
        (
            "a user's attributes, not the body",
            message(&[("color", "red")], None, &in_body),
            ("", ""),
        ),
        ("no header", message(bare, Some("Root=1-2-3"), "a book"), ("", "")),
    ] {
        let (parent, state) = found(&interceptor(), &message);
        assert_eq!((&*parent, &*state), wanted, "{what}");
    }
}

#[test]
fn nothing_in_a_message_is_nothing_found() {
    let extraction = interceptor().extract(&Message::builder().build());
    assert_eq!(extraction.outcome(), Outcome::Absent);
}

#[test]
fn which_goes_first_is_a_setting() {
    let other = "Root=1-33333333-333333333333333333333333;Parent=4444444444444444;Sampled=1";
    let own = [("traceparent", ELSEWHERE), ("tracestate", "e=1")];
    let both = message(&own, Some(other), "");
    for (setting, wanted) in [
        (TraceHeader::Never, (ELSEWHERE, "e=1")),
        (TraceHeader::Fallback, (ELSEWHERE, "e=1")),
        (TraceHeader::Always, (ELSEWHERE, "e=1")),
        (TraceHeader::Preferred, (OTHER, "")),
    ] {
        let (parent, state) = found(&interceptor().trace_header(setting), &both);
        assert_eq!((&*parent, &*state), wanted, "{setting:?}");
    }
    // Sent on by somebody in between: the state is of the trace, the span is his.
    let between = "Root=1-11111111-111111111111111111111111;Parent=4444444444444444;Sampled=1";
    let preferring = interceptor().trace_header(TraceHeader::Preferred);
    let (parent, state) = found(&preferring, &message(&own, Some(between), ""));
    assert_eq!(parent, "00-11111111111111111111111111111111-4444444444444444-01");
    assert_eq!(state, "e=1");
    // Of the same span the attributes tell more.
    let random = ELSEWHERE.replace("-01", "-03");
    let same = message(&[("traceparent", &random)], Some(ELSEWHERE_HEADER), "");
    assert_eq!(found(&preferring, &same).0, random);
    let never = interceptor().trace_header(TraceHeader::Never);
    assert_eq!(found(&never, &message(&[], Some(other), "")).0, "");
}

#[test]
fn envelopes_are_read_unless_told_otherwise() {
    let message = message(&[], None, &envelope(&[("traceparent", OTHER)]));
    assert_eq!(found(&interceptor(), &message).0, OTHER);
    assert_eq!(found(&interceptor().sns_envelopes(false), &message).0, "");
}

#[test]
fn baggage_comes_along_and_values_may_be_bytes() {
    let bytes = MessageAttributeValue::builder().data_type("Binary");
    let bytes = bytes.binary_value(Blob::new(ELSEWHERE)).build().expect("a value");
    let attributes = HashMap::from([
        ("traceparent".to_owned(), bytes),
        ("baggage".to_owned(), text("user=alice")),
    ]);
    let message = Message::builder().set_message_attributes(Some(attributes)).build();
    let extraction = interceptor().extract(&message);
    assert_eq!(extraction.outcome(), Outcome::Continued);
    let user = extraction.context().baggage().get("user").map(ToString::to_string);
    assert_eq!(user.as_deref(), Some("alice"));
}

#[test]
fn other_formats_and_other_propagators_find_theirs() {
    let b3 = message(&[("b3", "33333333333333333333333333333333-4444444444444444-1")], None, "");
    let formats = interceptor().with_propagator(Formats::new([Format::B3]));
    assert_eq!(found(&formats, &b3).0, OTHER);
    let xray = interceptor().with_propagator(Formats::new([Format::XRay]));
    assert_eq!(found(&xray, &message(&[], Some(ELSEWHERE_HEADER), "")).0, ELSEWHERE);
    // One that looks at names.
    let sdk = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    let foreign = interceptor().with_propagator(sdk);
    assert_eq!(found(&foreign, &message(&[("traceparent", OTHER)], None, "")).0, OTHER);
    assert_eq!(found(&foreign, &message(&[], Some(ELSEWHERE_HEADER), "")).0, ELSEWHERE);
}

#[test]
fn strangers_are_trusted_as_told() {
    let message = message(&[("traceparent", OTHER)], None, "");
    for trust in [Trust::Link, Trust::Ignore] {
        let extraction = interceptor().trust(trust).extract(&message);
        assert_eq!(extraction.outcome(), Outcome::Untrusted);
    }
}

proptest! {
    #[test]
    fn no_message_panics(
        names in proptest::collection::vec("(?i)traceparent|tracestate|baggage|b3|x-amzn-trace-id|\\PC{0,9}", 0..6),
        value in prop_oneof!["\\PC{0,80}", Just(ELSEWHERE.to_owned()), Just(ELSEWHERE_HEADER.to_owned())],
        header in proptest::option::of(prop_oneof!["\\PC{0,80}", Just(ELSEWHERE_HEADER.to_owned())]),
        body in prop_oneof![
            "\\PC{0,200}",
            r#"\{"Type":"Notification","TopicArn":"a","MessageAttributes":\PC{0,80}"#,
        ],
    ) {
        let pairs: Vec<_> = names.iter().map(|name| (&**name, &*value)).collect();
        let message = message(&pairs, header.as_deref(), &body);
        for setting in [TraceHeader::Never, TraceHeader::Fallback, TraceHeader::Preferred] {
            let interceptor = interceptor().trace_header(setting);
            drop(interceptor.extract(&message));
            let formats = Formats::new([Format::XRay, Format::B3, Format::TraceContext, Format::Baggage]);
            drop(interceptor.with_propagator(formats).extract(&message));
        }
    }
}
