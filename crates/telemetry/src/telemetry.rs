//! The guard: what lives as long as telemetry does.

use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use throughline_core::Formats;

use crate::builder::Builder;
use crate::diag;
use crate::error::ShutdownError;
use crate::export::Pipeline;
use crate::guard;
use crate::guard::Lineage;
use crate::install;

/// Keeps telemetry going, and flushes the spans that have ended when it is dropped.
///
/// Both the drop and [`shutdown`](Telemetry::shutdown) block the calling thread until the spans
/// are sent, for no longer than [`Builder::shutdown_timeout`]; they need no runtime, and hold
/// back no export by holding up the runtime they are called on. Drop it last: after the servers
/// and workers whose spans it is to send. Spans that are still open then are not exported.
#[derive(Debug)]
#[must_use = "telemetry shuts down when this guard is dropped: name it `_telemetry`, not `_`"]
pub struct Telemetry {
    provider: SdkTracerProvider,
    pipeline: Option<Pipeline>,
    lineage: Option<Lineage>,
    propagators: Option<Formats>,
    shutdown_timeout: Duration,
    subscriber_installed: bool,
    finished: bool,
}

impl Telemetry {
    /// Starts a customised set-up; see [`Builder`].
    pub fn builder(service_name: impl Into<String>) -> Builder {
        Builder::new(service_name.into())
    }

    pub(crate) fn new(
        provider: SdkTracerProvider,
        pipeline: Option<Pipeline>,
        lineage: Option<Lineage>,
        propagators: Option<Formats>,
        shutdown_timeout: Duration,
    ) -> Self {
        Self {
            provider,
            pipeline,
            lineage,
            propagators,
            shutdown_timeout,
            subscriber_installed: false,
            finished: false,
        }
    }

    pub(crate) fn install_subscriber(&mut self, install: impl FnOnce(&SdkTracerProvider) -> bool) {
        self.subscriber_installed = install(&self.provider);
    }

    /// The provider, for [`otel_layer`](crate::otel_layer) and for tracers of one's own.
    #[must_use]
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// What the [`LineageGuard`](crate::LineageGuard) counts; `None` if it was switched off.
    #[must_use]
    pub fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    /// Whether [`Builder::init`] installed the `tracing` subscriber: `false` if the process had
    /// one already, and after [`Builder::build`]. Then spans made through `opentelemetry` are
    /// exported, and those of `tracing` only once the other registry has
    /// [`otel_layer`](crate::otel_layer).
    #[must_use]
    pub fn subscriber_installed(&self) -> bool {
        self.subscriber_installed
    }

    /// Makes the provider the global one of this process, and with it the propagators that
    /// `OTEL_PROPAGATORS` names, as [`Builder::init`] does. Where it names none, a propagator that
    /// was set before stays; without one it is W3C Trace Context and Baggage.
    ///
    /// Call it once the registry is installed: then it warns of a foreign layer of
    /// `tracing-opentelemetry` whose context activation is off, under which spans stand in the
    /// wrong place.
    pub fn set_globals(&self) {
        install::install_globals(&self.provider, self.propagators.as_ref());
        install::check_activation();
    }

    /// Flushes all spans that have ended, and stops. Blocks as said at [`Telemetry`].
    ///
    /// # Errors
    ///
    /// If ended spans could not be sent, with how many: because the deadline passed, because their
    /// export failed, or because they found the queue full. That counts what was lost earlier, too,
    /// unless the log has told it: it does so once a minute at most.
    pub fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), ShutdownError> {
        self.finished = true;
        // What it has to say of lost roots, too.
        guard::flush(Duration::from_secs(1).min(self.shutdown_timeout));
        let Some(pipeline) = &self.pipeline else { return Ok(()) };
        let counts = &pipeline.counts;
        // What the log tells from here on is told by the result all the same.
        let told = counts.told();
        // Its result tells nothing of the exports; the counters do.
        drop(self.provider.shutdown_with_timeout(self.shutdown_timeout));
        // First the numbers, then the stop: it makes failures of what is waiting.
        let (waiting, losses) = (counts.waiting(), counts.losses().since(told));
        pipeline.stop.now();
        let (spans, dropped) = (waiting + losses.failed, losses.dropped);
        if waiting > 0 {
            Err(ShutdownError::Deadline { spans, dropped, deadline: self.shutdown_timeout })
        } else if spans > 0 {
            Err(ShutdownError::Export { spans, dropped, cause: counts.last_failure() })
        } else if dropped > 0 {
            Err(ShutdownError::QueueFull { dropped })
        } else {
            Ok(())
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.finish()
        {
            diag::error(&error.to_string());
        }
    }
}
