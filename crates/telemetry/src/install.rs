//! Everything that is global to the process, in one place.

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::SdkTracerProvider;
use throughline_core::{Formats, W3cPropagator};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::diag;
use crate::layer::{SpanFilter, otel_layer};
use crate::logs::Logs;

/// Makes `provider` the one that every layer and call site of this process reaches.
///
/// A propagator that the service has set before stays, unless the environment names `formats`.
pub(crate) fn install_globals(provider: &SdkTracerProvider, formats: Option<&Formats>) {
    throughline_core::set_tracer_provider(provider.clone());
    if let Some(formats) = formats {
        throughline_core::set_propagator(formats.clone());
        return;
    }
    let has_propagator = global::get_text_map_propagator(|set| set.fields().next().is_some());
    if !has_propagator {
        global::set_text_map_propagator(W3cPropagator::new());
    }
}

/// Warns of a layer in the subscriber that is installed whose spans aren't current when entered.
pub(crate) fn check_activation() {
    if activates_contexts() == Some(false) {
        diag::warn(
            "the layer of tracing-opentelemetry has its context activation off: what is called in \
             a span of `tracing` is not its child, and such a span follows an older one around \
             it, and not its request. Leave out `.with_context_activation(false)`, or take \
             `otel_layer`",
        );
    }
}

/// Tried with a span in a context in which nothing is recorded, since no layer tells its setting;
/// `None` where there is no layer, where it is of another version, or where a filter takes the
/// span.
fn activates_contexts() -> Option<bool> {
    let suppressed = Context::new().with_telemetry_suppressed();
    let _attached = suppressed.clone().attach();
    let span = tracing::error_span!("context activation");
    // Without activation its parent would be the span of `tracing` that is entered here.
    span.set_parent(suppressed).ok()?;
    if !span.context().has_active_span() {
        return None;
    }
    Some(span.in_scope(|| Context::map_current(Context::has_active_span)))
}

/// Installs the subscriber, unless there is one already; whether it did.
pub(crate) fn install_subscriber(
    provider: &SdkTracerProvider,
    spans: SpanFilter,
    logs: Logs,
) -> bool {
    let registry =
        tracing_subscriber::registry().with(otel_layer(provider, spans)).with(logs.layer());
    tracing::subscriber::set_global_default(registry).is_ok()
}
