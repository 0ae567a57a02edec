//! The set-up: settings in, telemetry out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::{SdkTracerProvider, ShouldSample};
use throughline_core::semconv;

use crate::baggage::BaggageAttributes;
use crate::env::{Env, SDK_DISABLED};
use crate::error::InitError;
use crate::guard::LineageGuard;
use crate::layer::SpanFilter;
use crate::logs::Logs;
use crate::telemetry::Telemetry;
use crate::{export, install, propagators, resource, sampler};

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// Sets up telemetry for the service `service_name` with the defaults, which the environment
/// changes: spans by OTLP over HTTP to `http://localhost:4318`, JSON logs to stdout, both with
/// the ids that connect them. See the [crate](crate) for the variables.
///
/// With an empty name the service is called `unknown_service:<executable>`.
///
/// # Errors
///
/// If it was called before in this process, or if the endpoint is none that spans can be sent to;
/// see [`InitError`]. A collector that is away is no error: spans are kept, up to the size of the
/// queue, and losses are logged. Nor is a protocol that this version doesn't speak, which clusters
/// set for all their services: nothing is exported then, one line at `ERROR` says so, and spans
/// are made and carried on all the same.
///
/// A `tracing` subscriber that was installed before is no error either: it stays, a warning says
/// how to add the layer it needs, and [`Telemetry::subscriber_installed`] tells it.
pub fn init(service_name: impl Into<String>) -> Result<Telemetry, InitError> {
    Telemetry::builder(service_name).init()
}

/// Settings for telemetry. Where a variable of the environment says something else, it wins.
#[derive(Debug)]
#[must_use = "a builder does nothing until `init` or `build`"]
pub struct Builder {
    service_name: String,
    attributes: Vec<KeyValue>,
    sampler: Option<Box<dyn ShouldSample>>,
    endpoint: Option<String>,
    shutdown_timeout: Duration,
    guard: bool,
    baggage_keys: Vec<String>,
    spans: SpanFilter,
    logs: Logs,
}

impl Builder {
    pub(crate) fn new(service_name: String) -> Self {
        Self {
            service_name,
            attributes: Vec::new(),
            sampler: None,
            endpoint: None,
            shutdown_timeout: Duration::from_secs(5),
            guard: true,
            baggage_keys: Vec::new(),
            spans: SpanFilter::default(),
            logs: Logs::json(),
        }
    }

    /// The version of the service, `service.version`; usually `env!("CARGO_PKG_VERSION")`.
    pub fn service_version(self, version: impl Into<String>) -> Self {
        self.resource_attribute(KeyValue::new(semconv::SERVICE_VERSION, version.into()))
    }

    /// Adds an attribute to the resource, or replaces one that was detected.
    pub fn resource_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// The sampler, in the place of the parent-based one that keeps every root. It is asked as it
    /// is: wrap what is meant for roots in
    /// [`Sampler::ParentBased`](opentelemetry_sdk::trace::Sampler::ParentBased), or traces lose
    /// spans in the middle.
    pub fn sampler(mut self, sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// The base URL of the collector, to which `/v1/traces` is added; `http://localhost:4318`
    /// unless set.
    pub fn endpoint(mut self, base: impl Into<String>) -> Self {
        self.endpoint = Some(base.into());
        self
    }

    /// How long the shutdown may block to flush spans; 5 seconds unless set.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Whether a [`LineageGuard`] counts and names roots that should have had a parent; it does
    /// unless told otherwise.
    pub fn lineage_guard(mut self, guard: bool) -> Self {
        self.guard = guard;
        self
    }

    /// Copies these members of baggage onto every span, as attributes of the same names, and onto
    /// every log line; none unless told otherwise. See [`BaggageAttributes`] and
    /// [`Logs::baggage_keys`].
    pub fn baggage_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.baggage_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Which `tracing` spans are exported: only [`init`](Builder::init) uses it.
    pub fn spans(mut self, filter: SpanFilter) -> Self {
        self.spans = filter;
        self
    }

    /// How events are logged: only [`init`](Builder::init) uses it.
    pub fn logs(mut self, logs: Logs) -> Self {
        self.logs = logs;
        self
    }

    /// Starts the export and makes the provider, and changes nothing global: for a service with
    /// a registry of its own, which adds [`otel_layer`](crate::otel_layer) and [`Logs::layer`]
    /// and then calls [`Telemetry::set_globals`].
    ///
    /// # Errors
    ///
    /// As [`init`](crate::init()), but for being called twice.
    pub fn build(self) -> Result<Telemetry, InitError> {
        let mut env = Env::default();
        let parts = self.start(&mut env)?;
        env.report();
        Ok(parts.telemetry)
    }

    /// Does what [`init`](crate::init()) does, with these settings.
    ///
    /// # Errors
    ///
    /// As [`init`](crate::init()).
    pub fn init(self) -> Result<Telemetry, InitError> {
        if INITIALISED.swap(true, Ordering::AcqRel) {
            return Err(InitError::AlreadyInitialised);
        }
        let mut env = Env::default();
        let parts = self.start(&mut env).inspect_err(|_| {
            INITIALISED.store(false, Ordering::Release);
        })?;
        let Parts { mut telemetry, spans, logs } = parts;
        telemetry.set_globals();
        telemetry.install_subscriber(|provider| install::install_subscriber(provider, spans, logs));
        if !telemetry.subscriber_installed() {
            env.warn(
                "a `tracing` subscriber was installed before and stays: spans of `tracing` are \
                 not exported, and its logs carry no trace ids. Call `Telemetry::builder(..)\
                 .build()` first, give the registry `otel_layer(telemetry.tracer_provider(), \
                 SpanFilter::default())` and `Logs::json().layer()`, then call \
                 `telemetry.set_globals()`",
            );
        }
        env.report();
        Ok(telemetry)
    }

    fn start(self, env: &mut Env) -> Result<Parts, InitError> {
        let resource = resource::detect(env, &self.service_name, self.attributes);
        let logs = self.logs.service_name_or(resource::service_name(&resource));
        let logs = logs.baggage_keys(self.baggage_keys.clone());
        let enabled = !env.flag(SDK_DISABLED);
        let mut builder = SdkTracerProvider::builder().with_resource(resource);
        // The SDK reads them, too, but says nothing of those that it can't.
        if let Some(limit) = env.limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT") {
            builder = builder.with_max_attributes_per_span(limit);
        }
        if let Some(limit) = env.limit("OTEL_SPAN_EVENT_COUNT_LIMIT") {
            builder = builder.with_max_events_per_span(limit);
        }
        if let Some(limit) = env.limit("OTEL_SPAN_LINK_COUNT_LIMIT") {
            builder = builder.with_max_links_per_span(limit);
        }
        let propagators = propagators::choose(env);
        let (mut pipeline, mut lineage) = (None, None);
        if enabled {
            let sampler = sampler::choose(env, self.sampler);
            let guard = self.guard.then(|| LineageGuard::boxed(sampler.clone()));
            lineage = guard.as_ref().map(LineageGuard::lineage);
            if export::wanted(env)
                && let Some((processor, running)) = export::start(env, self.endpoint)?
            {
                // One processor, whatever stands in it: the SDK copies each span for a second.
                let processor = BaggageAttributes::new(self.baggage_keys, processor);
                builder = match &guard {
                    Some(guard) => builder.with_span_processor(guard.detail(processor)),
                    None => builder.with_span_processor(processor),
                };
                pipeline = Some(running);
            }
            builder = match guard {
                Some(guard) => builder.with_sampler(guard),
                None => builder.with_sampler(sampler),
            };
        }
        let provider = builder.build();
        if !enabled {
            // The SDK's way to make no spans at all: a boundary that gets none lets the remote
            // parent go on, where a sampler that says no would end its trace here.
            drop(provider.shutdown());
        }
        let timeout = self.shutdown_timeout;
        let telemetry = Telemetry::new(provider, pipeline, lineage, propagators, timeout);
        Ok(Parts { telemetry, spans: self.spans, logs })
    }
}

struct Parts {
    telemetry: Telemetry,
    spans: SpanFilter,
    logs: Logs,
}
