use std::future::pending;
use std::sync::Arc;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Sampler;
use throughline_core::codec::traceparent;
use throughline_core::{Config, Description, InContext, Trust, W3cPropagator};
use throughline_lineage::{Kind, Span, TraceId};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinSet, yield_now};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::Outbound;
use super::bench::{Bench, Left};
use crate::Recorder;
use crate::battery::checks::{
    BAGGAGE, Ending, NoThenYes, SAMPLED, TRACESTATE, UNSAMPLED, caller, ended_as, is_child,
    is_onward, is_same, needs_threads, only, remote, the_span,
};
use crate::battery::{Failed, Headers, Outcome};
use crate::convert::ids;

/// Where a message is sent from: a span in the trace of a caller, recorded elsewhere.
fn ambient(traceparent: &str) -> Context {
    let caller = Context::new().with_remote_span_context(remote(traceparent));
    let tracer = Recorder::new().provider().tracer("battery");
    let span = tracer.start_with_context("handler", &caller);
    caller.with_span(span).with_baggage([KeyValue::new("user", "alice")])
}

/// The context of a message that was created elsewhere.
const CREATED: &str = "00-11111111111111111111111111111111-2222222222222222-01";

fn parsed(headers: &Headers) -> Result<SpanContext, String> {
    let value = only(headers, "traceparent")?;
    let parent = traceparent::parse(value.as_bytes());
    let parent = parent.map_err(|error| format!("the message left with {error}: {value}"))?;
    Ok(parent.into_span_context(<_>::default()))
}

/// Whether the headers carry this span.
fn carries(headers: &Headers, span: &Span) -> Outcome {
    let left = parsed(headers)?;
    ensure!(
        ids(&left) == Some((span.trace_id, span.span_id)),
        "the message left with span {} of trace {}, not with its own, {} of trace {}",
        left.span_id(),
        left.trace_id(),
        span.span_id,
        span.trace_id
    );
    Ok(())
}

pub(super) async fn injects<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let (bench, context) = (Bench::new(driver).await, ambient(SAMPLED));
    let left = bench.send(Headers::new(), context.clone()).await?;
    let span = bench.the_span().await?;
    is_child(&span, context.span().span_context(), "the current one")?;
    carries(&left, &span)?;
    let flags = parsed(&left)?.trace_flags().to_u8();
    ensure!(flags == 3, "the trace flags are 03 (sampled, random) and left as {flags:02x}");
    for (name, value) in [("tracestate", TRACESTATE), ("baggage", BAGGAGE)] {
        let left = only(&left, name)?;
        ensure!(left == value, "{name} is `{value}` and left as `{left}`");
    }
    Ok(())
}

pub(super) async fn starts<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let left = bench.send(Headers::new(), Context::new()).await?;
    let span = bench.the_span().await?;
    ensure!(span.parent.is_none(), "nothing is current, and the span is no root");
    carries(&left, &span)?;
    for name in ["tracestate", "baggage"] {
        let count = left.get_all(name).count();
        ensure!(
            count == 0,
            "there is no {name}, and the message left with one: nothing empty is sent"
        );
    }
    Ok(())
}

pub(super) async fn replaces<D: Outbound>(
    driver: &Arc<D>,
    [parent, state, baggage]: [&str; 3],
) -> Outcome {
    // What is valid may have been put there on purpose.
    let stale = if D::KEEPS_CREATION { "stale" } else { CREATED };
    let carrier = || {
        let mut headers =
            Headers::from([(parent, stale), (state, "stale=1"), (baggage, "stale=1")]);
        // Left by somebody who appended.
        headers.push(parent, stale);
        headers.push("x-kept", "yes");
        headers
    };
    let (bench, context) = (Bench::new(driver).await, ambient(SAMPLED));
    let left = bench.send(carrier(), context).await?;
    carries(&left, &bench.the_span().await?)?;
    for (name, value) in [("tracestate", TRACESTATE), ("baggage", BAGGAGE), ("x-kept", "yes")] {
        let left = only(&left, name)?;
        ensure!(left == value, "{name} should leave as `{value}`, and left as `{left}`");
    }
    // Nothing takes the place of what is stale here.
    let bench = Bench::new(driver).await;
    let left = bench.send(carrier(), Context::new()).await?;
    carries(&left, &bench.the_span().await?)?;
    for name in ["tracestate", "baggage"] {
        let count = left.get_all(name).count();
        ensure!(count == 0, "a stale {name} left with another trace");
    }
    Ok(())
}

/// A handler that sends on what it was given, with all its headers.
pub(super) async fn replaces_copies<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let came = || Headers::from([("traceparent", SAMPLED), ("tracestate", "stale=1")]);
    for trust in [Trust::Continue, Trust::Link, Trust::Ignore] {
        let provider = Recorder::new().provider();
        let config = Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let config = config.with_tracer_provider(&provider).with_propagator(W3cPropagator::new());
        let config = config.trust(trust);
        let extraction = config.extract(&caller(SAMPLED));
        let describe = || Description::new("handler", 0);
        let handled = config.receive(extraction, SpanKind::Consumer, describe);
        // Deep inside.
        let span = provider.tracer("battery").start_with_context("inner", handled.context());
        let context = handled.context().with_span(span);
        let bench = Bench::new(driver).await;
        let left = bench.send(came(), context.clone()).await?;
        let span = bench.the_span().await?;
        is_child(&span, context.span().span_context(), "the current one")?;
        carries(&left, &span)?;
        let state = left.get_all("tracestate").any(|state| state == b"stale=1");
        ensure!(!state, "the tracestate that came left again, with another span");
    }
    Ok(())
}

pub(super) async fn keeps_creation<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let brought = [("traceparent", CREATED), ("tracestate", "created=1"), ("baggage", "created=1")];
    for context in [ambient(SAMPLED), Context::new()] {
        let bench = Bench::new(driver).await;
        let left = bench.send(brought.into(), context).await?;
        for (name, value) in brought {
            let left = only(&left, name)?;
            ensure!(left == value, "{name} was created as `{value}`, and left as `{left}`");
        }
        // It isn't this span that the message carries.
        let span = the_span(&bench.recorder, Kind::Client, driver.patience()).await?;
        let linked = span
            .links
            .iter()
            .any(|link| format!("00-{}-{}-01", link.trace_id, link.span_id) == CREATED);
        ensure!(linked, "the span isn't linked to the one that the message was created in");
    }
    Ok(())
}

pub(super) async fn keeps_unsampled<D: Outbound>(driver: &Arc<D>, layers: usize) -> Outcome {
    let bench = Bench::with(driver, Recorder::new(), |setup| setup.layers = layers).await;
    let came = remote(UNSAMPLED);
    let context = Context::new().with_remote_span_context(came.clone());
    let context = context.with_baggage([KeyValue::new("user", "alice")]);
    let left = bench.send(Headers::new(), context).await?;
    bench.no_span().map_err(|error| format!("the current trace is not sampled, and {error}"))?;
    is_onward(&only(&left, "traceparent")?, UNSAMPLED)?;
    for (name, value) in [("tracestate", TRACESTATE), ("baggage", BAGGAGE)] {
        let left = only(&left, name)?;
        ensure!(left == value, "{name} is `{value}` and left as `{left}`");
    }
    Ok(())
}

pub(super) async fn tells_dropped<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let recorder = Recorder::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let bench = Bench::with(driver, recorder, |_| ()).await;
    let left = parsed(&bench.send(Headers::new(), Context::new()).await?)?;
    bench.no_span()?;
    ensure!(!left.is_sampled(), "the sampler said no, and the message left as sampled");
    Ok(())
}

pub(super) async fn after_shutdown<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let (bench, context) = (Bench::new(driver).await, ambient(SAMPLED));
    bench.setup.provider.sdk().shutdown().map_err(|error| error.to_string())?;
    let left = bench.send(Headers::new(), context.clone()).await?;
    let what = "after the provider's shutdown the context that leaves";
    is_same(&parsed(&left)?, context.span().span_context(), what)
}

pub(super) async fn ends_on_success<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    bench.send(Headers::new(), ambient(SAMPLED)).await?;
    ended_as(&bench.the_span().await?, Ending::Success)
}

pub(super) async fn ends_on_error<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::with(driver, Recorder::new(), |setup| setup.refused = true).await;
    let sending = bench.try_here(Headers::new(), || async { Err(Failed) });
    // What a broker refuses nobody may see.
    InContext::new(sending, ambient(SAMPLED)).await?.at_most_one()?;
    ended_as(&bench.the_span().await?, Ending::Failure)
}

pub(super) async fn ends_on_cancel<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let (left, waits, patience) = (Left::default(), Arc::new(Notify::new()), driver.patience());
    let peer = left.peer({
        let waits = Arc::clone(&waits);
        move || {
            let waits = Arc::clone(&waits);
            async move {
                yield_now().await;
                waits.notify_one();
                pending().await
            }
        }
    });
    let sending = driver.send(&bench.boundary, Headers::new(), peer);
    let mut sending = Box::pin(InContext::new(sending, ambient(SAMPLED)));
    tokio::select! {
        () = &mut sending => return Err("the message was done before it was answered".to_owned()),
        waits = tokio::time::timeout(patience, waits.notified()) => {
            ensure!(waits.is_ok(), "the message did not leave within {patience:?}");
        }
    }
    drop(sending);
    ended_as(&bench.the_span().await?, Ending::Cancel)
}

/// What nobody waits for any more is sent all the same, and answered.
pub(super) async fn ends_unawaited<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let (left, dropped) = (Left::default(), Arc::new(Semaphore::new(0)));
    let peer = left.peer({
        let dropped = Arc::clone(&dropped);
        move || {
            let dropped = Arc::clone(&dropped);
            async move {
                // It is closed then.
                drop(dropped.acquire().await);
                Ok(())
            }
        }
    });
    let sending = driver.send(&bench.boundary, Headers::new(), peer);
    let mut sending = Box::pin(InContext::new(sending, ambient(SAMPLED)));
    let first = futures_util::poll!(&mut sending);
    ensure!(first.is_pending(), "the message was done before it was answered");
    drop(sending);
    dropped.close();
    left.wait(driver.patience()).await;
    carries(&left.headers()?, &bench.the_span().await?)?;
    // One that leaves no span is answered after it: by then all has been done to it.
    let unsampled = Context::new().with_remote_span_context(remote(UNSAMPLED));
    bench.send(Headers::new(), unsampled).await?;
    left.headers()?;
    ended_as(&bench.the_span().await?, Ending::Success)
}

pub(super) async fn nests_in_tracing<D: Outbound>(driver: &Arc<D>) -> Outcome {
    let (bench, outside) = (Bench::new(driver).await, Recorder::new());
    let tracer = outside.provider().tracer("battery");
    // Spans of the library underneath are filtered in earnest, too.
    let is_ours = |span: &tracing::Metadata<'_>| span.target() == module_path!();
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(is_ours));
    let sending = async {
        let sending = bench.send_here(Headers::new(), || async { Ok(()) });
        sending.instrument(tracing::info_span!("handler")).await
    };
    let left = sending.with_subscriber(tracing_subscriber::registry().with(layer)).await?;
    let span = bench.the_span().await?;
    let patience = driver.patience();
    let outer = outside.wait_for(1, patience).await.map_err(|error| error.to_string())?;
    ensure!(
        span.parent == Some(outer[0].span_id) && span.trace_id == outer[0].trace_id,
        "the span is no child of the tracing span that it was sent in"
    );
    carries(&left, &span)
}

pub(super) async fn applied_twice<D: Outbound>(driver: &Arc<D>) -> Outcome {
    for context in [ambient(SAMPLED), Context::new()] {
        let bench = Bench::with(driver, Recorder::new(), |setup| setup.layers = 2).await;
        let left = bench.send(Headers::new(), context).await?;
        let span = bench.the_span().await?;
        carries(&left, &span)?;
        ended_as(&span, Ending::Success)?;
    }
    let recorder = Recorder::with_sampler(NoThenYes::default());
    let bench = Bench::with(driver, recorder, |setup| setup.layers = 2).await;
    bench.send(Headers::new(), Context::new()).await?;
    bench.no_span().map_err(|error| format!("the sampler said no, was asked again, and {error}"))
}

pub(super) async fn isolates<D: Outbound>(driver: &Arc<D>) -> Outcome {
    const MESSAGES: u64 = 1000;
    needs_threads()?;
    let bench = Arc::new(Bench::new(driver).await);
    let mut messages = JoinSet::new();
    for number in 1..=MESSAGES {
        let bench = Arc::clone(&bench);
        let context = ambient(&format!("00-{number:032x}-{number:016x}-01"));
        let context = context.with_baggage([KeyValue::new("message", number.to_string())]);
        #[expect(clippy::disallowed_methods, reason = "each message has a context of its own")]
        messages.spawn(async move {
            let answer = || async {
                yield_now().await;
                Ok(())
            };
            let left = bench.send_to(Headers::new(), context.clone(), answer).await?;
            let (trace, baggage) = (parsed(&left)?.trace_id(), only(&left, "baggage")?);
            ensure!(
                trace == u128::from(number).into() && baggage == format!("message={number}"),
                "message {number} left with trace {trace} and the baggage `{baggage}`"
            );
            Ok((ids(context.span().span_context()), ids(&parsed(&left)?)))
        });
    }
    let mut sent = std::collections::HashMap::new();
    while let Some(message) = messages.join_next().await {
        let (parent, left) = message.map_err(|error| error.to_string())??;
        sent.insert(left, parent);
    }
    let wanted = usize::try_from(MESSAGES).unwrap_or(usize::MAX);
    let spans = bench.recorder.wait_for(wanted, driver.patience()).await;
    let spans = spans.map_err(|error| format!("{} of {MESSAGES} spans ended", error.count()))?;
    ensure!(spans.len() == wanted, "{MESSAGES} messages made {} spans", spans.len());
    for span in &spans {
        let parent = sent.get(&Some((span.trace_id, span.span_id))).copied().flatten();
        let found: Option<(TraceId, _)> = span.parent.map(|parent| (span.trace_id, parent));
        ensure!(found.is_some() && found == parent, "a span has the parent of another message");
    }
    Ok(())
}
