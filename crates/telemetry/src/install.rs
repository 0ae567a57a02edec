//! Everything that is global to the process, in one place.

use opentelemetry::global;
use opentelemetry_sdk::trace::SdkTracerProvider;
use throughline_core::{Formats, W3cPropagator};
use tracing_subscriber::layer::SubscriberExt;

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
