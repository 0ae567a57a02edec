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
use super::lanes::{Lanes, Order};
use super::offsets_of::Ours;
use super::plan::{Plan, lost};
use super::policy::Tries;
use super::{DefaultHooks, Hooks, OnFailure, StreamConsumer};
use crate::error::Error;
use crate::process::{OwnedDelivery, OwnedMessage};

/// How many records are held at once unless told otherwise. Kafka hands them out a partition at a
/// time, by the thousand: with fewer, one partition would fill the buffer and the others wait.
const BUFFER: usize = 16_384;

/// How many bytes they may have together.
pub(super) const BUFFER_BYTES: usize = 64 * 1024 * 1024;

/// A loop over a consumer that handles several records at once, each in its trace; from
/// [`StreamConsumer::runner`].
///
/// ```no_run
/// use throughline_kafka::{OwnedMessage, StreamConsumer};
///
/// # async fn handle(_: OwnedMessage) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run(consumer: StreamConsumer) -> Result<(), throughline_kafka::Error> {
/// consumer
///     .runner()
///     .concurrency(8)
///     .per_key()
///     .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
///     .run(|message| async move { handle(message).await })
///     .await
/// # }
/// ```
///
/// Each handler runs in a task of its own, so one that panics harms no other; its record counts as
/// failed. However long handlers wait, the consumer keeps its membership in the group; one that
/// blocks its thread belongs into `spawn_blocking`.
///
/// What is acknowledged is committed every `auto.commit.interval.ms` (nought is never), whether or not
/// `enable.auto.commit` is on, and when partitions leave; not where the offsets are
/// [the service's affair](StreamConsumer::offsets).
#[must_use = "a runner does nothing until `run` is called"]
pub struct Runner<H: Hooks = DefaultHooks, O = Ours> {
    consumer: StreamConsumer<H, O>,
    concurrency: usize,
    buffer: Option<usize>,
    order: Order,
    tries: Tries,
    on_failure: OnFailure,
    shutdown: BoxFuture<'static, ()>,
    drain: Duration,
}

impl<H: Hooks, O> fmt::Debug for Runner<H, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("concurrency", &self.concurrency)
            .field("order", &self.order)
            .field("tries", &self.tries)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

impl<H: Hooks, O> Runner<H, O> {
    pub(super) fn new(consumer: StreamConsumer<H, O>) -> Self {
        Runner {
            consumer,
            concurrency: 1,
            buffer: None,
            order: Order::default(),
            tries: Tries::default(),
            on_failure: OnFailure::default(),
            shutdown: pending().boxed(),
            drain: DRAIN,
        }
    }

    /// How many records are handled at once, at the most; one unless told otherwise, and at least
    /// one. One that waits for its next try counts as well. The order of [partitions](Self::per_partition) or [keys](Self::per_key) may keep it
    /// lower.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Runner { concurrency: concurrency.max(1), ..self }
    }

    /// How many records are held here at once, handled or waiting; 16,384 unless told otherwise, and
    /// no more once they have 64 MiB together: keys, payloads and headers. They are copies: this
    /// bounds the memory. Kafka hands records out a
    /// partition at a time: with a small buffer the partitions of a backlog are handled one after
    /// the other.
    pub fn buffer(self, records: usize) -> Self {
        Runner { buffer: Some(records.max(1)), ..self }
    }

    /// Handles the records of a partition one after the other, and partitions side by side, as many
    /// as [`concurrency`](Self::concurrency) allows. The default.
    pub fn per_partition(self) -> Self {
        Runner { order: Order::Partition, ..self }
    }

    /// Handles the records of a partition that have the same key one after the other, and
    /// everything else side by side, records without a key as well.
    pub fn per_key(self) -> Self {
        Runner { order: Order::Key, ..self }
    }

    /// Handles records side by side, whatever their order.
    pub fn unordered(self) -> Self {
        Runner { order: Order::None, ..self }
    }

    /// Tries a record up to `tries` times before it counts as failed, with `backoff` before the
    /// second try, twice that before the third, and a minute at the most. What has to be handled in
    /// order waits meanwhile; everything else goes on, while fewer records wait than
    /// [`concurrency`](Self::concurrency) allows. Each try has a span of its own, linked to that of
    /// the first.
    pub fn retry(self, tries: u32, backoff: Duration) -> Self {
        Runner { tries: Tries { tries: tries.max(1), backoff }, ..self }
    }

    /// What becomes of a record after its last try; [`OnFailure::Stop`] unless told otherwise.
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        Runner { on_failure, ..self }
    }

    /// Stops when `signal` is ready: see [`run`](Self::run).
    pub fn with_graceful_shutdown(self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Runner { shutdown: signal.boxed(), ..self }
    }

    /// How long handlers may take to end when the runner stops; 30 seconds unless told otherwise.
    /// What runs longer is cancelled, and not acknowledged.
    pub fn drain_timeout(self, timeout: Duration) -> Self {
        Runner { drain: timeout, ..self }
    }

    /// Handles records until the shutdown signal, or until it has to stop.
    ///
    /// Then nothing more is received, what waits is given back, what runs is finished within the
    /// [drain timeout](Self::drain_timeout), what is acknowledged is committed, and the consumer
    /// leaves the group. To drop the future cancels what runs, without any of that.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when a record failed and [`OnFailure`] says to stop, or when a dead letter
    /// could not be sent; a record that fails while the runner stops counts as well.
    /// [`Error::Kafka`] when Kafka refuses for good, and at once if the consumer has subscribed to
    /// nothing and was assigned nothing.
    pub async fn run<F, Fut, E>(self, handler: F) -> Result<(), Error>
    where
        F: Fn(OwnedMessage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let Runner { consumer, concurrency, buffer, order, tries, on_failure, mut shutdown, drain } =
            self;
        consumer.reads_something()?;
        let buffer = buffer.unwrap_or(BUFFER).max(concurrency);
        let source = Arc::clone(&consumer.source);
        let (stopping, is_stopping) = watch::channel(false);
        let plan = Arc::new(Plan { handler, tries, on_failure, is_stopping });
        let mut lanes = Lanes::<OwnedDelivery>::new(order);
        let (mut tasks, mut bytes) = (JoinSet::new(), 0);
        // One for the whole run: to put a timer off costs less than to make one for each record.
        let mut patience = pin!(tokio::time::sleep(source.patience()));

        let work = async {
            loop {
                while let Some((lane, delivery)) = lanes.next(concurrency) {
                    let plan = Arc::clone(&plan);
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "each record brings its own trace"
                    )]
                    tasks.spawn(async move {
                        let size = delivery.message().as_message().size();
                        (lane, size, plan.handle(delivery).await)
                    });
                }
                let has_room = lanes.held() < buffer && bytes < BUFFER_BYTES;
                tokio::select! {
                    biased;
                    () = &mut shutdown => break Ok(()),
                    Some(done) = tasks.join_next() => match done {
                        Ok((lane, size, result)) => {
                            lanes.done(lane);
                            bytes -= size;
                            if let Err(failed) = result {
                                break Err(Error::Failed(failed));
                            }
                        }
                        Err(task) => {
                            lost(task);
                            break Ok(());
                        }
                    },
                    received = consumer.recv(), if has_room => match received {
                        Ok(Some(delivery)) => {
                            let delivery = delivery.into_owned();
                            let message = delivery.message().clone();
                            let (topic, partition) = (message.topic(), message.partition());
                            bytes += message.as_message().size();
                            lanes.push(topic, partition, message.key(), delivery);
                        }
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    },
                    never = rest(&*source, patience.as_mut()), if !has_room => match never {},
                }
            }
        };
        let result = committing(&*source, work).await;

        stopping.send_replace(true);
        lanes.abandon().for_each(OwnedDelivery::give_back);
        let failed = finish(tasks, &*source, drain, |(_, _, result)| result.err()).await;
        drop(source);
        close(consumer, drain).await;
        result.and(failed.map_or(Ok(()), |failed| Err(Error::Failed(failed))))
    }
}
