use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::FutureExt;
use throughline_core::panic_message;
use throughline_lineage::{Kind, Span};

use super::Inbound;
use crate::Recorder;
use crate::battery::checks::{Eyes, the_span};
use crate::battery::{Failed, Handler, Headers, Outcome, Setup};

/// One boundary, built for one case.
pub(super) struct Bench<D: Inbound> {
    pub(super) driver: Arc<D>,
    pub(super) recorder: Recorder,
    pub(super) setup: Setup,
    pub(super) boundary: Arc<D::Boundary>,
}

impl<D: Inbound> Bench<D> {
    pub(super) async fn new(driver: &Arc<D>) -> Self {
        Bench::with(driver, |_| ()).await
    }

    pub(super) async fn with(driver: &Arc<D>, change: impl FnOnce(&mut Setup)) -> Self {
        Bench::recording(driver, Recorder::new(), change).await
    }

    pub(super) async fn recording(
        driver: &Arc<D>,
        recorder: Recorder,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let mut setup = Setup::new(recorder.provider());
        change(&mut setup);
        let boundary = Arc::new(driver.boundary(setup.clone()).await);
        Bench { driver: Arc::clone(driver), recorder, setup, boundary }
    }

    /// Delivers a message, handled by `handle`, and waits until it is done; what the handler
    /// saw.
    pub(super) async fn deliver<F>(
        &self,
        headers: Headers,
        handle: impl Fn(Eyes) -> F + Send + Sync + 'static,
    ) -> Result<Eyes, String>
    where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        match self.try_deliver(headers, handle).await? {
            (eyes, None) => Ok(eyes),
            (_, Some(panic)) => Err(format!("the boundary panicked: {panic}")),
        }
    }

    /// The same, for handlers that panic.
    pub(super) async fn try_deliver<F>(
        &self,
        headers: Headers,
        handle: impl Fn(Eyes) -> F + Send + Sync + 'static,
    ) -> Result<(Eyes, Option<String>), String>
    where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        let (eyes, runs) = (Eyes::default(), Arc::new(AtomicUsize::new(0)));
        let handler = Handler::new({
            let (eyes, runs) = (eyes.clone(), Arc::clone(&runs));
            move || {
                runs.fetch_add(1, Relaxed);
                handle(eyes.clone()).boxed()
            }
        });
        let delivery = self.driver.deliver(&self.boundary, headers, handler);
        let delivery = AssertUnwindSafe(delivery).catch_unwind();
        let patience = self.driver.patience();
        let result = tokio::time::timeout(patience, delivery).await;
        let result = result.map_err(|_| format!("the message was not done after {patience:?}"))?;
        let panic = result.err().map(|panic| panic_message(&*panic).to_owned());
        match (runs.load(Relaxed), panic) {
            (1, panic) => Ok((eyes, panic)),
            (0, Some(panic)) => Err(format!("the boundary panicked: {panic}")),
            (0, None) => Err("the message was not served: its handler never ran".to_owned()),
            (runs, _) => Err(format!("the handler of one message ran {runs} times")),
        }
    }

    /// The same, for handlers that only look around.
    pub(super) async fn look(&self, headers: Headers) -> Result<Eyes, String> {
        self.deliver(headers, |eyes| async move {
            eyes.look("in the handler");
            Ok(())
        })
        .await
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
