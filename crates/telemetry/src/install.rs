//! Everything that is global to the process, in one place.

use opentelemetry::global;
use opentelemetry_sdk::trace::SdkTracerProvider;
use throughline_core::W3cPropagator;
use tracing_subscriber::layer::SubscriberExt;

use crate::env::Env;
use crate::layer::{SpanFilter, otel_layer};
use crate::logs::Logs;

/// What is carried between services is not the environment's to choose yet: told if it does.
pub(crate) fn check_propagators(env: &mut Env) {
    const PROPAGATORS: &str = "OTEL_PROPAGATORS";
    let Some(list) = env.text(PROPAGATORS) else { return };
    let followed = |name: &str| matches!(name.trim(), "tracecontext" | "baggage");
    if !list.split(',').all(followed) {
        env.warn(format!(
            "{PROPAGATORS}={list:?} is not followed: the context travels in the headers of W3C \
             Trace Context and Baggage; for others set a propagator of your own before `init`, by \
             `opentelemetry::global::set_text_map_propagator`"
        ));
    }
}

/// Makes `provider` the one that every layer and call site of this process reaches.
///
/// A propagator that the service has set before stays.
pub(crate) fn install_globals(provider: &SdkTracerProvider) {
    throughline_core::set_tracer_provider(provider.clone());
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
