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

use super::Queue;
use super::denied::Denied;
use super::lease::{Lease, MAX_VISIBILITY, Settle};
use super::undeleted::Undeleted;
use super::work::Work;
use crate::error::Error;

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
    Settle {
        id: u64,
        settle: Settle,
        /// Who waits until it is done.
        waits: Option<oneshot::Sender<()>>,
    },
    /// To be answered when all that was settled before is done.
    Flush(oneshot::Sender<()>),
    /// To be answered with what could not be deleted since the last time; with what is still to be
    /// deleted as well, if that isn't waited for any longer.
    Report {
        is_late: bool,
        told: oneshot::Sender<Undeleted>,
    },
}

/// The way to the thread, which lives until this is gone and all is done.
#[derive(Debug)]
pub(super) struct Keeper {
    queue: Arc<str>,
    orders: mpsc::UnboundedSender<Order>,
    next: AtomicU64,
    draining: AtomicBool,
    denied: Arc<Denied>,
    pub(super) backoff: Backoff,
    /// Whether nothing may be handled before what is ahead of it is deleted.
    pub(super) is_ordered: bool,
}

impl Keeper {
    pub(super) fn start(client: Client, queue: &Queue) -> io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, taken) = mpsc::unbounded_channel();
        let denied = Arc::<Denied>::default();
        let work = Work::new(client, queue, Arc::clone(&denied));
        let run = move || runtime.block_on(work.run(taken));
        #[expect(clippy::disallowed_methods, reason = "it works for messages of any trace")]
        let _thread = thread::Builder::new().name("throughline-sqs".to_owned()).spawn(run)?;
        Ok(Arc::new(Keeper {
            queue: queue.shown().into(),
            orders,
            next: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            denied,
            backoff: queue.backoff,
            is_ordered: queue.is_fifo(),
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

    pub(super) fn settle(&self, id: u64, settle: Settle, waits: Option<oneshot::Sender<()>>) {
        self.tell(Order::Settle { id, settle, waits });
    }

    /// From now on what is cut short is given back at once.
    pub(super) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Waits until all that was settled is done.
    pub(super) async fn settled(&self) {
        let (done, is_done) = oneshot::channel();
        self.tell(Order::Flush(done));
        drop(is_done.await);
    }

    /// What has gone wrong since the last time; `is_late` if what isn't deleted by now is to be told,
    /// too.
    pub(super) async fn report(&self, is_late: bool) -> Result<(), Error> {
        // What could not be deleted for that is told the next time.
        self.may()?;
        let (told, is_told) = oneshot::channel();
        self.tell(Order::Report { is_late, told });
        is_told.await.unwrap_or_default().into_result(&self.queue)
    }

    /// Whether no right was found missing since somebody was told.
    pub(super) fn may(&self) -> Result<(), Error> {
        self.denied.take(&self.queue)
    }

    /// Waits until a right is found missing.
    pub(super) async fn denied(&self) -> Error {
        self.denied.next(&self.queue).await
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
