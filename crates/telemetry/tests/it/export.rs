//! Spans reach the collector, from any runtime, and losing it harms nobody.
#![expect(clippy::disallowed_methods, reason = "telemetry must work from wherever it is called")]

use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer, TracerProvider};
use throughline_telemetry::{ShutdownError, Telemetry};

use crate::child::in_clean_env;
use crate::sink::{Answer, Sink, refused};

fn span(telemetry: &Telemetry, name: &'static str) {
    drop(telemetry.tracer_provider().tracer("test").start(name));
}

/// Starts, makes a span and drops, on whatever thread this is called.
fn one_span_and_drop(sink: &Sink) {
    let telemetry = Telemetry::builder("orders").endpoint(&sink.url).build().unwrap();
    span(&telemetry, "work");
    drop(telemetry);
    // Not waited for: the drop has to have flushed.
    assert_eq!(sink.names(), ["work"]);
}

#[test]
fn arrives_without_a_runtime() {
    in_clean_env!();
    one_span_and_drop(&Sink::start(Answer::Ok));
}

#[test]
fn arrives_from_a_current_thread_runtime() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { one_span_and_drop(&sink) });
}

#[test]
fn arrives_from_a_multi_threaded_runtime() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { one_span_and_drop(&sink) });
    runtime.block_on(async {
        let sink = Sink::start(Answer::Ok);
        tokio::spawn(async move { one_span_and_drop(&sink) }).await.unwrap();
    });
}

#[test]
fn arrives_without_a_shutdown_when_the_delay_has_passed() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let telemetry = Telemetry::builder("orders").endpoint(&sink.url).build().unwrap();
    span(&telemetry, "work");
    assert_eq!(sink.wait_for(1).len(), 1);
    telemetry.shutdown().unwrap();
}

#[test]
fn an_orderly_shutdown_loses_no_span_of_many_threads() {
    in_clean_env!();
    let sink = Sink::start(Answer::Ok);
    let telemetry = Telemetry::builder("orders").endpoint(&sink.url).build().unwrap();
    // Below the queue of 2048, and several batches of 512.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| span(&telemetry, "work")));
        }
    });
    telemetry.shutdown().unwrap();
    assert_eq!(sink.spans().len(), 2000);
}

#[test]
fn a_sink_that_hangs_costs_the_deadline_and_is_told() {
    in_clean_env!();
    let sink = Sink::start(Answer::Never);
    let deadline = Duration::from_millis(300);
    let telemetry = Telemetry::builder("orders")
        .endpoint(&sink.url)
        .shutdown_timeout(deadline)
        .build()
        .unwrap();
    for _ in 0..7 {
        span(&telemetry, "work");
    }
    let start = Instant::now();
    let error = telemetry.shutdown().unwrap_err();
    let took = start.elapsed();
    sink.wait_for_request();
    assert!(took >= deadline && took < Duration::from_secs(4), "{took:?}");
    let ShutdownError::Deadline { spans: 7, .. } = error else { panic!("{error:?}") };
    let text = error.to_string();
    assert!(text.contains("7 span(s)") && text.contains("300ms"), "{text}");
}

#[test]
fn a_flood_over_a_sink_that_hangs_neither_blocks_nor_grows() {
    in_clean_env!();
    let sink = Sink::start(Answer::Never);
    let telemetry = Telemetry::builder("orders")
        .endpoint(&sink.url)
        .shutdown_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let start = Instant::now();
    for _ in 0..50_000 {
        span(&telemetry, "work");
    }
    // The exporter gives up on a batch after ten seconds; nothing here may have waited for it.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let ShutdownError::Deadline { spans, .. } = telemetry.shutdown().unwrap_err() else { panic!() };
    assert!((2048..=2048 + 512).contains(&spans), "{spans} were kept in memory");
}

#[test]
fn a_sink_that_refuses_connections_is_told_at_shutdown() {
    in_clean_env!();
    let telemetry = Telemetry::builder("orders").endpoint(refused()).build().unwrap();
    span(&telemetry, "work");
    let error = telemetry.shutdown().unwrap_err();
    let ShutdownError::Export { spans: 1, cause, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("refused"), "{cause}");
}

#[test]
fn a_redirect_takes_neither_spans_nor_headers_elsewhere() {
    in_clean_env!();
    let elsewhere = Sink::start(Answer::Ok);
    let sink = Sink::start(Answer::Redirect(elsewhere.url.clone().leak()));
    let telemetry = Telemetry::builder("orders").endpoint(&sink.url).build().unwrap();
    span(&telemetry, "work");
    let error = telemetry.shutdown().unwrap_err().to_string();
    assert!(error.contains("307"), "{error}");
    assert!(elsewhere.heads().is_empty(), "{:?}", elsewhere.heads());
}

#[test]
fn a_port_for_grpc_is_told_as_one() {
    in_clean_env!();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let address = runtime.block_on(crate::own_registry::serve_http2());
    let endpoint = format!("http://{address}");
    let telemetry = Telemetry::builder("orders").endpoint(endpoint).build().unwrap();
    span(&telemetry, "work");
    let error = telemetry.shutdown().unwrap_err().to_string();
    assert!(error.contains("does not speak HTTP/1") && error.contains("4318"), "{error}");
}

#[test]
fn a_sink_that_answers_no_is_told_at_shutdown() {
    in_clean_env!();
    let sink = Sink::start(Answer::Status(401));
    let telemetry = Telemetry::builder("orders").endpoint(&sink.url).build().unwrap();
    span(&telemetry, "work");
    let error = telemetry.shutdown().unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    assert_eq!(sink.heads().len(), 1, "401 is not to be tried again");
}

#[test]
fn a_shutdown_without_spans_is_quick_and_good_even_without_a_collector() {
    in_clean_env!();
    let telemetry = Telemetry::builder("orders").endpoint(refused()).build().unwrap();
    telemetry.shutdown().unwrap();
}

#[test]
fn dropping_the_guard_inside_a_hanging_current_thread_runtime_ends() {
    in_clean_env!();
    let sink = Sink::start(Answer::Never);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    runtime.block_on(async {
        let telemetry = Telemetry::builder("orders")
            .endpoint(&sink.url)
            .shutdown_timeout(Duration::from_millis(200))
            .build()
            .unwrap();
        span(&telemetry, "work");
        drop(telemetry);
    });
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
