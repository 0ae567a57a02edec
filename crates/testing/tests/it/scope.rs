#![expect(clippy::disallowed_methods, reason = "shows what is lost without")]

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer};
use opentelemetry_sdk::trace::Sampler;
use throughline_core::{Config, Description, End};
use throughline_testing::Recorder;
use throughline_testing::lineage::Trace;
use tokio::sync::Barrier;

const SOON: Duration = Duration::from_secs(10);
const SAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn config() -> Config {
    Config::new("test", "1")
}

async fn serve(traceparent: &str) {
    let headers = vec![("traceparent".to_owned(), traceparent.to_owned())];
    let config = config();
    let span =
        config.receive(config.extract(&headers), SpanKind::Server, || Description::new("serve", 0));
    let ((), span) = span
        .process(async {
            tokio::task::yield_now().await;
            drop(global::tracer("test").start("work"));
        })
        .await;
    span.end(End::Completed);
}

#[track_caller]
fn outlines(recorder: &Recorder) -> Vec<String> {
    assert!(recorder.open_spans().is_empty());
    recorder.forest().traces().iter().map(Trace::outline).collect()
}

const SERVED: &str = "serve server (parent missing)\n  work internal\n";

#[tokio::test(flavor = "multi_thread")]
async fn scopes_side_by_side_see_their_own_spans_though_the_trace_is_the_same() {
    let barrier = Arc::new(Barrier::new(8));
    let tests = (0..8).map(|_| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            let recorder = Recorder::new();
            recorder
                .scope(async {
                    barrier.wait().await;
                    serve(SAME).await;
                    barrier.wait().await;
                })
                .await;
            recorder
        })
    });
    for test in tests.collect::<Vec<_>>() {
        assert_eq!(outlines(&test.await.unwrap()), [SERVED]);
    }
}

#[tokio::test]
async fn a_task_that_continues_a_trace_is_found() {
    let (send, mut receive) = tokio::sync::mpsc::channel::<String>(1);
    // A server that was there before the test began, and knows of no scope.
    let server = tokio::spawn(async move {
        while let Some(traceparent) = receive.recv().await {
            serve(&traceparent).await;
        }
    });
    let recorder = Recorder::new();
    recorder
        .scope(async {
            let config = config();
            let call = config.send(SpanKind::Client, || Description::new("call", 0));
            let mut headers: Vec<(String, String)> = Vec::new();
            config.inject(call.context(), &mut headers);
            send.send(headers.remove(0).1).await.unwrap();
            call.end(End::Completed);
        })
        .await;
    recorder.wait_for(3, SOON).await.unwrap();
    assert_eq!(outlines(&recorder), ["call client\n  serve server\n    work internal\n"]);
    drop(send);
    server.await.unwrap();
}

#[tokio::test]
async fn a_context_that_is_lost_in_the_runtime_is_seen() {
    let recorder = Recorder::new();
    recorder
        .scope(async {
            let config = config();
            let span = config.send(SpanKind::Client, || Description::new("call", 0));
            let ((), span) = span
                .process(async {
                    tokio::spawn(async { drop(global::tracer("test").start("lost")) })
                        .await
                        .unwrap();
                })
                .await;
            span.end(End::Completed);
        })
        .await;
    assert_eq!(outlines(&recorder), ["call client\n", "lost internal\n"]);
}

#[tokio::test]
async fn a_linked_job_is_seen() {
    let recorder = Recorder::new();
    recorder
        .scope(async {
            throughline_task::spawn_linked("nightly", async {
                drop(global::tracer("test").start("work"));
            })
            .await
            .unwrap();
        })
        .await;
    recorder.wait_for(2, SOON).await.unwrap();
    assert_eq!(outlines(&recorder), ["nightly internal\n  work internal\n"]);
}

#[test]
fn a_scope_without_a_runtime() {
    let recorder = Recorder::new();
    recorder.scope_blocking(|| {
        global::tracer("test").in_span("work", |_| drop(global::tracer("test").start("part")));
    });
    assert_eq!(outlines(&recorder), ["work internal\n  part internal\n"]);
}

#[test]
fn each_scope_has_its_sampler_and_counts_ends() {
    let off = Recorder::with_sampler(Sampler::AlwaysOff);
    off.scope_blocking(|| drop(global::tracer("test").start("work")));
    assert!(off.spans().is_empty());
    let on = Recorder::new();
    on.scope_blocking(|| {
        global::tracer("test").in_span("work", |context| {
            context.span().end();
            context.span().end();
        });
    });
    assert_eq!(on.ended_twice(), [("work".to_owned(), 2)]);
}
