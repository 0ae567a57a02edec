//! The setters that every boundary has, written once.

/// For boundary crates: the setters of [`Config`](crate::Config) that mean the same at every
/// boundary, as its own. Its type has a method `fn map(self, impl FnOnce(Config) -> Config) -> Self`,
/// and its crate depends on `opentelemetry`.
///
/// ```
/// use throughline_core::Config;
///
/// pub struct Layer(Config);
///
/// impl Layer {
///     fn map(self, change: impl FnOnce(Config) -> Config) -> Self {
///         Layer(change(self.0))
///     }
///
///     throughline_core::config_setters!();
/// }
///
/// let layer = Layer(Config::new("example", "1.0.0")).ask_sampler(true);
/// # drop(layer.0);
/// ```
#[macro_export]
macro_rules! config_setters {
    () => {
        /// Asks the sampler even where the parent is not sampled; see
        /// [`Config::ask_sampler`](throughline_core::Config::ask_sampler).
        #[must_use]
        pub fn ask_sampler(self, ask: bool) -> Self {
            self.map(|config| config.ask_sampler(ask))
        }

        /// Takes spans from `provider` instead of the global one.
        #[must_use]
        pub fn with_tracer_provider<P>(self, provider: &P) -> Self
        where
            P: ::opentelemetry::trace::TracerProvider,
            P::Tracer: Send + Sync + 'static,
            <P::Tracer as ::opentelemetry::trace::Tracer>::Span: Send + Sync + 'static,
        {
            self.map(|config| config.with_tracer_provider(provider))
        }

        /// Measures with meters of `provider` instead of those of the global one; see
        /// [`Config::with_meter_provider`](throughline_core::Config::with_meter_provider).
        #[must_use]
        pub fn with_meter_provider(
            self,
            provider: &dyn ::opentelemetry::metrics::MeterProvider,
        ) -> Self {
            self.map(|config| config.with_meter_provider(provider))
        }

        /// Speaks `propagator` instead of the global one; see
        /// [`Config::with_propagator`](throughline_core::Config::with_propagator).
        #[must_use]
        pub fn with_propagator(
            self,
            propagator: impl ::opentelemetry::propagation::TextMapPropagator + Send + Sync + 'static,
        ) -> Self {
            self.map(|config| config.with_propagator(propagator))
        }
    };
}
