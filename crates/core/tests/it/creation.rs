//! Contexts that a message was created in, before anybody sends it.

use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use throughline_core::messaging::{self, CreationContext};
use throughline_core::{BoundarySpan, Description, Format, Formats, Trust};

use crate::span::bench;

const CREATED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers(traceparents: &[&str]) -> Vec<(String, String)> {
    traceparents.iter().map(|value| ("traceparent".to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_was_put_there_on_purpose_is_told_from_what_was_copied() {
    let config = bench().config;
    let is_created = |traceparents: &[&str]| {
        let created = config.creation_context(&headers(traceparents));
        created.is_some_and(|created| created.span().span_context().is_remote())
    };
    assert!(is_created(&[CREATED]));
    assert!(!is_created(&[]) && !is_created(&["00-nonsense"]) && !is_created(&[CREATED, CREATED]));
    // Handled, sampled or not, it is what came, and is to be replaced.
    for came in [CREATED.to_owned(), CREATED.replace("-01", "-00")] {
        let extraction = config.extract(&headers(&[&came]));
        let describe = || Description::new("process", 1);
        let mut span = config.receive(extraction, SpanKind::Consumer, describe);
        span.enter(|| {
            assert!(!is_created(&[&came]), "{came}");
            // Below other spans as well.
            let mut inner = config.send(SpanKind::Client, || Description::new("call", 1));
            inner.enter(|| assert!(!is_created(&[&came]), "{came}"));
            let other = CREATED.replace("b7ad", "b7ae");
            assert!(is_created(&[&other]), "what was created for another message");
        });
    }
    let formats = config.clone().with_propagator(Formats::new([Format::B3, Format::TraceContext]));
    assert!(formats.creation_context(&headers(&[CREATED])).is_some());
}

#[test]
fn a_stranger_is_not_let_in_by_who_copies_what_he_sent() {
    let config = bench().config;
    let other = CREATED.replace("b7ad", "b7ae");
    let is_copied = || {
        assert!(config.creation_context(&headers(&[&other])).is_some(), "created for another one");
        config.creation_context(&headers(&[CREATED])).is_none()
    };
    for trust in [Trust::Link, Trust::Ignore] {
        let extraction = config.clone().trust(trust).extract(&headers(&[CREATED]));
        let describe = || Description::new("process", 1);
        let mut span = config.receive(extraction, SpanKind::Consumer, describe);
        assert!(span.enter(is_copied), "{trust:?}");
    }
    let linked = (CreationContext::Link, false);
    let extraction = config.extract(&headers(&[CREATED]));
    let mut span =
        messaging::process(&config, extraction, linked, || Description::new("process", 1));
    assert!(span.enter(is_copied), "linked");
}

#[test]
fn nor_where_nobody_records() {
    let provider = opentelemetry::trace::noop::NoopTracerProvider::new();
    let config = bench().config.with_tracer_provider(&provider).trust(Trust::Ignore);
    let extraction = config.extract(&headers(&[CREATED]));
    let span = config.receive(extraction, SpanKind::Consumer, || Description::new("process", 1));
    let mut sent = http::HeaderMap::new();
    for (name, value) in [("traceparent", CREATED), ("tracestate", "a=1"), ("baggage", "b=1")] {
        sent.insert(name, http::HeaderValue::from_static(value));
    }
    sent.insert("x-kept", http::HeaderValue::from_static("yes"));
    config.inject(span.context(), &mut sent);
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["x-kept"]);
}

#[test]
fn what_was_created_elsewhere_is_sent_for_it_alone_where_nothing_is_current() {
    let config = bench().config;
    let created = || config.creation_context(&headers(&[CREATED])).expect("it is valid");
    let send = || messaging::send_created(&config, created(), || Description::new("send", 1));
    let trace = |span: &BoundarySpan| span.context().span().span_context().trace_id().to_string();
    assert_eq!(trace(&send()), "0af7651916cd43dd8448eb211c80319c");
    let mut job = config.root("job");
    assert_eq!(job.enter(|| trace(&send())), trace(&job));
}

#[test]
fn who_links_instead_of_continuing_gets_the_sender_unless_he_is_ignored() {
    let config = bench().config;
    let link = |trust| {
        let extraction = config.clone().trust(trust).extract(&headers(&[CREATED]));
        extraction.to_link().map(|sender| sender.span_id().to_string())
    };
    let sender = Some("b7ad6b7169203331".to_owned());
    assert_eq!((link(Trust::Continue), link(Trust::Link)), (sender.clone(), sender));
    assert_eq!(link(Trust::Ignore), None);
    let absent = config.extract(&headers(&[]));
    assert!(absent.to_link().is_none() && absent.lacks_context());
    let span =
        config.start_under(Context::new(), SpanKind::Consumer, || Description::new("batch", 1));
    assert!(!span.context().span().span_context().is_remote());
}

#[test]
fn what_is_only_linked_to_is_found_as_what_is_continued() {
    let config = bench().config;
    let carriers: [&[(&str, &str)]; 6] = [
        &[("traceparent", CREATED), ("tracestate", "a=1"), ("baggage", "user=alice")],
        &[("traceparent", CREATED), ("tracestate", "a=1"), ("tracestate", "b=2")],
        &[("traceparent", CREATED), ("tracestate", "not one")],
        &[("traceparent", CREATED), ("traceparent", CREATED)],
        &[("traceparent", "00-nonsense")],
        &[("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"), ("tracestate", "a=1")],
    ];
    let formats = Formats::new([Format::TraceContext, Format::B3]);
    for config in [config.clone(), config.with_propagator(formats)] {
        for trust in [Trust::Continue, Trust::Link, Trust::Ignore] {
            let config = config.clone().trust(trust);
            for carrier in carriers {
                let carrier: Vec<(String, String)> =
                    carrier.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                let whole = config.extract(&carrier);
                let found = config.extract_link(&carrier);
                let found = (found.outcome(), found.link().cloned());
                assert_eq!(found, (whole.outcome(), whole.to_link()), "{carrier:?} {trust:?}");
                // Whom it came from is the same, whether or not he is trusted.
                let sender = config.clone().trust(Trust::Continue).extract(&carrier).to_link();
                assert_eq!(config.peek(&carrier), sender, "{carrier:?}");
            }
        }
    }
}
