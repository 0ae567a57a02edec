//! A provider that does with its spans what costs least: it drops them.

use crate::{Mode, PARENT_SPAN_ID, TRACE_ID};
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, TraceState};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The spans of a `check`: unset, and they are dropped, while something is counted.
pub type Kept = Arc<OnceLock<Mutex<Vec<SpanData>>>>;

/// The context that the other side got to see: the handler, or the next service.
pub type Seen = (TraceId, SpanId, TraceFlags);

#[derive(Debug)]
struct DropOrKeep(Kept);

impl SpanProcessor for DropOrKeep {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(kept) = self.0.get() {
            kept.lock().expect("nothing panics in here").push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Parent-based, as the SDK's default is; in [`Mode::Dropped`] roots are refused.
pub fn provider(mode: Mode) -> (SdkTracerProvider, Kept) {
    let kept = Kept::default();
    let root = if mode == Mode::Dropped { Sampler::AlwaysOff } else { Sampler::AlwaysOn };
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_span_processor(DropOrKeep(kept.clone()))
        .build();
    (provider, kept)
}

/// The parent as a propagator would have left it in the context; none in [`Mode::Dropped`].
pub fn parent(mode: Mode) -> Context {
    let flags = match mode {
        Mode::Sampled => TraceFlags::SAMPLED,
        Mode::Unsampled => TraceFlags::NOT_SAMPLED,
        Mode::Dropped => return Context::new(),
    };
    let span_context = SpanContext::new(
        TraceId::from_hex(TRACE_ID).expect("it is hex"),
        SpanId::from_hex(PARENT_SPAN_ID).expect("it is hex"),
        flags,
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(span_context)
}

/// Fails unless each request left exactly what its mode demands.
pub fn verify(
    mode: Mode,
    kind: SpanKind,
    name: &str,
    kept: &Kept,
    seen: &[Seen],
    requests: u64,
) -> Result<(), String> {
    let spans = kept.get().ok_or("nothing was kept")?.lock().map_err(|e| e.to_string())?;
    verify_all(mode, kind, name, &spans, seen, requests)
}

/// The same, of these spans.
pub fn verify_all(
    mode: Mode,
    kind: SpanKind,
    name: &str,
    spans: &[SpanData],
    seen: &[Seen],
    requests: u64,
) -> Result<(), String> {
    let wanted = if mode == Mode::Sampled { requests } else { 0 };
    if spans.len() as u64 != wanted {
        return Err(format!("{wanted} spans expected, got {}: {spans:#?}", spans.len()));
    }
    if seen.len() as u64 != requests {
        return Err(format!("{requests} contexts expected beyond the layer, got {seen:?}"));
    }
    for (_, _, flags) in seen {
        if flags.is_sampled() != (mode == Mode::Sampled) {
            return Err(format!("the decision was lost beyond the layer: {seen:?}"));
        }
    }
    // Where nothing came in, the dropped trace has an id of its own all the same.
    let right = |trace: &TraceId| match mode {
        Mode::Dropped => *trace != TraceId::INVALID,
        Mode::Sampled | Mode::Unsampled => trace.to_string() == TRACE_ID,
    };
    if !seen.iter().all(|(trace, _, _)| right(trace)) {
        return Err(format!("the trace was lost beyond the layer: {seen:?}"));
    }
    for (span, (_, seen, _)) in spans.iter().zip(seen) {
        let right = span.name == name
            && span.span_kind == kind
            && span.span_context.trace_id().to_string() == TRACE_ID
            && span.parent_span_id.to_string() == PARENT_SPAN_ID
            && span.span_context.span_id() == *seen;
        if !right {
            return Err(format!("not the {name:?} expected, seen as {seen}: {span:#?}"));
        }
    }
    Ok(())
}
