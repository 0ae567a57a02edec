//! How much of a context a message has room for.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use proptest::prelude::*;
use serde_json::Value;
use throughline_core::codec::xray;
use throughline_core::{Config, Description, Format, Formats, InContext, Trust};
use throughline_sqs::TraceHeader;

use crate::common::{
    ELSEWHERE, ELSEWHERE_HEADER, Rig, added, attribute, full, header, text, users,
};

/// A message like this, as it left in the context that travels by all there is.
async fn left(rig: &Rig, attributes: HashMap<String, MessageAttributeValue>, body: &str) -> Value {
    let sending = rig.sqs.send_message().queue_url(&rig.url).message_body(body);
    let sending = sending.set_message_attributes(Some(attributes)).send();
    InContext::new(sending, full()).await.expect("it is sent");
    rig.sent()
}

#[tokio::test]
async fn a_context_takes_what_ten_attributes_leave_and_the_header_what_they_do_not() {
    let rig = Rig::new().await;
    let all = ["baggage", "traceparent", "tracestate"];
    for (own, wanted, has_header) in [
        (0, &all[..], false),
        (7, &all[..], false),
        (8, &all[1..], false),
        (9, &["traceparent"][..], false),
        (10, &[][..], true),
        // Not our doing.
        (11, &[][..], true),
    ] {
        let left = left(&rig, users(own), "a book").await;
        assert_eq!(added(&left), wanted, "beside {own}");
        assert_eq!(header(&left).is_some(), has_header, "beside {own}");
        let kept = left["MessageAttributes"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(kept, own + wanted.len());
    }
}

#[tokio::test]
async fn the_header_is_of_the_span_that_is_sent() {
    let rig = Rig::new().await;
    let left = left(&rig, users(10), "a book").await;
    let header = xray::parse(header(&left).expect("a header").as_bytes()).expect("a valid one");
    let span = &rig.recorder.spans()[0];
    let (trace, id) = header.ids.expect("ids");
    assert_eq!(
        (trace.to_string(), id.to_string()),
        (span.trace_id.to_string(), span.span_id.to_string())
    );
    assert_eq!(header.sampling, throughline_core::codec::Sampling::Accepted);
}

#[tokio::test]
async fn the_header_goes_along_as_told() {
    for (setting, beside_nothing, beside_ten) in [
        (TraceHeader::Never, false, false),
        (TraceHeader::Fallback, false, true),
        (TraceHeader::Always, true, true),
        (TraceHeader::Preferred, true, true),
    ] {
        let mut rig = Rig::new().await;
        rig.with(|it| it.trace_header(setting));
        let bare = left(&rig, users(0), "a book").await;
        assert_eq!(header(&bare).is_some(), beside_nothing, "{setting:?}");
        assert_eq!(added(&bare).len(), 3, "{setting:?}");
        let laden = left(&rig, users(10), "a book").await;
        assert_eq!(header(&laden).is_some(), beside_ten, "{setting:?}");
    }
}

#[tokio::test]
async fn a_header_of_the_users_is_left_alone_unless_it_is_of_the_trace() {
    let mut rig = Rig::new().await;
    rig.with(|it| it.trace_header(TraceHeader::Always));
    let stale = "Root=1-00000000-000000000000000000000abc;Parent=2222222222222222;Sampled=1";
    for (own, is_kept) in [(ELSEWHERE_HEADER, true), ("theirs", true), (stale, false)] {
        let value = MessageSystemAttributeValue::builder().data_type("String").string_value(own);
        let sending = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
        let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
        let sending = sending.message_system_attributes(name, value.build().expect("a value"));
        InContext::new(sending.send(), full()).await.expect("it is sent");
        assert_eq!(header(&rig.sent()) == Some(own), is_kept, "{own}");
        assert_eq!(added(&rig.sent()).len(), 3, "{own}");
    }
}

#[tokio::test]
async fn a_header_that_a_handler_copies_is_not_the_users() {
    for (setting, users_own) in [(TraceHeader::Preferred, 0), (TraceHeader::Fallback, 10)] {
        let mut rig = Rig::new().await;
        rig.with(|it| it.trace_header(setting));
        let config = Config::new("test", "1").with_tracer_provider(&rig.recorder.provider());
        let config = config.trust(Trust::Ignore);
        let extraction = config.extract(&vec![("traceparent".to_owned(), ELSEWHERE.to_owned())]);
        let describe = || Description::new("handler", 0);
        let handler = config.receive(extraction, SpanKind::Consumer, describe);
        let value = MessageSystemAttributeValue::builder().data_type("String");
        let value = value.string_value(ELSEWHERE_HEADER).build().expect("a value");
        let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
        let sending = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
        let sending = sending.message_system_attributes(name, value);
        let sending = sending.set_message_attributes(Some(users(users_own))).send();
        InContext::new(sending, handler.context().clone()).await.expect("it is sent");
        let left = rig.sent();
        let trace = handler.context().span().span_context().trace_id().to_string();
        let header = header(&left).expect("one of our own");
        assert!(header.contains(&trace[8..]), "{header}");
    }
}

#[tokio::test]
async fn a_header_that_is_preferred_is_the_context_that_a_message_was_created_in() {
    let mut rig = Rig::new().await;
    rig.with(|it| it.trace_header(TraceHeader::Preferred));
    let value = MessageSystemAttributeValue::builder().data_type("String");
    let value = value.string_value(ELSEWHERE_HEADER).build().expect("a value");
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    let sending = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
    sending.message_system_attributes(name, value).send().await.expect("it is sent");
    assert_eq!(added(&rig.sent()), [""; 0]);
    rig.assert_tree("CLIENT send orders ~(elsewhere)");
}

#[tokio::test]
async fn no_context_makes_a_message_too_long() {
    const TRACEPARENT: usize = "traceparent".len() + "String".len() + 55;
    for limit in [256 << 10, 1 << 20] {
        let rig = Rig::new().await;
        let fits = left(&rig, users(0), &"x".repeat(limit - TRACEPARENT)).await;
        assert_eq!((added(&fits), header(&fits)), (vec!["traceparent".to_owned()], None));
        let full = left(&rig, users(0), &"x".repeat(limit - TRACEPARENT + 1)).await;
        assert_eq!(added(&full), [""; 0], "{limit}");
        assert!(header(&full).is_some(), "{limit}");
    }
    // A limit that is exceeded already is no limit.
    let rig = Rig::new().await;
    assert_eq!(added(&left(&rig, users(0), &"x".repeat((256 << 10) + 1)).await).len(), 3);
    // Of a queue of its own.
    let mut rig = Rig::new().await;
    rig.with(|it| it.max_message_size(1_000));
    assert_eq!(added(&left(&rig, users(0), &"x".repeat(990)).await), [""; 0]);
}

#[tokio::test]
async fn baggage_of_a_users_own_making_is_no_context() {
    let rig = Rig::new().await;
    let own = HashMap::from([("Baggage".to_owned(), text("two bags"))]);
    let left = left(&rig, own, "a flight").await;
    assert_eq!(attribute(&left, "Baggage"), Some("two bags"));
    assert_eq!(added(&left), ["Baggage", "traceparent", "tracestate"]);
}

#[tokio::test]
async fn formats_of_several_attributes_travel_whole_or_not_at_all() {
    let mut rig = Rig::new().await;
    rig.with(|it| it.with_propagator(Formats::new([Format::B3Multi, Format::Baggage])));
    let three = ["x-b3-sampled", "x-b3-spanid", "x-b3-traceid"];
    assert_eq!(added(&left(&rig, users(7), "a book").await), three);
    let full = left(&rig, users(8), "a book").await;
    assert_eq!(added(&full), [""; 0]);
    assert!(header(&full).is_some());
}

#[tokio::test]
async fn of_several_formats_the_first_takes_what_room_there_is() {
    let all = ["b3", "traceparent", "tracestate"];
    let multi = ["traceparent", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"];
    for (b3, own, wanted) in [
        (Format::B3, 9, &all[1..2]),
        (Format::B3, 8, &all[..2]),
        (Format::B3, 7, &all[..]),
        (Format::B3Multi, 9, &multi[..1]),
        // Three that travel together have no room, and what is behind them has.
        (Format::B3Multi, 7, &all[1..]),
        (Format::B3Multi, 6, &multi[..]),
    ] {
        let mut rig = Rig::new().await;
        rig.with(|it| it.with_propagator(Formats::new([b3, Format::TraceContext])));
        let left = left(&rig, users(own), "a book").await;
        assert_eq!(added(&left), wanted, "{b3:?} beside {own}");
        assert_eq!(header(&left), None, "{b3:?} beside {own}");
    }
}

#[tokio::test]
async fn a_service_that_speaks_of_no_trace_sends_none() {
    for (formats, wanted) in [(vec![], &[][..]), (vec![Format::Baggage], &["baggage"][..])] {
        let mut rig = Rig::new().await;
        rig.with(|it| it.with_propagator(Formats::new(formats)).trace_header(TraceHeader::Always));
        let left = left(&rig, users(0), "a book").await;
        assert_eq!(added(&left), wanted);
        assert_eq!(header(&left), None);
    }
}

#[tokio::test]
async fn what_others_inject_empty_is_left_out() {
    let mut rig = Rig::new().await;
    let sdk = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    rig.with(|it| it.with_propagator(sdk));
    let sending = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
    sending.send().await.expect("it is sent");
    assert_eq!(added(&rig.sent()), ["traceparent"]);
}

#[tokio::test]
async fn x_ray_travels_by_the_header_alone() {
    let mut rig = Rig::new().await;
    rig.with(|it| {
        let formats = Formats::new([Format::XRay, Format::Baggage]);
        it.with_propagator(formats).trace_header(TraceHeader::Never)
    });
    let left = left(&rig, users(0), "a book").await;
    assert_eq!(added(&left), ["baggage"]);
    assert!(header(&left).is_some());
}

#[tokio::test]
async fn with_nothing_to_send_a_message_stays_as_it_is() {
    let mut rig = Rig::new().await;
    rig.with(|it| it.with_tracer_provider(&NoopTracerProvider::new()));
    let stale = HashMap::from([("traceparent".to_owned(), text("stale"))]);
    let sending = rig.sqs.send_message().queue_url(&rig.url).message_body("a book");
    let sending = sending.set_message_attributes(Some(stale)).send();
    sending.await.expect("it is sent");
    assert_eq!(attribute(&rig.sent(), "traceparent"), Some("stale"));
    assert_eq!(header(&rig.sent()), None);
}

/// What SQS counts.
fn size(message: &Value) -> usize {
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let attributes = attributes.map(|(name, value)| {
        let length = |field: &str| value[field].as_str().map_or(0, str::len);
        name.len() + length("DataType") + length("StringValue")
    });
    message["MessageBody"].as_str().map_or(0, str::len) + attributes.sum::<usize>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_a_user_sends_is_sent_unharmed(
        attributes in proptest::collection::hash_map(
            prop_oneof!["[a-z]{1,8}", "(T|t)race(state|s)", "(B|b)aggage", "x-b3-[a-z]{1,3}"],
            "[ -~]{1,40}",
            0..=10,
        ),
        body in 1..400_usize,
        limit in 1..600_usize,
        setting in prop_oneof![
            Just(TraceHeader::Never), Just(TraceHeader::Fallback), Just(TraceHeader::Always),
        ],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (body, own) = ("x".repeat(body), attributes.clone());
        let left = runtime.block_on(async {
            let mut rig = Rig::new().await;
            rig.with(|it| it.trace_header(setting).max_message_size(limit));
            let own = own.into_iter().map(|(name, value)| (name, text(&value))).collect();
            left(&rig, own, &body).await
        });
        let all = left["MessageAttributes"].as_object().cloned().unwrap_or_default();
        prop_assert!(all.len() <= 10, "{} attributes", all.len());
        for (name, value) in &attributes {
            prop_assert_eq!(all[name]["StringValue"].as_str(), Some(&**value), "{}", name);
        }
        for (name, value) in &all {
            prop_assert!(value["StringValue"].as_str().is_some_and(|it| !it.is_empty()), "{}", name);
        }
        let own: usize = attributes.iter().map(|(name, value)| name.len() + 6 + value.len()).sum();
        let (own, all_in) = (own + body.len(), size(&left));
// What is refused anyway may be as long as it likes.
        prop_assert!(all_in <= limit || own > limit, "{} of {}, {} theirs", all_in, limit, own);
        // What could go along did.
        let (has_room, traceparent) = (attributes.len() < 10 && own + 72 <= limit, all.contains_key("traceparent"));
        prop_assert_eq!(traceparent, has_room || (own > limit && attributes.len() < 10));
        let wanted = match setting {
            TraceHeader::Never => false,
            TraceHeader::Fallback => !traceparent,
            _ => true,
        };
        prop_assert_eq!(header(&left).is_some(), wanted);
    }
}
