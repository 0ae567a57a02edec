//! Start-up for traces and logs: one line that gives a service its exporter, its resource, its
//! sampling, its `tracing` subscriber and a shutdown that loses no span.
//!
//! ```no_run
//! # fn main() -> Result<(), throughline_telemetry::InitError> {
//! let _telemetry = throughline_telemetry::init("orders")?;
//!
//! tracing::info!("every line carries the ids of the trace it belongs to");
//! # Ok(())
//! # }
//! ```
//!
//! Keep the guard alive until the service ends: dropping it flushes the spans that are still in
//! memory. `let _ = init(..)` drops it at once; name it `_telemetry`.
//!
//! # The environment beats the code
//!
//! | variable | what it sets |
//! |---|---|
//! | `OTEL_SERVICE_NAME` | the name of the service |
//! | `OTEL_RESOURCE_ATTRIBUTES` | attributes of the resource, percent-encoded, `k=v,k=v` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | the sampler |
//! | `OTEL_TRACES_EXPORTER` | `otlp` (the default) or `none` |
//! | `OTEL_SDK_DISABLED` | `true`: no span is made, and a remote parent goes on unchanged |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the collector: a base URL, a whole URL |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `…_TRACES_HEADERS` | headers of each export |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT`, `…_TRACES_TIMEOUT` | milliseconds for one export with its retries |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL`, `…_TRACES_PROTOCOL` | `http/protobuf`; with anything else nothing is exported, and an error in the log says so |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `…_MAX_EXPORT_BATCH_SIZE`, `…_SCHEDULE_DELAY`, `…_EXPORT_TIMEOUT` | the queue of ended spans |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `…_EVENT_COUNT_LIMIT`, `…_LINK_COUNT_LIMIT` | the limits of a span |
//! | `OTEL_PROPAGATORS` | what the context travels in: `tracecontext`, `baggage` (both the default), `b3`, `b3multi`, `xray`, or `none`; the first that brings a trace is followed |
//! | `RUST_LOG` | which events are logged; never which spans are exported |
//!
//! # The parts, for a service with a registry of its own
//!
//! ```no_run
//! use throughline_telemetry::{Logs, SpanFilter, Telemetry, otel_layer};
//! use tracing_subscriber::layer::SubscriberExt;
//! use tracing_subscriber::util::SubscriberInitExt;
//!
//! # fn main() -> Result<(), throughline_telemetry::InitError> {
//! let telemetry = Telemetry::builder("orders").service_version("1.4.2").build()?;
//! tracing_subscriber::registry()
//!     .with(otel_layer(telemetry.tracer_provider(), SpanFilter::default()))
//!     .with(Logs::human().layer())
//!     .init();
//! telemetry.set_globals();
//! # Ok(())
//! # }
//! ```
//!
//! An `EnvFilter` that is added to such a registry as a layer of its own filters for every layer:
//! with `RUST_LOG=error` no span is exported any more. Give it to the one layer that it is meant
//! for by `with_filter`, as [`Logs`] does.
//!
//! # Beside `tracing`
//!
//! The span of a request is none of `tracing`, so `tracing::Span::current()` is not it. What to
//! write instead, how filters and tower-http's `TraceLayer` act, and what a layer of one's own must
//! not switch off, is told in [docs/tracing.md].
//!
//! [docs/tracing.md]: https://github.com/throughline-rs/throughline/blob/main/docs/tracing.md
#![forbid(unsafe_code)]

mod baggage;
mod builder;
mod diag;
mod env;
mod error;
mod export;
mod guard;
mod install;
mod layer;
mod logs;
mod propagators;
mod resource;
mod sampler;
mod telemetry;

pub use baggage::BaggageAttributes;
pub use builder::{Builder, init};
pub use error::{InitError, ShutdownError};
pub use guard::{Lineage, LineageGuard, LostRoot, RootDetail};
pub use layer::{SpanFilter, otel_layer};
pub use logs::Logs;
pub use telemetry::Telemetry;
