//! What happens to a span while its message is handled.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{Tracer, TracerProvider};
use throughline_core::{InContext, boundary, semconv};
use throughline_lineage::{AnyValue, SpanId, Status};
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::Inbound;
use super::bench::Bench;
use crate::battery::checks::{
    Ending, Eyes, SAMPLED, caller, ended_as, is_child, is_current, needs_threads, remote,
};
use crate::battery::{Failed, Handler, Headers, Outcome};

pub(super) async fn stays_current<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let eyes = bench
        .deliver(caller(SAMPLED), |eyes| async move {
            let _last = eyes.on_drop("at the end of the handler");
            eyes.look("at the start of the handler");
            yield_now().await;
            eyes.look("after an await");
            yield_now().await;
            Ok(())
        })
        .await?;
    let span = bench.the_span().await?;
    for moment in ["at the start of the handler", "after an await", "at the end of the handler"] {
        is_current(&eyes.at(moment)?, &span, moment)?;
    }
    let bench = Bench::new(driver).await;
    let eyes = cancel(&bench).await?;
    let span = bench.the_span().await?;
    let moment = "while a cancelled handler is dropped";
    is_current(&eyes.at(moment)?, &span, moment)
}

/// Delivers a message whose handler never ends, and gives up on it.
async fn cancel<D: Inbound>(bench: &Bench<D>) -> Result<Eyes, String> {
    let (eyes, waits) = (Eyes::default(), Arc::new(Notify::new()));
    let handler = Handler::new({
        let (eyes, waits) = (eyes.clone(), Arc::clone(&waits));
        move || {
            let (eyes, waits) = (eyes.clone(), Arc::clone(&waits));
            Box::pin(async move {
                let _last = eyes.on_drop("while a cancelled handler is dropped");
                yield_now().await;
                waits.notify_one();
                pending().await
            })
        }
    });
    let patience = bench.driver.patience();
    let mut delivery = Box::pin(bench.driver.deliver(&bench.boundary, caller(SAMPLED), handler));
    tokio::select! {
        () = &mut delivery => {
            return Err("the message was done before its handler was".to_owned());
        }
        waits = tokio::time::timeout(patience, waits.notified()) => {
            ensure!(waits.is_ok(), "the handler did not run within {patience:?}");
        }
    }
    ensure!(bench.recorder.spans().is_empty(), "the span had ended before its message was done");
    drop(delivery);
    Ok(eyes)
}

pub(super) async fn ends_on_success<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let recorder = bench.recorder.clone();
    bench
        .deliver(caller(SAMPLED), move |eyes| {
            let recorder = recorder.clone();
            async move {
                yield_now().await;
                if recorder.spans().is_empty() {
                    eyes.look("while the span was open");
                }
                Ok(())
            }
        })
        .await?
        .at("while the span was open")
        .map_err(|_| "the span had ended before its message was done".to_owned())?;
    ended_as(&bench.the_span().await?, Ending::Success)
}

pub(super) async fn ends_on_error<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    bench.deliver(caller(SAMPLED), |_| async { Err(Failed) }).await?;
    ended_as(&bench.the_span().await?, Ending::Failure)
}

pub(super) async fn ends_on_panic<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let panics = |_| async {
        yield_now().await;
        // Like a panic, but for the message on standard error, which would look like a failure.
        resume_unwind(Box::new("the battery wanted a panic"))
    };
    bench.try_deliver(caller(SAMPLED), panics).await?;
    ended_as(&bench.the_span().await?, Ending::Panic)
}

pub(super) async fn ends_on_cancel<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    cancel(&bench).await?;
    ended_as(&bench.the_span().await?, Ending::Cancel)
}

pub(super) async fn nests_tracing<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let provider = bench.setup.provider.clone();
    bench
        .deliver(caller(SAMPLED), move |_| {
            let tracer = provider.tracer("battery");
            let layer = tracing_opentelemetry::layer().with_tracer(tracer.clone());
            let work = async move {
                let native = async move {
                    yield_now().await;
                    drop(tracer.start("native"));
                };
                native.instrument(tracing::info_span!("tracing")).await;
                Ok(())
            };
            work.with_subscriber(tracing_subscriber::registry().with(layer))
        })
        .await?;
    let wanted = bench.recorder.wait_for(3, bench.driver.patience()).await;
    let spans = wanted.map_err(|error| error.to_string())?;
    let find = |name: &str| {
        let span = spans.iter().find(|span| span.name == name);
        span.ok_or_else(|| format!("the span `{name}` is missing"))
    };
    let (outer, inner) = (find("tracing")?, find("native")?);
    let own = spans.iter().find(|span| !["tracing", "native"].contains(&span.name.as_str()));
    let own = own.ok_or("the boundary made no span")?;
    is_child(own, &remote(SAMPLED), "the caller's")?;
    ensure!(
        outer.parent == Some(own.span_id),
        "a tracing span in the handler is no child of the boundary's span"
    );
    ensure!(
        inner.parent == Some(outer.span_id),
        "a native span in a tracing span in the handler is no child of the tracing span"
    );
    Ok(())
}

pub(super) async fn hands_out<D: Inbound>(driver: &Arc<D>) -> Outcome {
    const IN_HANDLER: &str = "battery.in_handler";
    const IN_TASK: &str = "battery.in_task";
    const BY_HANDLE: &str = "battery.by_handle";
    let bench = Bench::new(driver).await;
    bench
        .deliver(caller(SAMPLED), |_| async {
            boundary().set_attribute(IN_HANDLER, true);
            let in_task = async { boundary().set_attribute(IN_TASK, true) };
            #[expect(clippy::disallowed_methods, reason = "its context goes along by hand")]
            let in_task = tokio::spawn(InContext::new(in_task, Context::current()));
            let handle = boundary();
            #[expect(clippy::disallowed_methods, reason = "a handle must do without a context")]
            let by_handle = tokio::spawn(async move { handle.set_attribute(BY_HANDLE, true) });
            in_task.await.and(by_handle.await).map_err(|_| Failed)
        })
        .await?;
    let span = bench.the_span().await?;
    for name in [IN_HANDLER, IN_TASK, BY_HANDLE] {
        ensure!(
            span.attributes.get(name) == Some(&AnyValue::Bool(true)),
            "boundary() does not reach the span: {name} is missing"
        );
    }
    let bench = Bench::new(driver).await;
    let fails = |_| async {
        boundary().fail(&Failed);
        Ok(())
    };
    bench.deliver(caller(SAMPLED), fails).await?;
    let span = bench.the_span().await?;
    ensure!(
        span.status == Status::Error(Failed.to_string())
            && span.attributes.get_str(semconv::ERROR_TYPE)
                == Some(std::any::type_name::<Failed>()),
        "boundary().fail(..) is lost: the status is {:?}",
        span.status
    );
    Ok(())
}

pub(super) async fn isolates<D: Inbound>(driver: &Arc<D>) -> Outcome {
    const MESSAGES: u64 = 1000;
    needs_threads()?;
    let bench = Arc::new(Bench::new(driver).await);
    let mut messages = JoinSet::new();
    for number in 1..=MESSAGES {
        let bench = Arc::clone(&bench);
        #[expect(clippy::disallowed_methods, reason = "each message brings its own trace")]
        messages.spawn(async move {
            let headers = Headers::from([
                ("traceparent", format!("00-{number:032x}-{number:016x}-01")),
                ("baggage", format!("message={number}")),
            ]);
            let eyes = bench.deliver(headers, |eyes| async move {
                for moment in ["at first", "after an await", "after two awaits"] {
                    eyes.look(moment);
                    yield_now().await;
                }
                Ok(())
            });
            Ok::<_, String>((number, eyes.await?))
        });
    }
    while let Some(message) = messages.join_next().await {
        let (number, eyes) = message.map_err(|error| error.to_string())??;
        for (moment, seen) in eyes.all() {
            let trace = seen.span.trace_id();
            ensure!(
                trace == u128::from(number).into() && seen.baggage() == format!("message={number}"),
                "{moment}, message {number} was handled in trace {trace} with the baggage `{}`",
                seen.baggage()
            );
        }
    }
    let wanted = usize::try_from(MESSAGES).unwrap_or(usize::MAX);
    let spans = bench.recorder.wait_for(wanted, bench.driver.patience()).await;
    let spans = spans.map_err(|error| format!("{} of {MESSAGES} spans ended", error.count()))?;
    ensure!(spans.len() == wanted, "{MESSAGES} messages made {} spans", spans.len());
    for span in &spans {
        let id = span.trace_id.to_string();
        let parent: Option<SpanId> = id[16..].parse().ok();
        ensure!(span.parent == parent, "a span in trace {id} has the parent of another message");
    }
    Ok(())
}
