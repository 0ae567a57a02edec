//! The states of a boundary span, and the arrows between them that no other test takes.
#![expect(clippy::disallowed_methods, reason = "threads that share a span, and no context")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Task, Poll, Waker};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt};
use opentelemetry_sdk::trace::Sampler;
use throughline_core::http::method;
use throughline_core::{
    Boundary, BoundarySpan, Config, Description, End, HandledRequest, W3cPropagator, boundary,
};

use crate::span::{Bench, Headers, assert_end, attribute, bench, bench_with, from, remote};

fn current() -> SpanContext {
    Context::map_current(|current| current.span().span_context().clone())
}

fn own(span: &BoundarySpan) -> SpanContext {
    span.context().span().span_context().clone()
}

fn call(bench: &Bench) -> BoundarySpan {
    bench.config.send(SpanKind::Client, || Description::new("call", 2))
}

fn own_sampler_says_no() -> Bench {
    bench_with(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
}

fn shut_down() -> Bench {
    let bench = bench();
    bench.provider.shutdown().expect("shuts down");
    bench
}

/// A span in each state that tells nothing, and what has to be current in it.
fn each_idle(test: impl Fn(&str, &Bench, BoundarySpan, &SpanContext)) {
    let nothing = SpanContext::empty_context();

    let unsampled = bench();
    test("carried, unsampled", &unsampled, unsampled.receive(&from(0)), &remote(0));
    let stopped = shut_down();
    test("carried, shut down", &stopped, stopped.receive(&from(1)), &remote(1));
    test("empty", &stopped, stopped.receive(&Headers::new()), &nothing);
    let off = own_sampler_says_no();
    let dropped = off.receive(&Headers::new());
    let context = own(&dropped);
    test("dropped", &off, dropped, &context);
    let joined = bench();
    let outer = joined.receive(&from(0));
    let inner = BoundarySpan::join(&Boundary::default());
    test("joined", &joined, inner, &nothing);
    drop(outer);
}

#[test]
fn what_records_nothing_has_nothing_to_tell_however_it_ends() {
    each_idle(|state, bench, mut span, _| {
        assert!(!span.is_recording(), "{state}");
        span.set_attribute("k", "v");
        span.finish(End::failed("500"));
        span.finish(End::Completed);
        // It is as it was: nothing has ended.
        assert!(span.handle().is_none_or(|handle| !handle.has_ended()), "{state}");
        span.end(End::Panicked);
        assert!(bench.ended().is_empty(), "{state}");
    });
    each_idle(|state, bench, span, _| {
        drop(span);
        assert!(bench.ended().is_empty(), "{state}");
    });
}

#[test]
fn what_records_nothing_is_entered_all_the_same() {
    each_idle(|state, _, mut span, expected| {
        span.enter(|| assert_eq!(&current(), expected, "{state}"));
        assert_eq!(current(), SpanContext::empty_context(), "{state}: nothing stays behind");
        let mut future = pin!(span.process(async { current() }));
        let Poll::Ready((inside, _)) = future.as_mut().poll(&mut Task::from_waker(Waker::noop()))
        else {
            panic!("{state}: it waits for nothing")
        };
        assert_eq!(&inside, expected, "{state}");
    });
}

#[test]
fn a_panic_in_what_records_nothing_goes_on_and_ends_nothing() {
    each_idle(|state, bench, mut span, expected| {
        let result = catch_unwind(AssertUnwindSafe(|| span.enter(|| panic!("boom"))));
        assert!(result.is_err(), "{state}");
        assert_eq!(current(), SpanContext::empty_context(), "{state}: nothing stays behind");
        span.enter(|| assert_eq!(&current(), expected, "{state}"));
        drop(span);
        assert!(bench.ended().is_empty(), "{state}");
    });
}

#[test]
fn what_records_nothing_has_a_handle_that_does_nothing() {
    each_idle(|state, bench, mut span, expected| {
        let handle = span.handle();
        let has_one = matches!(state, "empty" | "dropped");
        assert_eq!(handle.is_some(), has_one, "{state}");
        for handle in handle.into_iter().chain([span.enter(boundary)]) {
            handle.set_attribute("k", "v");
            handle.fail(&io::Error::other("nobody sees this on a span"));
            assert!(!handle.is_recording() && !handle.has_ended(), "{state}");
            assert_eq!(handle.span_context(), None, "{state}");
        }
        if let Some(handle) = span.handle() {
            assert_eq!(handle.context().span().span_context(), expected, "{state}");
        }
        drop(span);
        assert!(bench.ended().is_empty(), "{state}");
    });
}

#[test]
fn without_a_provider_the_sender_goes_on() {
    let config = Config::new("test", "1").with_propagator(W3cPropagator::new());
    for (headers, expected) in
        [(from(1), remote(1)), (Headers::new(), SpanContext::empty_context())]
    {
        let describe = || Description::new("serve", 1);
        let span = config.receive(config.extract(&headers), SpanKind::Server, describe);
        assert!(span.is_carried() && !span.is_recording());
        assert_eq!(own(&span), expected);
    }
}

#[test]
fn where_telemetry_is_suppressed_nothing_starts_and_the_sender_goes_on() {
    let bench = bench();
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    let nobody = (Headers::new(), SpanContext::empty_context());
    for (headers, expected) in [(from(1), remote(1)), (from(0), remote(0)), nobody] {
        let mut span = bench.receive(&headers);
        assert!(span.is_carried() && !span.is_recording());
        span.enter(|| {
            assert_eq!(current(), expected);
            // It holds for everything below.
            assert!(Context::is_current_telemetry_suppressed());
            let call = call(&bench);
            assert!(call.is_carried());
            assert_eq!(own(&call), expected);
            call.end(End::Completed);
            bench.config.root("nightly").end(End::Completed);
        });
        assert_eq!(span.handle().is_some(), headers.is_empty());
        span.end(End::Completed);
    }
    assert!(bench.ended().is_empty());
}

#[test]
fn a_span_that_was_started_before_the_suppression_ends() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    span.enter(|| boundary().set_attribute("order.id", 42));
    span.end(End::Completed);
    assert_eq!(attribute(&bench.the_one(), "order.id"), ["42"]);
}

#[test]
fn a_span_of_a_provider_that_is_shut_down_meanwhile_carries_its_context_on() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    let context = own(&span);
    bench.provider.shutdown().expect("shuts down");
    span.enter(|| {
        assert_eq!(current(), context);
        let call = call(&bench);
        assert!(call.is_carried());
        assert_eq!(own(&call), context, "the trace goes on");
    });
    let handle = span.handle().expect("recorded");
    span.end(End::Completed);
    assert!(handle.has_ended());
}

#[test]
fn who_joins_ends_nothing() {
    let bench = bench();
    let outer = bench.receive(&from(1));
    let handle = outer.handle().expect("recorded");
    let mut inner = BoundarySpan::join(&handle);
    assert!(inner.is_carried() && inner.handle().is_none());
    inner.set_attribute("by.inner", true);
    inner.finish(End::failed("500"));
    inner.end(End::Panicked);
    assert!(!handle.has_ended() && handle.is_recording());
    outer.end(End::Completed);
    let span = bench.the_one();
    assert_end(&span, &Status::Unset, &[]);
    assert!(attribute(&span, "by.inner").is_empty());
}

#[test]
fn who_joins_attaches_what_was_lost_and_leaves_alone_what_was_not() {
    let bench = bench();
    let mut outer = bench.receive(&from(1));
    let mut inner = BoundarySpan::join(&outer.handle().expect("recorded"));
    inner.enter(|| assert_eq!(current(), own(&outer), "it was lost"));
    outer.enter(|| {
        // A span from between the layers.
        let between = call(&bench);
        let _attached = between.context().clone().attach();
        inner.enter(|| assert_eq!(current(), own(&between), "it was not lost"));
    });
}

#[test]
fn an_outbound_span_is_reached_by_nobody_but_its_owner() {
    let bench = bench();
    let mut message = bench.receive(&from(1));
    let mut sent = message.enter(|| call(&bench));
    assert!(sent.is_recording() && sent.handle().is_none());
    sent.enter(|| {
        assert_ne!(current(), own(&message));
        boundary().set_attribute("order.id", 42);
        boundary().fail(&io::Error::other("of the message"));
    });
    sent.set_attribute("attempt", 2);
    sent.end(End::failed("503"));
    message.end(End::Completed);

    let ended = bench.ended();
    assert_end(&ended[0], &Status::error(""), &["503"]);
    assert_eq!(attribute(&ended[0], "attempt"), ["2"]);
    assert!(attribute(&ended[0], "order.id").is_empty());
    let said = "of the message";
    assert_eq!(ended[1].status, Status::error(said));
    assert_eq!(attribute(&ended[1], "order.id"), ["42"]);
}

#[test]
fn an_outbound_span_ends_each_way() {
    type How = fn(BoundarySpan);
    let ways: [(How, Status, &[&str]); 4] = [
        (|span| span.end(End::Completed), Status::Unset, &[]),
        (|mut span| span.finish(End::failed("503")), Status::error(""), &["503"]),
        (drop, Status::Unset, &["cancelled"]),
        (
            |mut span| {
                let result = catch_unwind(AssertUnwindSafe(|| span.enter(|| panic!("boom"))));
                assert!(result.is_err());
            },
            Status::error("the handler panicked"),
            &["panic"],
        ),
    ];
    for (how, status, error_type) in ways {
        let bench = bench();
        how(call(&bench));
        assert_end(&bench.the_one(), &status, error_type);
    }
}

#[test]
fn the_reason_of_the_handler_stands_however_the_span_ends() {
    type How = fn(BoundarySpan);
    let ways: [How; 5] = [
        |span| span.end(End::Completed),
        |mut span| span.finish(End::failed("500")),
        |span| span.end(End::Cancelled),
        drop,
        |mut span| {
            let result = catch_unwind(AssertUnwindSafe(|| span.enter(|| panic!("boom"))));
            assert!(result.is_err());
        },
    ];
    for how in ways {
        let bench = bench();
        let mut span = bench.receive(&from(1));
        span.enter(|| boundary().fail(&io::Error::other("no stock")));
        how(span);
        assert_end(&bench.the_one(), &Status::error("no stock"), &["std::io::error::Error"]);
    }
}

#[test]
fn a_panic_that_was_caught_inside_is_the_handlers_own_affair() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    span.enter(|| {
        let result = catch_unwind(|| panic!("boom"));
        assert!(result.is_err());
    });
    drop(span);
    assert_end(&bench.the_one(), &Status::Unset, &["cancelled"]);
}

#[test]
fn a_panic_that_was_caught_outside_is_told_by_the_drop_and_not_by_an_end() {
    for (ends, status, error_type) in
        [(false, Status::error("the handler panicked"), "panic"), (true, Status::error(""), "500")]
    {
        let bench = bench();
        let mut span = bench.receive(&from(1));
        let result = catch_unwind(AssertUnwindSafe(|| span.enter(|| panic!("boom"))));
        assert!(result.is_err());
        // Another call, after which nothing is forgotten.
        span.enter(|| ());
        if ends {
            // As of a layer that makes a response of a panic.
            span.end(End::failed("500"));
        } else {
            drop(span);
        }
        assert_end(&bench.the_one(), &status, &[error_type]);
    }
}

#[test]
fn an_ended_span_keeps_its_context_for_what_is_left() {
    for kind in [SpanKind::Server, SpanKind::Client] {
        let bench = bench();
        let extraction = bench.config.extract(&from(1));
        let describe = || Description::new("message", 1);
        let mut span = bench.config.receive(extraction, kind, describe);
        let context = own(&span);
        span.finish(End::Completed);
        assert!(!span.is_recording() && !span.is_carried() && span.handle().is_none());
        span.enter(|| {
            assert_eq!(current(), context);
            call(&bench).end(End::Completed);
        });
        // Not even a panic is news.
        let result = catch_unwind(AssertUnwindSafe(|| span.enter(|| panic!("boom"))));
        assert!(result.is_err());
        span.set_attribute("too.late", true);
        drop(span);
        let ended = bench.ended();
        assert_eq!(ended.len(), 2, "each once");
        assert_end(&ended[0], &Status::Unset, &[]);
        assert!(attribute(&ended[0], "too.late").is_empty());
        assert_eq!(ended[1].parent_span_id, context.span_id());
    }
}

#[test]
fn after_the_end_a_handle_does_nothing_and_says_so() {
    let bench = bench();
    let mut span = bench.receive(&from(1));
    let kept = span.enter(boundary);
    let extension = span.handle().expect("recorded");
    for handle in [&kept, &extension] {
        assert!(handle.is_recording() && !handle.has_ended());
    }
    let context = own(&span);
    span.end(End::Completed);
    for handle in [&kept, &extension] {
        assert!(!handle.is_recording() && handle.has_ended());
        handle.set_attribute("too.late", true);
        handle.fail(&io::Error::other("too late"));
        handle.refine_route(|| ("GET /late", "/late"));
        // What it is of stays known.
        assert_eq!(handle.span_context().as_ref(), Some(&context));
        assert_eq!(handle.context().span().span_context(), &context);
    }
    let span = bench.the_one();
    assert_end(&span, &Status::Unset, &[]);
    assert_eq!(span.name, "serve");
    assert!(attribute(&span, "too.late").is_empty());
    assert!(attribute(&span, "http.route").is_empty());
}

/// Owners end, drop and panic while the handles of each span are used by many threads.
#[test]
fn threads_race_every_way_to_end() {
    const SPANS: usize = 120;
    const THREADS: usize = 6;
    let bench = bench();
    for round in 0..SPANS {
        let mut span = bench.receive(&from(1));
        let handle = span.handle().expect("recorded");
        let (start, ended) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for thread in 0_i64..THREADS as i64 {
                let (handle, start, ended) = (handle.clone(), &start, &ended);
                scope.spawn(move || {
                    start.wait();
                    for turn in 0_i64..40 {
                        // Asked first: what is set from here on comes after the end for sure.
                        let is_late = ended.load(Ordering::Acquire);
                        if is_late {
                            assert!(handle.has_ended() && !handle.is_recording());
                            handle.set_attribute("too.late", true);
                        } else if turn % 4 == 0 {
                            // Few enough: the SDK has a limit, and what comes last is lost to it.
                            handle.set_attribute("n", turn);
                        }
                        // In some rounds nobody says a word, in some many do.
                        if round % 3 != 0 && turn == thread * 6 {
                            handle.fail(&io::Error::other("raced"));
                        }
                    }
                });
            }
            start.wait();
            match round % 4 {
                0 => span.end(End::Completed),
                1 => span.finish(End::failed("500")),
                2 => drop(span),
                _ => {
                    let result = catch_unwind(AssertUnwindSafe(move || {
                        span.enter(|| std::panic::resume_unwind(Box::new("boom")));
                    }));
                    assert!(result.is_err());
                }
            }
            ended.store(true, Ordering::Release);
        });
    }
    let ended = bench.ended();
    assert_eq!(ended.len(), SPANS, "each ends once");
    for (round, span) in ended.iter().enumerate() {
        let told = (&span.status, attribute(span, "error.type"));
        let told = (told.0, told.1.iter().map(String::as_str).collect::<Vec<_>>());
        let raced = Status::error("raced");
        let by_handle = round % 3 != 0 && told == (&raced, vec!["std::io::error::Error"]);
        let by_owner = match round % 4 {
            0 => told == (&Status::Unset, vec![]),
            1 => told == (&Status::error(""), vec!["500"]),
            2 => told == (&Status::Unset, vec!["cancelled"]),
            _ => told == (&Status::error("the handler panicked"), vec!["panic"]),
        };
        assert!(by_handle || by_owner, "round {round}: {told:?}");
        assert!(attribute(span, "too.late").is_empty(), "round {round}");
        assert_ne!(span.span_context.span_id(), SpanId::INVALID);
    }
}

#[test]
fn what_is_handled_is_known_wherever_its_span_is_recorded() {
    let of_current = || Context::map_current(HandledRequest::of);
    let receive = |bench: &Bench, flags, has_route| {
        bench.config.receive(bench.config.extract(&from(flags)), SpanKind::Server, || {
            // As the conventions name it.
            let name = if has_route { "PUT /a/{id}" } else { "PUT" };
            let mut request = Description::new(name, 2);
            request.set_method(method(&http::Method::PUT));
            if has_route {
                request.set_route("/a/{id}");
            }
            request
        })
    };
    let told = |request: Option<HandledRequest>| {
        let request = request.expect("it is recorded");
        (request.method, request.route.map(|route| route.to_string()))
    };
    let bench = bench();
    let mut span = receive(&bench, 1, true);
    span.enter(|| {
        // In a span below, too.
        let call = call(&bench);
        let _attached = call.context().clone().attach();
        assert_eq!(told(of_current()), ("PUT", Some("/a/{id}".to_owned())));
    });
    // An inner layer finds that the route is known.
    span.handle().expect("recorded").refine_route(|| -> (String, String) { unreachable!() });
    span.finish(End::Completed);
    assert_eq!(told(HandledRequest::of(span.context())).0, "PUT", "after the end, too");

    let span = receive(&bench, 1, false);
    assert_eq!(told(HandledRequest::of(span.context())), ("PUT", None));
    span.handle().expect("recorded").refine_route(|| ("PUT /b", "/b"));
    assert_eq!(told(HandledRequest::of(span.context())), ("PUT", Some("/b".to_owned())));
    let ended = bench.ended();
    assert_eq!(attribute(&ended[1], "http.request.method"), ["PUT"]);
    assert_eq!(attribute(&ended[1], "http.route"), ["/a/{id}"]);

    assert_eq!(HandledRequest::of(receive(&bench, 0, true).context()), None);
    assert_eq!(HandledRequest::of(bench.receive(&from(1)).context()), None, "not of HTTP");
    assert_eq!(of_current(), None);
}

/// With this id, these flags and this user in its baggage.
fn message(span: u64, flags: u8, user: &str) -> Vec<(String, String)> {
    vec![
        ("traceparent".to_owned(), format!("00-{:032x}-{span:016x}-{flags:02x}", 7)),
        ("baggage".to_owned(), format!("user={user}")),
    ]
}

fn user() -> Option<String> {
    throughline_core::baggage::get("user")
}

/// A reply that is consumed within its own request, say.
#[test]
fn another_message_of_the_same_trace_has_its_own_baggage_sampled_or_not() {
    for flags in [0, 1] {
        let bench = bench();
        let mut outer = bench.receive(&message(1, flags, "alice"));
        outer.enter(|| {
            assert_eq!(user().as_deref(), Some("alice"));
            let mut inner = bench.receive(&message(2, flags, "bob"));
            inner.enter(|| {
                assert_eq!(user().as_deref(), Some("bob"), "flags {flags}");
                let mut left = Headers::new();
                bench.config.inject(&Context::current(), &mut left);
                assert!(left.contains(&("baggage".to_owned(), "user=bob".to_owned())), "{left:?}");
            });
            // The same message again, at an inner layer: what stands between stays.
            let between = throughline_core::baggage::set("user", "carol").expect("room");
            let _attached = between.attach();
            bench.receive(&message(1, 0, "alice")).enter(|| {
                let wanted = if flags == 0 { "carol" } else { "alice" };
                assert_eq!(user().as_deref(), Some(wanted), "flags {flags}");
            });
            inner.end(End::Completed);
        });
        assert_eq!(user(), None);
        outer.end(End::Completed);
    }
}

#[test]
fn the_handle_of_an_unsampled_message_has_its_context() {
    for flags in [0, 1] {
        let bench = bench();
        let mut span = bench.receive(&message(1, flags, "alice"));
        let context = span.enter(|| boundary().context().clone());
        assert_eq!(context.span().span_context().trace_id().to_string(), format!("{:032x}", 7));
        let _attached = context.attach();
        assert_eq!(user().as_deref(), Some("alice"), "flags {flags}");
        span.end(End::Completed);
    }
}

#[test]
fn the_random_flag_of_a_trace_survives_spans_that_nobody_records() {
    let flags = |left: &Headers| {
        let found = left.iter().find(|(name, _)| name == "traceparent").expect("sent");
        found.1[53..].to_owned()
    };
    // A span of somebody else's in the handler of an unsampled message.
    let unsampled = bench();
    let mut span = unsampled.receive(&message(1, 2, "alice"));
    span.enter(|| {
        let tracer = opentelemetry::trace::TracerProvider::tracer(&unsampled.provider, "app");
        let local = opentelemetry::trace::Tracer::start(&tracer, "work");
        let mut left = Headers::new();
        unsampled.config.inject(&Context::current_with_span(local), &mut left);
        assert_eq!(flags(&left), "02");
        assert_ne!(left[0].1, message(1, 2, "")[0].1);
    });
    // One that our own sampler drops.
    let off = bench_with(Sampler::AlwaysOff);
    let dropped = off.receive(&message(1, 3, "alice"));
    let mut left = Headers::new();
    off.config.inject(dropped.context(), &mut left);
    assert_eq!(flags(&left), "02");
    // And none where none came.
    let mut left = Headers::new();
    off.config.inject(off.receive(&message(1, 1, "alice")).context(), &mut left);
    assert_eq!(flags(&left), "00");
}
