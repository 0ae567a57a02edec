//! From `tracing` spans to OpenTelemetry spans, without those of the libraries underneath.

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use throughline_core::semconv;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::env::{Env, SDK_DISABLED};

/// Crates whose spans tell of their own work (a frame, a poll, a connection), by the first
/// segment of a target. Most of them run on tasks that outlive any request: there each span is a
/// root, and a service at `RUST_LOG=debug` exports more of those than of its own.
const LIBRARIES: [&str; 18] = [
    "h2",
    "h3",
    "hyper",
    "hyper_util",
    "mio",
    "opentelemetry",
    "opentelemetry-http",
    "opentelemetry-otlp",
    "opentelemetry_sdk",
    "quinn",
    "reqwest",
    "rustls",
    // Its lines belong to no span, and would be held for told while `RUST_LOG` mutes them.
    "throughline_telemetry",
    "tokio",
    "tonic",
    "tower",
    "tower_http",
    "tracing_opentelemetry",
];

/// The AWS SDK is hundreds of crates: `aws_smithy_runtime`, `aws_sdk_sqs`, …; tokio's own spans
/// have targets such as `runtime.spawn`.
const LIBRARY_PREFIXES: [&str; 6] =
    ["aws_config", "aws_runtime", "aws_sdk_", "aws_sigv4", "aws_smithy_", "runtime."];

/// Which `tracing` spans become OpenTelemetry spans: those of the application, at [`level`] and
/// above; never those of the HTTP, RPC, TLS and AWS crates underneath it (h2, hyper, tower,
/// tower-http, tonic, reqwest, rustls, the AWS SDK, OpenTelemetry), at any level.
///
/// It has nothing to do with `RUST_LOG`, which decides what is *logged*: quieter logs must not
/// take spans out of a trace, and louder ones must not fill it with spans of libraries. Events
/// follow the same rule: those it lets pass become events of their span.
///
/// [`level`]: SpanFilter::level
#[derive(Clone, Debug)]
#[must_use]
pub struct SpanFilter {
    level: LevelFilter,
}

impl Default for SpanFilter {
    /// `INFO`, the level of `#[instrument]`.
    fn default() -> Self {
        Self { level: LevelFilter::INFO }
    }
}

impl SpanFilter {
    /// Lets spans at `level` and above pass; `INFO` unless set. `OFF` exports none.
    pub fn level(mut self, level: LevelFilter) -> Self {
        self.level = level;
        self
    }

    fn allows(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && !is_library(metadata.target())
    }
}

fn is_library(target: &str) -> bool {
    let krate = target.split_once("::").map_or(target, |(krate, _)| krate);
    LIBRARIES.contains(&krate) || LIBRARY_PREFIXES.iter().any(|prefix| krate.starts_with(prefix))
}

impl<S> Filter<S> for SpanFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.allows(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.allows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }
}

/// The layer that makes OpenTelemetry spans of `tracing` spans, with `provider`, for a registry
/// of one's own; [`init`](crate::init) installs it otherwise.
///
/// Spans carry their fields and their target. Source locations, threads, busy and idle times and
/// errors as exception events are left off; an `ERROR` event sets the status of its span. With
/// `OTEL_SDK_DISABLED=true` the layer does nothing.
#[must_use]
pub fn otel_layer<S>(
    provider: &SdkTracerProvider,
    filter: SpanFilter,
) -> impl Layer<S> + Send + Sync + 'static + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // Over a provider that makes no spans, entering one would put an invalid context in the place
    // of a remote parent that ought to go on.
    let disabled = Env::default().flag(SDK_DISABLED);
    let filter = if disabled { filter.level(LevelFilter::OFF) } else { filter };
    let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(semconv::SCHEMA_URL)
        .build();
    tracing_opentelemetry::layer()
        // On by default, and all depends on it.
        .with_context_activation(true)
        .with_tracer(provider.tracer_with_scope(scope))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false)
        .with_error_events_to_exceptions(false)
        .with_filter(filter)
}
