use std::pin::Pin;
use std::task::{Context as Task, Poll};

use opentelemetry::Context;
use pin_project_lite::pin_project;

use super::BoundarySpan;

pin_project! {
    /// A future in a boundary span, from [`BoundarySpan::process`].
    ///
    /// The span's context is current in every poll and while the future is dropped. If it is
    /// dropped unfinished the span ends as cancelled, if it panics as panicked.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Process<F> {
        #[pin]
        future: Option<F>,
        span: Option<BoundarySpan>,
    }

    impl<F> PinnedDrop for Process<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(span) = this.span
                && this.future.is_some()
            {
                span.enter(|| this.future.set(None));
            }
        }
    }
}

impl<F> Process<F> {
    #[inline]
    pub(super) fn new(span: BoundarySpan, future: F) -> Self {
        Process { future: Some(future), span: Some(span) }
    }
}

impl<F: Future> Future for Process<F> {
    type Output = (F::Output, BoundarySpan);

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(future), Some(span)) = (this.future.as_mut().as_pin_mut(), this.span.as_mut())
        else {
            // Polled after it was ready, which the contract of `Future` leaves to us.
            return Poll::Pending;
        };
        let entered = span.entered();
        let output = future.poll(task);
        if output.is_ready() {
            this.future.set(None);
        }
        span.exit(entered);
        match output {
            Poll::Ready(output) => match this.span.take() {
                Some(span) => Poll::Ready((output, span)),
                None => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

pin_project! {
    /// A future in a context that isn't its boundary's: a spawned task, a stream.
    ///
    /// OpenTelemetry's own `with_context` does the same but for the drop, in which a future may
    /// still end spans and send messages.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        #[pin]
        future: Option<F>,
        context: Context,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = this.context.clone().attach();
            this.future.set(None);
        }
    }
}

impl<F> InContext<F> {
    /// `future`, with `context` current in every poll and while it is dropped.
    pub fn new(future: F, context: Context) -> Self {
        InContext { future: Some(future), context }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _attached = this.context.clone().attach();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let output = future.poll(task);
        if output.is_ready() {
            this.future.set(None);
        }
        output
    }
}
