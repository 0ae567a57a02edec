//! Everything that is global to the process, in one place.

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;

use crate::layer::{SpanFilter, otel_layer};
use crate::logs::Logs;

/// Makes `provider` the one that every layer and call site of this process reaches.
pub(crate) fn install_globals(provider: &SdkTracerProvider) {
    opentelemetry::global::set_tracer_provider(provider.clone());
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
