//! Who deletes messages, gives them back, and keeps those invisible that are being handled.
//!
//! On a thread and a runtime of its own: a handler that blocks its thread blocks no heartbeat.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::{mpsc, oneshot};

use super::lease::{Lease, MAX_VISIBILITY, Settle};
use super::work::Work;
use crate::error::NotDeleted;

/// How long a message that has failed stays invisible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    /// Twice as long each time it is received.
    pub(super) fn seconds(self, receive_count: u32) -> i32 {
        let doubled = 2_u32.saturating_pow(receive_count.saturating_sub(1).min(31));
        seconds(self.first.saturating_mul(doubled).min(self.max))
    }
}

/// SQS counts in whole seconds.
pub(super) fn seconds(time: Duration) -> i32 {
    let more = u64::from(time.subsec_nanos() > 0);
    let whole = time.as_secs().saturating_add(more).min(MAX_VISIBILITY);
    i32::try_from(whole).unwrap_or_default()
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    Hold {
        id: u64,
        receipt: String,
        message_id: String,
    },
    Settle(u64, Settle),
    /// To be answered when all that was settled before is done.
    Flush(oneshot::Sender<Vec<NotDeleted>>),
}

/// The way to the thread, which lives until this is gone and all is done.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: mpsc::UnboundedSender<Order>,
    next: AtomicU64,
    draining: AtomicBool,
    pub(super) backoff: Backoff,
}

impl Keeper {
    pub(super) fn start(
        client: Client,
        queue: (Arc<str>, Arc<str>),
        visibility: Duration,
        backoff: Backoff,
    ) -> io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, taken) = mpsc::unbounded_channel();
        let run = move || runtime.block_on(Work::new(client, queue, visibility).run(taken));
        #[expect(clippy::disallowed_methods, reason = "it works for messages of any trace")]
        let _thread = thread::Builder::new().name("throughline-sqs".to_owned()).spawn(run)?;
        Ok(Arc::new(Keeper {
            orders,
            next: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            backoff,
        }))
    }

    /// Keeps a message from now on.
    pub(super) fn hold(
        self: &Arc<Self>,
        receipt: String,
        message_id: String,
        receive_count: u32,
    ) -> Lease {
        let id = self.next.fetch_add(1, Relaxed);
        self.tell(Order::Hold { id, receipt, message_id });
        Lease::new(Arc::clone(self), id, receive_count)
    }

    pub(super) fn settle(&self, id: u64, settle: Settle) {
        self.tell(Order::Settle(id, settle));
    }

    /// From now on what is cut short is given back at once.
    pub(super) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Waits until all that was settled is done. What could not be deleted since the last time.
    pub(super) async fn flush(&self) -> Vec<NotDeleted> {
        let (done, is_done) = oneshot::channel();
        self.tell(Order::Flush(done));
        is_done.await.unwrap_or_default()
    }

    fn tell(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!("the thread is gone that deletes messages: they come again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_twice_as_long_each_time() {
        let backoff = Backoff { first: Duration::from_millis(1500), max: Duration::from_secs(60) };
        let waits: Vec<_> = [0, 1, 2, 3, 7, u32::MAX].map(|it| backoff.seconds(it)).to_vec();
        assert_eq!(waits, [2, 2, 3, 6, 60, 60]);
        let long = Backoff { first: Duration::MAX, max: Duration::MAX };
        assert_eq!(long.seconds(9), 43_200);
        let none = Backoff { first: Duration::ZERO, max: Duration::MAX };
        assert_eq!(none.seconds(9), 0);
    }
}
