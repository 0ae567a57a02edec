//! A handler may take longer than Kafka waits for a consumer to poll.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;

/// The consumer that a message came from.
pub(crate) trait Source: Send + Sync {
    /// Stores how far a partition is acknowledged: the offset to go on with. The next commit sends
    /// it.
    fn store(&self, topic: &str, partition: i32, position: i64) -> KafkaResult<()>;

    /// The same, for the offset right after a message.
    fn store_after(&self, message: &BorrowedMessage<'_>) -> KafkaResult<()>;

    /// Keeps the membership in the group for as long as it is polled, without taking messages.
    /// `polls` is what [`polls`](Self::polls) was when the waiting began.
    fn rest(&self, polls: u64) -> BoxFuture<'_, Infallible>;

    /// How often somebody began to wait for a message, and polled by that.
    fn polls(&self) -> u64;

    /// How long a handler may take before somebody has to poll.
    fn patience(&self) -> Duration;

    /// Sends what is stored to the broker, without waiting for it.
    fn commit_stored(&self) -> KafkaResult<()>;

    /// Whether what is stored is committed every now and then without our doing: by librdkafka, or by
    /// the service, whose affair it is.
    fn commits_by_itself(&self) -> bool;

    /// How often it is to be committed otherwise.
    fn commit_interval(&self) -> Duration;
}

/// What a future says at this moment.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await
}

/// Runs `work`, and keeps polling for its consumer if it takes long.
pub(crate) async fn keeping<F: Future>(source: &dyn Source, work: F) -> F::Output {
    let mut work = pin!(work);
    // Most handlers that don't wait need no timer.
    if let Poll::Ready(output) = poll_once(work.as_mut()).await {
        return output;
    }
    let polls = source.polls();
    if let Ok(output) = tokio::time::timeout(source.patience(), work.as_mut()).await {
        return output;
    }
    tokio::select! {
        biased;
        output = work => output,
        never = source.rest(polls) => match never {},
    }
}
