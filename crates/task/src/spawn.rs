use std::borrow::Cow;

use opentelemetry::Context;
use throughline_core::{Config, End, InContext};
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Like [`tokio::spawn`], in the current OpenTelemetry context and the current tracing span.
///
/// The context is current in every poll of the task and while its future is dropped.
///
/// # Panics
///
/// As [`tokio::spawn`] does: outside of a tokio runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // OpenTelemetry's context has to be the inner one. The current tracing span may be an older
    // one than the span that is current there; entered last, it would hide it.
    #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
    tokio::spawn(InContext::new(future, Context::current()).in_current_span())
}

/// Like [`tokio::task::spawn_blocking`], in the current OpenTelemetry context and the current
/// tracing span.
///
/// # Panics
///
/// As [`tokio::task::spawn_blocking`] does: outside of a tokio runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (context, span) = (Context::current(), tracing::Span::current());
    #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
    tokio::task::spawn_blocking(move || {
        span.in_scope(|| {
            let _attached = context.attach();
            f()
        })
    })
}

/// Spawns a job in a trace of its own, linked to the span that is current: for work that is
/// caused by a request and isn't a part of it.
///
/// It takes nothing else along: neither baggage nor the tracing span.
///
/// The job has a root span of this `name`, which ends with it: as an error where the job panics,
/// as cancelled where it is aborted. [`throughline_core::boundary`] reaches it.
///
/// # Panics
///
/// As [`tokio::spawn`] does: outside of a tokio runtime.
#[track_caller]
pub fn spawn_linked<F>(name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let config = Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let job = config.root(name).process(future);
    // No tracing span around it: that would be a parent again.
    #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
    tokio::spawn(async move {
        let (output, span) = job.await;
        span.end(End::Completed);
        output
    })
}
