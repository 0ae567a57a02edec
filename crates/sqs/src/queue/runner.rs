use std::fmt;
use std::fmt::Display;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use throughline_core::error_chain;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Queue;
use super::drain::drained;
use super::lanes::{Lane, Lanes};
use crate::error::Error;
use crate::process::{Delivery, Handled, OwnedMessage};

/// How long what runs may take to end when the runner stops, unless told otherwise.
const DRAIN: Duration = Duration::from_secs(30);

/// How long the last deletions may take beyond that.
const FLUSH: Duration = Duration::from_secs(15);

/// How long a runner waits after a call that has failed; twice as long after the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A loop over a queue that handles several messages at once, each in its trace; from
/// [`Queue::runner`].
///
/// Each handler runs in a task of its own, so one that panics harms no other. A message is deleted
/// after its handler has succeeded. One whose handler fails or panics comes again after
/// [a while](Queue::backoff).
///
/// No more messages are received than can be handled. Those of a FIFO queue are handled one after
/// the other within their group, each when the one before it is deleted, and groups side by side.
/// Behind a message that fails, its group waits until it has come again and gone well, or the
/// queue's redrive policy has taken it. More than [one at once](Queue::max_messages) change that.
#[must_use = "a runner does nothing until `run` is called"]
pub struct Runner {
    queue: Queue,
    concurrency: usize,
    shutdown: BoxFuture<'static, ()>,
    drain: Duration,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("queue", &self.queue)
            .field("concurrency", &self.concurrency)
            .field("drain_timeout", &self.drain)
            .finish_non_exhaustive()
    }
}

impl Runner {
    pub(super) fn new(queue: Queue) -> Self {
        Runner { queue, concurrency: 1, shutdown: pending().boxed(), drain: DRAIN }
    }

    /// How many messages are handled at once, at the most; one unless told otherwise, and at least
    /// one. The order of a FIFO queue may keep it lower.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Runner { concurrency: concurrency.max(1), ..self }
    }

    /// Stops when `signal` is ready: see [`run`](Self::run).
    pub fn with_graceful_shutdown(self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Runner { shutdown: signal.boxed(), ..self }
    }

    /// How long handlers may take to end when the runner stops; 30 seconds unless told otherwise.
    /// What runs longer is cancelled and given back. A receive on its way is waited for all the same.
    pub fn drain_timeout(self, timeout: Duration) -> Self {
        Runner { drain: timeout, ..self }
    }

    /// Handles messages until the shutdown signal, or until none can be received any more.
    ///
    /// Then what waits is given back, what runs is finished within the
    /// [drain timeout](Self::drain_timeout), and what has succeeded is deleted. A receive that is on
    /// its way is waited for, up to the queue's [wait time](Queue::wait_time) and whatever the drain
    /// timeout is, and what it brings is given back: broken off, it would cost its messages a
    /// visibility timeout. What is given back counts as received by the queue's redrive policy, which
    /// should allow for a few more receives than tries. To drop the future cancels what runs; the messages come again.
    ///
    /// Errors that may pass by themselves are told in the log and tried again, after a pause that
    /// grows up to half a minute.
    ///
    /// # Errors
    ///
    /// When nothing can be received any more, and that won't pass by itself: the queue is gone, or
    /// the right to read it. The same when the right is missing to delete what was handled, or to
    /// change its visibility: without, each message would come again and again. At the end, when
    /// messages were handled and could not be deleted.
    pub async fn run<F, Fut, T, E>(self, handler: F) -> Result<(), Error>
    where
        F: Fn(OwnedMessage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let Runner { queue, concurrency, mut shutdown, drain } = self;
        let (queue, handler) = (&queue, Arc::new(handler));
        let keeper = queue.open()?.keeper;
        // A group of a queue that isn't FIFO is of no order.
        let is_fifo = queue.is_fifo();
        // A poll that wasn't begun when the end came must not begin then.
        let is_over = AtomicBool::new(false);
        let is_over = &is_over;
        let mut lanes = Lanes::<Delivery>::new();
        let mut tasks = JoinSet::<(Lane, Handled)>::new();
        let mut polls = FuturesUnordered::new();
        // How many messages are asked for, and whether there were as many the last time.
        let (mut asked, mut is_busy) = (0, false);
        let (mut failures, mut resume) = (0, Instant::now());

        let result = loop {
            while tasks.len() < concurrency
                && let Some((lane, delivery)) = lanes.next()
            {
                let handler = Arc::clone(&handler);
                #[expect(clippy::disallowed_methods, reason = "each message brings its own trace")]
                tasks.spawn(async move { (lane, delivery.handle(|it| handler(it)).await) });
            }
            let room = concurrency.saturating_sub(lanes.held() + asked);
            let is_wanted = room > 0 && (polls.is_empty() || (is_busy && room >= queue.most()));
            if is_wanted && Instant::now() >= resume {
                let most = room.min(queue.most());
                asked += most;
                polls.push(async move {
                    match is_over.load(Relaxed) {
                        true => (most, Ok(Vec::new())),
                        false => (most, queue.receive_up_to(most).await),
                    }
                });
            }
            tokio::select! {
                biased;
                () = &mut shutdown => break Ok(()),
                error = keeper.denied() => break Err(error),
                Some(done) = tasks.join_next() => match done {
                    Ok((lane, Handled::Ok)) => lanes.done(&lane),
                    // To drop them gives them back.
                    Ok((lane, Handled::Failed)) => drop(lanes.failed(&lane)),
                    // Handlers are guarded: it came from a drop, say.
                    Err(lost) => match lost.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        Err(_) => break Ok(()),
                    },
                },
                Some((most, received)) = polls.next() => {
                    asked -= most;
                    match received {
                        Ok(received) => {
                            failures = 0;
                            is_busy = received.len() >= most;
                            for delivery in received {
                                let lane = delivery.group_id().filter(|_| is_fifo);
                                let lane = lane.map(str::to_owned);
                                lanes.push(lane.as_deref(), delivery);
                            }
                        }
                        Err(error) if error.is_transient() => {
                            let pause = pause_after(failures);
                            failures += 1;
                            resume = Instant::now() + pause;
                            let (error, queue) = (error_chain(&error), queue.shown());
                            tracing::warn!(queue, error, ?pause, "nothing was received");
                        }
                        Err(error) => break Err(error),
                    }
                }
                () = sleep_until(resume), if is_wanted => {}
            }
        };

        is_over.store(true, Relaxed);
        // Not begun: they are given back.
        drop(lanes.abandon());
        drained(queue, tasks, polls, drain).await;
        let is_settled = timeout(FLUSH, keeper.settled()).await.is_ok();
        let told = keeper.report(!is_settled).await;
        result.and(told)
    }
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(MAX_PAUSE)
}
