use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use opentelemetry::Context;
use throughline_core::{InContext, panic_message};
use throughline_lineage::{Kind, Span};
use tokio::sync::Notify;

use super::Outbound;
use crate::Recorder;
use crate::battery::checks::the_span;
use crate::battery::{Failed, Headers, Outcome, Peer, Setup};
use crate::wait::wait;

/// One boundary, built for one case.
pub(super) struct Bench<D: Outbound> {
    pub(super) driver: Arc<D>,
    pub(super) recorder: Recorder,
    pub(super) setup: Setup,
    pub(super) boundary: Arc<D::Boundary>,
}

/// What left a boundary.
#[derive(Clone, Debug, Default)]
pub(super) struct Left(Arc<Messages>);

#[derive(Debug, Default)]
struct Messages {
    all: Mutex<Vec<Headers>>,
    changed: Notify,
}

impl Left {
    /// A peer that answers by `answer`.
    pub(super) fn peer<F>(&self, answer: impl Fn() -> F + Send + Sync + 'static) -> Peer
    where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        let this = self.clone();
        Peer::new(move |headers| {
            this.all().push(headers);
            this.0.changed.notify_waiters();
            answer().boxed()
        })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Headers>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers of the one message that left.
    pub(super) fn headers(&self) -> Result<Headers, String> {
        self.at_most_one()?.ok_or_else(|| "no message left".to_owned())
    }

    /// The same, if one left.
    pub(super) fn at_most_one(&self) -> Result<Option<Headers>, String> {
        match self.all().as_slice() {
            [] => Ok(None),
            [headers] => Ok(Some(headers.clone())),
            all => Err(format!("one message left {} times", all.len())),
        }
    }

    /// Waits until one left, or the time is up.
    pub(super) async fn wait(&self, patience: Duration) {
        wait(&self.0.changed, patience, || (!self.all().is_empty()).then_some(())).await;
    }
}

impl<D: Outbound> Bench<D> {
    pub(super) async fn new(driver: &Arc<D>) -> Self {
        Bench::with(driver, Recorder::new(), |_| ()).await
    }

    pub(super) async fn with(
        driver: &Arc<D>,
        recorder: Recorder,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let mut setup = Setup::new(recorder.provider());
        change(&mut setup);
        let boundary = Arc::new(driver.boundary(setup.clone()).await);
        Bench { driver: Arc::clone(driver), recorder, setup, boundary }
    }

    /// Sends a message in this context to a peer that accepts it; the headers that left.
    pub(super) async fn send(&self, headers: Headers, context: Context) -> Result<Headers, String> {
        self.send_to(headers, context, || async { Ok(()) }).await
    }

    pub(super) async fn send_to<F>(
        &self,
        headers: Headers,
        context: Context,
        answer: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Headers, String>
    where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        InContext::new(self.send_here(headers, answer), context).await
    }

    /// The same, in whatever is current.
    pub(super) async fn send_here<F>(
        &self,
        headers: Headers,
        answer: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Headers, String>
    where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        self.try_here(headers, answer).await?.headers()
    }

    /// The same, where the message may not leave.
    pub(super) async fn try_here<F>(
        &self,
        headers: Headers,
        answer: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Left, String>
    where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        let left = Left::default();
        let sending = self.driver.send(&self.boundary, headers, left.peer(answer));
        let sending = AssertUnwindSafe(sending).catch_unwind();
        let patience = self.driver.patience();
        match tokio::time::timeout(patience, sending).await {
            Ok(Ok(())) => Ok(left),
            Ok(Err(panic)) => Err(format!("the boundary panicked: {}", panic_message(&*panic))),
            Err(_) => Err(format!("the message was not done after {patience:?}")),
        }
    }

    /// The one span that the boundary made, ended once.
    pub(super) async fn the_span(&self) -> Result<Span, String> {
        the_span(&self.recorder, Kind::from(&D::KIND), self.driver.patience()).await
    }

    /// Nothing may have been recorded.
    pub(super) fn no_span(&self) -> Outcome {
        let spans = [self.recorder.spans(), self.recorder.open_spans()].concat();
        match spans.first() {
            None => Ok(()),
            Some(span) => Err(format!("the span `{}` was recorded", span.name)),
        }
    }
}
