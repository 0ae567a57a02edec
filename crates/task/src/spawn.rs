use std::borrow::Cow;

use opentelemetry::Context;
use throughline_core::{Config, End, InContext};
use tokio::task::JoinHandle;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

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
    #[expect(clippy::disallowed_methods, reason = "the boundary itself")]
    tokio::spawn(in_context(future))
}

/// A future in the OpenTelemetry context and the tracing span that are current now, for whoever
/// runs it elsewhere: another runtime, a `JoinSet`, the task of a socket that was upgraded.
///
/// ```
/// use throughline_task::in_context;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut tasks = tokio::task::JoinSet::new();
/// # #[expect(clippy::disallowed_methods)]
/// tasks.spawn(in_context(async { "in the trace of the caller" }));
/// # tasks.join_all().await;
/// # }
/// ```
///
/// The handshake of a WebSocket, or of any other upgrade, is a request whose span ends when the
/// protocol is switched. What the socket is for goes on below it:
///
/// ```ignore
/// async fn feed(upgrade: WebSocketUpgrade) -> Response {
///     let here = Here::new();
///     upgrade.on_upgrade(move |socket| here.run(tell(socket)))
/// }
/// ```
pub fn in_context<F: Future>(future: F) -> Instrumented<InContext<F>> {
    Here::new().run(future)
}

/// The OpenTelemetry context and the tracing span of this place, for a future that isn't there yet.
#[derive(Clone, Debug)]
pub struct Here {
    context: Context,
    span: Span,
}

impl Default for Here {
    fn default() -> Self {
        Here::new()
    }
}

impl Here {
    /// What is current.
    #[must_use]
    pub fn new() -> Self {
        Here { context: Context::current(), span: Span::current() }
    }

    /// Runs a future in it: every poll, and its drop.
    pub fn run<F: Future>(self, future: F) -> Instrumented<InContext<F>> {
        // OpenTelemetry's context has to be the inner one. The tracing span may be an older one
        // than the span that is current there; entered last, it would hide it.
        InContext::new(future, self.context).instrument(self.span)
    }
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
