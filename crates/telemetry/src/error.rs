//! What can go wrong at start-up and at shutdown.

use std::time::Duration;

/// Why telemetry could not be started.
///
/// Nothing was installed then: no global provider, no subscriber.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// Telemetry is set up once in a process; a second subscriber could not be installed anyway.
    #[error(
        "telemetry was already initialised in this process; call `init` once, in `main`, and build \
         further providers with `Telemetry::builder(..).build()`"
    )]
    AlreadyInitialised,

    /// The endpoint of the collector is not a URL that spans can be sent to.
    #[error(
        "{origin} is {value:?}, which is no endpoint: {reason}; use a URL such as \
         http://localhost:4318"
    )]
    Endpoint {
        /// The variable or the setter that it came from.
        origin: &'static str,
        /// What it said, without a user and password.
        value: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The endpoint asks for TLS, and this build has none.
    #[error(
        "{origin} is {value:?}, but this build has no TLS: enable the feature `tls` of \
         throughline-telemetry, or use an http:// endpoint"
    )]
    TlsNotBuiltIn {
        /// The variable or the setter that it came from.
        origin: &'static str,
        /// What it said, without a user and password.
        value: String,
    },

    /// The exporter refused its configuration.
    #[error("the OTLP exporter could not be built from its OTEL_EXPORTER_OTLP_* settings: {0}")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),

    /// The HTTP client could not be built.
    #[error("the HTTP client of the exporter could not be built: {0}")]
    Client(#[source] reqwest::Error),

    /// The thread of the exporter, or its runtime, could not be started.
    #[error("the thread of the exporter could not be started: {0}; check the limit of threads")]
    Thread(#[source] std::io::Error),
}

/// Why some spans did not reach the collector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The deadline passed first.
    #[error(
        "{spans} span(s) could not be flushed within {deadline:?} and are lost{}; is the collector \
         slow or away, or the deadline (`Builder::shutdown_timeout`) too short?",
        and_dropped(*dropped)
    )]
    #[non_exhaustive]
    Deadline {
        /// How many ended spans had not been taken by the collector.
        spans: u64,
        /// How many more had found the queue full.
        dropped: u64,
        /// The deadline that was kept.
        deadline: Duration,
    },

    /// Exports were tried and failed.
    #[error(
        "{spans} span(s) could not be exported and are lost{}: {cause}",
        and_dropped(*dropped)
    )]
    #[non_exhaustive]
    Export {
        /// How many ended spans the collector didn't take.
        spans: u64,
        /// How many more had found the queue full.
        dropped: u64,
        /// What the last export that failed said.
        cause: String,
    },

    /// Everything was exported that had found room to wait.
    #[error(
        "{dropped} span(s) found the queue full and are lost; raise OTEL_BSP_MAX_QUEUE_SIZE, or \
         sample"
    )]
    #[non_exhaustive]
    QueueFull {
        /// How many ended spans there was no room for.
        dropped: u64,
    },
}

fn and_dropped(dropped: u64) -> String {
    if dropped == 0 {
        String::new()
    } else {
        format!(", and {dropped} more that found the queue full")
    }
}
