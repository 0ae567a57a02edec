//! What becomes of a trace in a task.
#![expect(clippy::disallowed_methods, reason = "shows what is lost without")]

use std::future::pending;
use std::sync::Arc;

use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, global};
use throughline_core::{Config, Description, End, boundary};
use throughline_task::{Here, in_context, spawn, spawn_blocking, spawn_linked};
use throughline_testing::Recorder;
use tokio::sync::Notify;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

/// Runs a future as the handler of a message.
async fn handled<T>(config: Config, handler: impl Future<Output = T>) -> T {
    let none: Vec<(String, String)> = Vec::new();
    let extraction = config.extract(&none);
    let span = config.receive(extraction, SpanKind::Server, || Description::new("serve", 1));
    let (output, span) = span.process(handler).await;
    span.end(End::Completed);
    output
}

fn config(recorder: &Recorder) -> Config {
    Config::new("test", "1").with_tracer_provider(&recorder.provider())
}

#[tokio::test]
async fn a_task_belongs_to_its_message() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    handled(config(&recorder), async {
        let (first, second) = (tracer.clone(), tracer.clone());
        let task = spawn(async move {
            tokio::task::yield_now().await;
            boundary().set_attribute("from.task", true);
            drop(first.start("audit"));
        });
        let blocking = spawn_blocking(move || drop(second.start("hash")));
        task.await.expect("no panic");
        blocking.await.expect("no panic");
    })
    .await;
    recorder.assert_all_ended();
    recorder.assert_tree(
        "
        SERVER serve {from.task=true}
          INTERNAL audit
          INTERNAL hash
        ",
    );
}

#[tokio::test]
async fn without_it_the_trace_breaks_and_the_verdict_says_where() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    handled(config(&recorder), async {
        tokio::spawn(async move { drop(tracer.start("audit")) }).await.expect("no panic");
    })
    .await;
    let lost = recorder.check_no_orphans().expect_err("a raw spawn").to_string();
    assert!(lost.contains("broken task: `audit`") && lost.contains("use throughline::task::spawn"));
}

#[tokio::test]
async fn both_contexts_go_along() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer.clone());
    // For this thread, on which the runtime runs all its tasks.
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let work = async {
        // The native span is inside the tracing span: it has to be the parent, not hidden by it.
        let native = Context::current_with_span(tracer.start("native"));
        let attached = native.clone().attach();
        let task = spawn(async {
            let name = tracing::Span::current().metadata().map(tracing::Metadata::name);
            assert_eq!(name, Some("outer"));
            tracing::info_span!("in the task").in_scope(|| ());
        });
        let inner = tracer.clone();
        let blocking = spawn_blocking(move || drop(inner.start("on a thread")));
        drop(attached);
        task.await.expect("no panic");
        blocking.await.expect("no panic");
        native.span().end();
    };
    work.instrument(tracing::info_span!("outer")).await;
    recorder.assert_tree(
        "
        INTERNAL outer
          INTERNAL native
            INTERNAL in the task
            INTERNAL on a thread
        ",
    );
}

#[tokio::test]
async fn both_contexts_go_along_to_a_thread() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer.clone());
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let _subscriber = tracing::dispatcher::set_default(&dispatch);
    let work = async {
        let native = Context::current_with_span(tracer.start("native"));
        let attached = native.clone().attach();
        let subscriber = dispatch.clone();
        let blocking = spawn_blocking(move || {
            // The thread is another one: its subscriber has to be told, its span must be there.
            tracing::dispatcher::with_default(&subscriber, || {
                let name = tracing::Span::current().metadata().map(tracing::Metadata::name);
                tracing::info_span!("on a thread").in_scope(|| ());
                name
            })
        });
        drop(attached);
        assert_eq!(blocking.await.expect("no panic"), Some("outer"));
        native.span().end();
    };
    work.instrument(tracing::info_span!("outer")).await;
    recorder.assert_tree(
        "
        INTERNAL outer
          INTERNAL native
            INTERNAL on a thread
        ",
    );
}

#[tokio::test]
async fn a_task_is_dropped_in_its_context() {
    struct Last(opentelemetry::global::BoxedTracer);
    impl Drop for Last {
        fn drop(&mut self) {
            drop(self.0.start("rolled back"));
        }
    }
    let recorder = Recorder::new();
    recorder
        .scope(handled(Config::new("test", "1"), async {
            let waits = Arc::new(Notify::new());
            let (last, told) = (Last(global::tracer("test")), Arc::clone(&waits));
            let task = spawn(async move {
                let _last = last;
                told.notify_one();
                pending::<()>().await;
            });
            waits.notified().await;
            task.abort();
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
        }))
        .await;
    recorder.assert_tree("SERVER serve\n  INTERNAL rolled back");
}

#[tokio::test]
async fn a_linked_job_is_a_root_of_its_own() {
    let recorder = Recorder::new();
    recorder
        .scope(handled(Config::new("test", "1"), async {
            let done = spawn_linked("nightly", async {
                boundary().set_attribute("job.orders", 3);
                drop(global::tracer("test").start("work"));
            });
            done.await.expect("no panic");
            let panics = spawn_linked("broken", async {
                // Like a panic, without its words on standard error.
                std::panic::resume_unwind(Box::new("broken"));
            });
            assert!(panics.await.is_err_and(|error| error.is_panic()));
            let waits = Arc::new(Notify::new());
            let told = Arc::clone(&waits);
            let aborted = spawn_linked("given up", async move {
                told.notify_one();
                pending::<()>().await;
            });
            waits.notified().await;
            aborted.abort();
            assert!(aborted.await.is_err_and(|error| error.is_cancelled()));
        }))
        .await;
    recorder.assert_all_ended();
    recorder.assert_no_orphans();
    recorder.assert_tree(
        "
        SERVER serve
        INTERNAL nightly ~(serve) {throughline.root=nightly, job.orders=3}
          INTERNAL work
        INTERNAL broken ~(serve) !error {error.type=panic}
        INTERNAL given up ~(serve) {error.type=cancelled}
        ",
    );
}

/// As a `JoinSet` runs one, and as the task of an upgraded socket does, which is there later.
#[tokio::test]
async fn a_future_that_somebody_else_runs_belongs_to_its_message() {
    let recorder = Recorder::new();
    let tracer = recorder.provider().tracer("test");
    let mut later = None;
    handled(config(&recorder), async {
        let first = tracer.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(in_context(async move {
            tokio::task::yield_now().await;
            drop(first.start("joined"));
        }));
        tasks.join_all().await;
        later = Some(Here::new());
    })
    .await;
    // The span of the handshake has ended by now.
    let here = later.expect("the handler was there");
    let socket = here.run(async move { drop(tracer.start("socket")) });
    tokio::spawn(socket).await.expect("no panic");
    recorder.assert_all_ended();
    recorder.assert_tree("SERVER serve\n  INTERNAL joined\n  INTERNAL socket");
}
