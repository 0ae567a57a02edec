use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use throughline_core::End;
use throughline_core::http::redact_text;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, Sleep};

use super::lanes::{Lane, Lanes, Order};
use super::offsets_of::Ours;
use super::policy::Tries;
use super::{DefaultHooks, Hooks, OnFailure, StreamConsumer};
use crate::error::{Error, Failed, Reason};
use crate::process::{OwnedDelivery, OwnedMessage, Source};

/// How many records are held at once unless told otherwise. Kafka hands them out a partition at a
/// time, by the thousand: with fewer, one partition would fill the buffer and the others wait.
const BUFFER: usize = 16_384;

/// How many bytes they may have together, by their keys and payloads.
const BUFFER_BYTES: usize = 64 * 1024 * 1024;

/// How often what is acknowledged is committed where librdkafka doesn't do it, as often as it would.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// How long what runs may take to end when the runner stops, unless told otherwise.
const DRAIN: Duration = Duration::from_secs(30);

/// How long a consumer may take to close, at least.
const CLOSE: Duration = Duration::from_secs(5);

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
/// What is acknowledged is committed every `auto.commit.interval.ms`, or every five seconds with
/// `enable.auto.commit=false`, and when partitions leave.
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
    /// one. The order of [partitions](Self::per_partition) or [keys](Self::per_key) may keep it
    /// lower.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Runner { concurrency: concurrency.max(1), ..self }
    }

    /// How many records are held here at once, handled or waiting; 16,384 unless told otherwise, and
    /// never more than 64 MiB. They are copies: this bounds the memory. Kafka hands records out a
    /// partition at a time: with a small buffer the partitions of a backlog are handled one after
    /// the other.
    pub fn buffer(self, records: usize) -> Self {
        Runner { buffer: Some(records.max(1)), ..self }
    }

    /// Handles the records of a partition one after the other, and partitions side by side. The
    /// default.
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
    /// order waits meanwhile. Each try has a span of its own.
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
    /// [`Error::Kafka`] when Kafka refuses for good.
    pub async fn run<F, Fut, E>(self, handler: F) -> Result<(), Error>
    where
        F: Fn(OwnedMessage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let Runner { consumer, concurrency, buffer, order, tries, on_failure, mut shutdown, drain } =
            self;
        let buffer = buffer.unwrap_or(BUFFER).max(concurrency);
        let source = Arc::clone(&consumer.source);
        let mut commits = tokio::time::interval(COMMIT_EVERY);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stopping, is_stopping) = watch::channel(false);
        let plan = Arc::new(Plan { handler, tries, on_failure, is_stopping });
        let mut lanes = Lanes::<OwnedDelivery>::new(order);
        let (mut tasks, mut bytes) = (JoinSet::new(), 0);
        // One for the whole run: to put a timer off costs less than to make one for each record.
        let mut patience = pin!(tokio::time::sleep(source.patience()));

        let result = loop {
            while let Some((lane, delivery)) = lanes.next(concurrency) {
                let plan = Arc::clone(&plan);
                #[expect(clippy::disallowed_methods, reason = "each record brings its own trace")]
                tasks.spawn(async move {
                    let size = size(delivery.message());
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
                    // Handlers are guarded: it came from an error that can't be printed, say.
                    Err(lost) => match lost.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        Err(_) => break Ok(()),
                    },
                },
                received = consumer.recv(), if has_room => match received {
                    Ok(Some(delivery)) => {
                        let delivery = delivery.into_owned();
                        let message = delivery.message().clone();
                        let (topic, partition) = (message.topic(), message.partition());
                        bytes += size(&message);
                        lanes.push(topic, partition, message.key(), delivery);
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
                _ = commits.tick(), if !source.commits_by_itself() => {
                    if let Err(error) = source.commit_stored() {
                        tracing::debug!(%error, "nothing was committed");
                    }
                }
                never = rest(&*source, patience.as_mut()), if !has_room => match never {},
            }
        };

        stopping.send_replace(true);
        lanes.abandon().for_each(OwnedDelivery::give_back);
        let failed = finish(tasks, &*source, drain).await;
        drop(source);
        // Without brokers it takes as long as a session; a service that stops can't wait for that.
        match tokio::time::timeout(drain.max(CLOSE), consumer.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last offsets were not committed: they come again");
            }
            Err(_) => tracing::warn!("the consumer has not closed in time, and goes on closing"),
        }
        result.and(failed.map_or(Ok(()), |failed| Err(Error::Failed(failed))))
    }
}

/// What a record weighs, by what its sender chose.
fn size(message: &OwnedMessage) -> usize {
    message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len)
}

/// There is no room for messages. If that lasts, somebody has to poll all the same.
async fn rest(source: &dyn Source, mut patience: Pin<&mut Sleep>) -> Infallible {
    patience.as_mut().reset(Instant::now() + source.patience());
    patience.await;
    source.rest().await
}

/// Lets what runs come to its end, within the deadline. The first record that failed by that.
async fn finish(
    mut tasks: JoinSet<(Lane, usize, Result<(), Failed>)>,
    source: &dyn Source,
    deadline: Duration,
) -> Option<Failed> {
    let mut first = None;
    let finished = async {
        while let Some(done) = tasks.join_next().await {
            if let Ok((_, _, Err(failed))) = done {
                first.get_or_insert(failed);
            }
        }
    };
    let patience = pin!(tokio::time::sleep(source.patience()));
    let is_late = tokio::select! {
        () = finished => false,
        () = tokio::time::sleep(deadline) => true,
        never = rest(source, patience) => match never {},
    };
    if is_late {
        let running = tasks.len();
        tracing::warn!(running, "handlers didn't end in time and were cancelled");
        tasks.shutdown().await;
    }
    first
}

/// What is done with each record.
struct Plan<F> {
    handler: F,
    tries: Tries,
    on_failure: OnFailure,
    is_stopping: watch::Receiver<bool>,
}

/// How a try ended that didn't succeed.
struct Failure {
    reason: Reason,
    end: End,
}

impl<F, Fut, E> Plan<F>
where
    F: Fn(OwnedMessage) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    async fn handle(&self, delivery: OwnedDelivery) -> Result<(), Failed> {
        for attempt in 1.. {
            if !delivery.is_current() {
                // The partition was taken away, or one before it has failed: it comes again, here or
                // with somebody else.
                delivery.give_back();
                return Ok(());
            }
            let wait = self.tries.wait_after(attempt);
            let message = delivery.message();
            let work = async {
                let tried = self.attempt(message.clone()).await;
                let buried = match (&tried, &self.on_failure, wait) {
                    (Err(Failure { reason, .. }), OnFailure::DeadLetter(letter), None) => {
                        Some(letter.send(message, reason, attempt).await)
                    }
                    _ => None,
                };
                (tried, buried)
            };
            let ((tried, buried), span) = delivery.start().process(work).await;
            let Err(Failure { reason, end }) = tried else {
                span.end(End::Completed);
                delivery.finish();
                return Ok(());
            };
            span.end(end);
            match (wait, buried, &self.on_failure) {
                (Some(wait), ..) => {
                    if self.stops_within(wait).await {
                        // Whoever reads it next tries it anew.
                        delivery.give_back();
                        return Ok(());
                    }
                }
                (None, Some(Ok(())), _) | (None, None, OnFailure::Skip) => {
                    let place = (message.topic(), message.partition(), message.offset());
                    let error = reason.to_string();
                    let error = redact_text(&error);
                    tracing::warn!(?place, %error, "a record failed, and was put aside");
                    delivery.pass();
                    return Ok(());
                }
                (None, Some(Err(error)), _) => {
                    return Err(delivery.fail(Reason::Error(Arc::new(error))));
                }
                (None, None, _) => return Err(delivery.fail(reason)),
            }
        }
        Ok(())
    }

    async fn attempt(&self, message: OwnedMessage) -> Result<(), Failure> {
        // In a block: the call that makes the future may panic as well.
        let handled = async { (self.handler)(message).await };
        match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let error: Box<dyn StdError + Send + Sync> = error.into();
                let end = End::failed_saying::<E>(&error);
                Err(Failure { reason: Reason::Error(Arc::from(error)), end })
            }
            Err(panic) => {
                let reason = Reason::Panicked(said(&*panic).to_owned());
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

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
