//! reqwest-tracing with the newest OpenTelemetry it knows, 0.32: provider and
//! context must be of that version too, so the harness's own can't serve.

use harness::{Expect, Mode, PARENT_SPAN_ID, TRACE_ID, client};
use opentelemetry_0_32 as opentelemetry;
use opentelemetry_sdk_0_32 as opentelemetry_sdk;
use tracing_opentelemetry_0_33 as tracing_opentelemetry;

use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState, TracerProvider as _};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt as _;

static ENDED: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Drop;

impl SpanProcessor for Drop {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        ENDED.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn check(mode: Mode, requests: u64) -> Result<(), String> {
    let ended = ENDED.load(Ordering::Relaxed);
    let wanted = if mode == Mode::Sampled { requests } else { 0 };
    if ended != wanted {
        return Err(format!("{wanted} spans expected, got {ended}"));
    }
    let sent = client::sent()?;
    let right = sent.iter().all(|(trace, _, flags)| {
        flags.is_sampled() == (mode == Mode::Sampled)
            && (mode == Mode::Dropped || trace.to_string() == TRACE_ID)
    });
    if right { Ok(()) } else { Err(format!("the context was lost: {sent:?}")) }
}

fn main() -> ExitCode {
    client::main(Expect::Own(check), |client, _, mode| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let root = if mode == Mode::Dropped { Sampler::AlwaysOff } else { Sampler::AlwaysOn };
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(root)))
            .with_span_processor(Drop)
            .build();
        let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(otel))
            .expect("it is the first");
        // Neither may go before the last request, and `main` ends right after it.
        std::mem::forget(provider);
        if mode != Mode::Dropped {
            let flags =
                if mode == Mode::Sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
            let trace = TraceId::from_hex(TRACE_ID).expect("it is hex");
            let span = SpanId::from_hex(PARENT_SPAN_ID).expect("it is hex");
            let parent = SpanContext::new(trace, span, flags, true, TraceState::NONE);
            std::mem::forget(Context::new().with_remote_span_context(parent).attach());
        }
        client.with(reqwest_tracing::TracingMiddleware::default())
    })
}
