//! Members of baggage as attributes of spans.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline_core::baggage::picked;

/// A span processor in front of another, which copies members of baggage onto every span that is
/// recorded: those that are named, as attributes of the same names.
///
/// What isn't named stays off: baggage comes from callers, and ends up in storage. A sampler doesn't
/// see these attributes.
#[derive(Debug)]
pub struct BaggageAttributes<P> {
    keys: Vec<String>,
    inner: P,
}

impl<P: SpanProcessor> BaggageAttributes<P> {
    /// Copies the members of these keys, then goes on with `processor`.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = impl Into<String>>, processor: P) -> Self {
        BaggageAttributes { keys: keys.into_iter().map(Into::into).collect(), inner: processor }
    }
}

impl<P: SpanProcessor> SpanProcessor for BaggageAttributes<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if !self.keys.is_empty() {
            picked(context, &self.keys).for_each(|attribute| span.set_attribute(attribute));
        }
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
