//! The life of a span in a boundary that may be wrong.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use throughline_core::semconv::{ERROR_TYPE, THROUGHLINE_PARENT_EXPECTED};
use throughline_core::{BoundarySpan, Description, End, InContext};
use throughline_testing::battery::Failed;

use super::boundary::{Boundary, sampled};
use super::wrong::Ending;
use super::wrong::Wrong::{self, *};

impl Boundary {
    pub(super) async fn live(
        &self,
        mut span: BoundarySpan,
        parent: &Context,
        running: impl Future<Output = Result<(), Failed>>,
    ) -> Result<(), Failed> {
        match self.wrong {
            MakesTwoSpans => self
                .config
                .send(self.kind.clone(), || Description::new("more", 0))
                .end(End::Completed),
            RecordsAnyway if !span.is_recording() => {
                let _attached = sampled().attach();
                self.config
                    .send(self.kind.clone(), || Description::new("more", 0))
                    .end(End::Completed);
            }
            MarksWhatHasAParent if parent.span().span_context().is_valid() => {
                span.set_attribute(THROUGHLINE_PARENT_EXPECTED, true);
            }
            LinksToOthers => {
                let other = sampled().span().span_context().clone();
                span.context().span().add_link(other, Vec::new());
            }
            EndsEarly => span.finish(End::Completed),
            _ => {}
        }
        let context = match self.wrong {
            RunsInTheParent => parent.clone(),
            _ => self.shown(&span, &Context::current()).await,
        };
        let mut life = Life { span: Some(span), wrong: self.wrong };
        let running = async {
            match self.wrong {
                LosesTheContextAt(polls) => Losing::run(running, context, polls).await,
                LosesTheContextInDrop => {
                    opentelemetry::context::FutureExt::with_context(running, context).await
                }
                _ => InContext::new(running, context).await,
            }
        };
        let result = AssertUnwindSafe(running).catch_unwind().await;
        life.end(match result {
            Ok(Ok(())) => Ending::Success,
            Ok(Err(_)) => Ending::Failure,
            Err(_) => Ending::Panic,
        });
        result.unwrap_or(Ok(()))
    }
}

/// A span that ends with what owns it.
struct Life {
    span: Option<BoundarySpan>,
    wrong: Wrong,
}

impl Life {
    fn end(&mut self, ending: Ending) {
        let Some(mut span) = self.span.take() else { return };
        let context = span.context().clone();
        match self.wrong {
            LeavesTheSpanOpen => return std::mem::forget(span),
            Tells(told, is_error, error_type) if told == ending && span.is_recording() => {
                if is_error {
                    // Late in the alphabet: of two descriptions the SDK keeps the later.
                    context.span().set_status(Status::error("wrong"));
                }
                if !error_type.is_empty() {
                    context.span().set_attribute(KeyValue::new(ERROR_TYPE, error_type));
                }
                context.span().end();
                return std::mem::forget(span);
            }
            DoublesTheErrorType if ending == Ending::Failure => {
                span.set_attribute(ERROR_TYPE, "failed");
            }
            _ => {}
        }
        span.finish(match ending {
            Ending::Success => End::Completed,
            Ending::Failure => End::failed("failed"),
            Ending::Panic => End::Panicked,
            Ending::Cancel => End::Cancelled,
        });
        if self.wrong == EndsTwice {
            context.span().end();
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end(Ending::Cancel);
    }
}

/// A context that is lost on the way.
struct Losing;

impl Losing {
    async fn run<F: Future>(future: F, context: Context, mut polls: usize) -> F::Output {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|task| {
            let _attached = (polls > 0).then(|| context.clone().attach());
            polls = polls.saturating_sub(1);
            future.as_mut().poll(task)
        })
        .await
    }
}
