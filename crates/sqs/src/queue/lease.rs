//! The hold on a message that was received.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::keeper::Keeper;

/// SQS hides a message no longer than twelve hours.
pub(super) const MAX_VISIBILITY: u64 = 12 * 60 * 60;

/// Keeps a message invisible to others until it is deleted or given back: by being dropped, too.
#[derive(Debug)]
pub(crate) struct Lease {
    keeper: Arc<Keeper>,
    id: u64,
    receive_count: u32,
    is_started: bool,
    is_settled: bool,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settle {
    Delete,
    /// It is to be visible again, after so many seconds.
    Visible(i32),
}

impl Lease {
    pub(super) fn new(keeper: Arc<Keeper>, id: u64, receive_count: u32) -> Self {
        Lease { keeper, id, receive_count, is_started: false, is_settled: false }
    }

    /// Its handler begins: from now on it counts as failed unless it succeeds.
    pub(crate) fn start(&mut self) {
        self.is_started = true;
    }

    /// Its handler has succeeded.
    pub(crate) fn delete(mut self) {
        self.settle(Settle::Delete, None);
    }

    /// The same; where others wait behind it in their order, until it is deleted. Whether they may
    /// come now.
    pub(crate) async fn delete_in_order(mut self) -> bool {
        if !self.keeper.is_ordered {
            self.delete();
            return true;
        }
        let (done, is_done) = oneshot::channel();
        self.settle(Settle::Delete, Some(done));
        is_done.await.is_ok()
    }

    fn settle(&mut self, settle: Settle, waits: Option<oneshot::Sender<()>>) {
        self.is_settled = true;
        self.keeper.settle(self.id, settle, waits);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        // Whoever stops has cut it short: that is no failure of the message.
        let seconds = match self.is_started && !self.keeper.is_draining() {
            true => self.keeper.backoff.seconds(self.receive_count),
            false => 0,
        };
        self.settle(Settle::Visible(seconds), None);
    }
}
