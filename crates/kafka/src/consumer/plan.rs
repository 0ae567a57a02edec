//! What a runner does with each record, or with each batch of them.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::http::redact_text;
use throughline_core::{BoundarySpan, End, InContext, panic_message};
use tokio::sync::watch;
use tokio::task::JoinError;

use super::OnFailure;
use super::policy::{DeadLetter, Tries};
use crate::error::{Failed, Reason};
use crate::process::{OwnedBatch, OwnedDelivery, OwnedMessage, Retry};
use crate::producer::ForwardError;

pub(super) struct Plan<F> {
    pub(super) handler: F,
    pub(super) tries: Tries,
    pub(super) on_failure: OnFailure,
    pub(super) is_stopping: watch::Receiver<bool>,
}

/// How a try ended that didn't succeed.
struct Failure {
    reason: Reason,
    end: End,
}

/// A record failed, and the dead letter that was to be sent in its place did as well.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; and it could not be put aside: {source}")]
struct NotPutAside {
    reason: Reason,
    source: ForwardError,
}

/// What a dead letter tells of the tries.
pub(super) struct Tried<'a> {
    pub(super) reason: &'a Reason,
    pub(super) attempts: u32,
    /// The span of the first one; `None` where that wasn't recorded.
    pub(super) first: Option<&'a SpanContext>,
}

/// What is handled, succeeds and fails as one.
pub(super) trait Work: Sized + Send + Sync {
    /// What the handler gets.
    type Input: Send;

    /// What of it is still read here, and has nothing before it that failed. The rest is given back:
    /// it comes again, here or with somebody else.
    fn into_current(self) -> Option<Self>;
    /// Whether that is anything.
    fn is_current(&self) -> bool;
    fn start(&self, retry: Option<&Retry>) -> BoundarySpan;
    fn input(&self) -> Self::Input;
    fn bury(
        &self,
        letter: &DeadLetter,
        tried: &Tried<'_>,
    ) -> impl Future<Output = Result<(), ForwardError>> + Send;
    /// The first record, and how many more there are.
    fn places(&self) -> (Option<&OwnedMessage>, usize);
    fn finish(self);
    fn pass(self);
    fn fail(self, reason: Reason) -> Option<Failed>;
    fn give_back(self);
}

impl<F> Plan<F> {
    pub(super) async fn handle<W, Fut, E>(&self, work: W) -> Result<(), Failed>
    where
        W: Work,
        F: Fn(W::Input) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (mut work, mut first) = (work, None);
        for attempt in 1.. {
            match work.into_current() {
                Some(current) => work = current,
                None => return Ok(()),
            }
            let wait = self.tries.wait_after(attempt);
            let retry = (attempt > 1).then(|| Retry { attempt, first: first.clone() });
            let trying = async {
                let tried = self.attempt(work.input()).await;
                if tried.is_err() && attempt == 1 {
                    first = recorded();
                }
                let buried = match (&tried, &self.on_failure, wait) {
                    // What was taken away meanwhile is somebody else's by now.
                    (Err(Failure { reason, .. }), OnFailure::DeadLetter(letter), None)
                        if work.is_current() =>
                    {
                        let tried = Tried { reason, attempts: attempt, first: first.as_ref() };
                        Some(work.bury(letter, &tried).await)
                    }
                    _ => None,
                };
                (tried, buried)
            };
            let ((tried, buried), span) = work.start(retry.as_ref()).process(trying).await;
            let Err(Failure { reason, end }) = tried else {
                span.end(End::Completed);
                work.finish();
                return Ok(());
            };
            span.end(end);
            if wait.is_none() {
                match work.into_current() {
                    Some(current) => work = current,
                    None => return Ok(()),
                }
            }
            match (wait, buried, &self.on_failure) {
                (Some(wait), ..) => {
                    if self.stops_within(wait).await {
                        // Whoever reads it next tries it anew.
                        work.give_back();
                        return Ok(());
                    }
                }
                (None, Some(Ok(())), _) | (None, None, OnFailure::Skip) => {
                    tell(&work, &reason, &self.on_failure);
                    work.pass();
                    return Ok(());
                }
                (None, Some(Err(source)), _) => {
                    let error = NotPutAside { reason, source };
                    return work.fail(Reason::Error(Arc::new(error))).map_or(Ok(()), Err);
                }
                (None, None, _) => return work.fail(reason).map_or(Ok(()), Err),
            }
        }
        Ok(())
    }

    async fn attempt<I, Fut, E>(&self, input: I) -> Result<(), Failure>
    where
        F: Fn(I) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        // In a block: the call that makes the future may panic as well.
        let handled = async { (self.handler)(input).await };
        match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let error: Box<dyn StdError + Send + Sync> = error.into();
                let end = End::failed_saying::<E>(&error);
                Err(Failure { reason: Reason::Error(error.into()), end })
            }
            Err(panic) => {
                let reason = Reason::Panicked(panic_message(&*panic).to_owned());
                Err(Failure { reason, end: End::Panicked })
            }
        }
    }

    /// Waits, unless the runner stops.
    async fn stops_within(&self, wait: Duration) -> bool {
        let mut is_stopping = self.is_stopping.clone();
        let stopped = async { is_stopping.wait_for(|stopping| *stopping).await.is_ok() };
        tokio::time::timeout(wait, stopped).await.is_ok()
    }
}

/// The span that is current here, if anybody can follow a link to it.
fn recorded() -> Option<SpanContext> {
    Context::map_current(|current| {
        let span = current.span();
        let span = span.span_context();
        (span.is_sampled() && !span.is_remote()).then(|| span.clone())
    })
}

fn tell(work: &impl Work, reason: &Reason, on_failure: &OnFailure) {
    let error = reason.to_string();
    let error = redact_text(&error);
    let (first, more) = work.places();
    let topic = first.map(OwnedMessage::topic);
    let (partition, offset) = (first.map(OwnedMessage::partition), first.map(OwnedMessage::offset));
    match on_failure {
        OnFailure::DeadLetter(letter) => {
            let dead_letters = &*letter.topic;
            tracing::warn!(
                topic, partition, offset, more, dead_letters, %error,
                "a record failed, and was put aside"
            );
        }
        _ => tracing::warn!(
            topic, partition, offset, more, %error,
            "a record failed, and was skipped: nobody will process it"
        ),
    }
}

/// A handler's task was lost: handlers are guarded, so its panic came from an error that can't be
/// printed, say.
pub(super) fn lost(task: JoinError) {
    if let Ok(panic) = task.try_into_panic() {
        resume_unwind(panic);
    }
}

impl Work for OwnedDelivery {
    type Input = OwnedMessage;

    fn into_current(self) -> Option<Self> {
        if self.is_current() {
            return Some(self);
        }
        OwnedDelivery::give_back(self);
        None
    }

    fn is_current(&self) -> bool {
        OwnedDelivery::is_current(self)
    }

    fn start(&self, retry: Option<&Retry>) -> BoundarySpan {
        OwnedDelivery::start(self, retry)
    }

    fn input(&self) -> OwnedMessage {
        self.message().clone()
    }

    async fn bury(&self, letter: &DeadLetter, tried: &Tried<'_>) -> Result<(), ForwardError> {
        letter.send(self.message(), tried).await
    }

    fn places(&self) -> (Option<&OwnedMessage>, usize) {
        (Some(self.message()), 0)
    }

    fn finish(self) {
        OwnedDelivery::finish(self);
    }

    fn pass(self) {
        OwnedDelivery::pass(self);
    }

    fn fail(self, reason: Reason) -> Option<Failed> {
        Some(OwnedDelivery::fail(self, reason))
    }

    fn give_back(self) {
        OwnedDelivery::give_back(self);
    }
}

impl Work for OwnedBatch {
    type Input = Vec<OwnedMessage>;

    fn into_current(self) -> Option<Self> {
        OwnedBatch::into_current(self)
    }

    fn is_current(&self) -> bool {
        self.current().next().is_some()
    }

    fn start(&self, retry: Option<&Retry>) -> BoundarySpan {
        OwnedBatch::start(self, retry)
    }

    fn input(&self) -> Vec<OwnedMessage> {
        self.messages().to_vec()
    }

    /// Each in the trace that it came with: that of the batch is of none of them.
    async fn bury(&self, letter: &DeadLetter, tried: &Tried<'_>) -> Result<(), ForwardError> {
        let letters = self.current().map(|message| {
            let came_with = self.context_of(message);
            let context = match came_with.span().span_context().is_valid() {
                true => came_with,
                false => Context::current(),
            };
            InContext::new(letter.send(message, tried), context)
        });
        try_join_all(letters).await.map(|_| ())
    }

    fn places(&self) -> (Option<&OwnedMessage>, usize) {
        (self.messages().first(), self.len().saturating_sub(1))
    }

    fn finish(self) {
        OwnedBatch::finish(self);
    }

    fn pass(self) {
        OwnedBatch::pass(self);
    }

    fn fail(self, reason: Reason) -> Option<Failed> {
        OwnedBatch::fail(self, &reason)
    }

    fn give_back(self) {
        OwnedBatch::give_back(self);
    }
}
