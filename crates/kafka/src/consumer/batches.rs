use std::error::Error as StdError;
use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::drain::{DRAIN, close, committing, finish, rest};
use super::offsets_of::Ours;
use super::plan::{Plan, lost};
use super::policy::Tries;
use super::{DefaultHooks, Hooks, OnFailure, StreamConsumer};
use crate::error::Error;
use crate::process::OwnedMessage;

/// A loop over a consumer that handles records in batches, one batch after the other, each in one
/// span that is linked to its records' senders; from [`StreamConsumer::batch_runner`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use throughline_kafka::{OwnedMessage, StreamConsumer};
///
/// # async fn insert(_: Vec<OwnedMessage>) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(consumer: StreamConsumer) -> Result<(), throughline_kafka::Error> {
/// consumer
///     .batch_runner(500, Duration::from_millis(100))
///     .retry(3, Duration::from_secs(1))
///     .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
///     .run(|messages| async move { insert(messages).await })
///     .await
/// # }
/// ```
///
/// The records of a batch succeed or fail as one, as those of [`Batch`](crate::Batch) do. The handler
/// runs in a task of its own; however long it takes, the consumer keeps its membership in the group.
/// More than one batch at once would be two of the same partition: to read faster, run more consumers.
///
/// What is acknowledged is committed as by [`Runner`](super::Runner).
#[must_use = "a runner does nothing until `run` is called"]
pub struct BatchRunner<H: Hooks = DefaultHooks, O = Ours> {
    consumer: StreamConsumer<H, O>,
    max: usize,
    wait: Duration,
    tries: Tries,
    on_failure: OnFailure,
    shutdown: BoxFuture<'static, ()>,
    drain: Duration,
}

impl<H: Hooks, O> fmt::Debug for BatchRunner<H, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchRunner")
            .field("max", &self.max)
            .field("wait", &self.wait)
            .field("tries", &self.tries)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

impl<H: Hooks, O> BatchRunner<H, O> {
    pub(super) fn new(consumer: StreamConsumer<H, O>, max: usize, wait: Duration) -> Self {
        BatchRunner {
            consumer,
            max,
            wait,
            tries: Tries::default(),
            on_failure: OnFailure::default(),
            shutdown: pending().boxed(),
            drain: DRAIN,
        }
    }

    /// Tries a batch up to `tries` times before it counts as failed, with `backoff` before the
    /// second try, twice that before the third, and a minute at the most. Each try has a span of its
    /// own, linked to that of the first. Records whose partition was taken away meanwhile are left
    /// out.
    pub fn retry(self, tries: u32, backoff: Duration) -> Self {
        BatchRunner { tries: Tries { tries: tries.max(1), backoff }, ..self }
    }

    /// What becomes of a batch after its last try; [`OnFailure::Stop`] unless told otherwise. With
    /// [`OnFailure::DeadLetter`] all its records are sent on, each in the trace that it came with.
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        BatchRunner { on_failure, ..self }
    }

    /// Stops when `signal` is ready: see [`run`](Self::run).
    pub fn with_graceful_shutdown(self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        BatchRunner { shutdown: signal.boxed(), ..self }
    }

    /// How long the handler may take to end when the runner stops; 30 seconds unless told otherwise.
    /// What runs longer is cancelled, and not acknowledged.
    pub fn drain_timeout(self, timeout: Duration) -> Self {
        BatchRunner { drain: timeout, ..self }
    }

    /// Handles batches until the shutdown signal, or until it has to stop. It ends as
    /// [`Runner::run`](super::Runner::run) does.
    ///
    /// # Errors
    ///
    /// As of [`Runner::run`](super::Runner::run); a failed batch is told by its first record.
    pub async fn run<F, Fut, E>(self, handler: F) -> Result<(), Error>
    where
        F: Fn(Vec<OwnedMessage>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let BatchRunner { consumer, max, wait, tries, on_failure, mut shutdown, drain } = self;
        consumer.reads_something()?;
        let source = Arc::clone(&consumer.source);
        let (stopping, is_stopping) = watch::channel(false);
        let plan = Arc::new(Plan { handler, tries, on_failure, is_stopping });
        let mut tasks = JoinSet::new();
        let mut patience = pin!(tokio::time::sleep(source.patience()));

        let work = async {
            loop {
                let batch = tokio::select! {
                    biased;
                    () = &mut shutdown => return Ok(()),
                    received = consumer.recv_batch(max, wait) => match received? {
                        Some(batch) => batch.into_owned(),
                        None => return Ok(()),
                    },
                };
                let plan = Arc::clone(&plan);
                #[expect(clippy::disallowed_methods, reason = "each record brings its own trace")]
                tasks.spawn(async move { plan.handle(batch).await });
                tokio::select! {
                    biased;
                    () = &mut shutdown => return Ok(()),
                    Some(done) = tasks.join_next() => match done {
                        Ok(handled) => handled?,
                        Err(task) => {
                            lost(task);
                            return Ok(());
                        }
                    },
                    never = rest(&*source, patience.as_mut()) => match never {},
                }
            }
        };
        let result: Result<(), Error> = committing(&*source, work).await;

        stopping.send_replace(true);
        let failed = finish(tasks, &*source, drain, Result::err).await;
        drop(source);
        close(consumer, drain).await;
        result.and(failed.map_or(Ok(()), |failed| Err(Error::Failed(failed))))
    }
}
