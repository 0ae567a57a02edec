//! What becomes of the offsets of messages that were handed out.

use std::collections::HashSet;
use std::sync::Arc;

use rdkafka::error::KafkaResult;

use crate::consumer::{State, Ticket};
use crate::error::{Failed, Reason};

/// A message that was handed out and has to be finished: otherwise it failed.
#[derive(Debug)]
pub(crate) struct Pending {
    ticket: Ticket,
    state: Arc<State>,
    /// Whether what becomes of the offset is our affair.
    acknowledge: bool,
    settled: bool,
}

impl Pending {
    pub(crate) fn new(ticket: Ticket, state: Arc<State>, acknowledge: bool) -> Self {
        Pending { ticket, state, acknowledge, settled: false }
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Whether the partition is still read here, as it was when the message was handed out, and
    /// nothing before it has failed since.
    pub(crate) fn is_current(&self) -> bool {
        self.state.offsets.is_current(&self.ticket)
    }

    /// Its handler has succeeded. `store` is told how far the partition is acknowledged by that,
    /// if that is our affair and has moved.
    pub(crate) fn finish(mut self, store: impl FnOnce(&Ticket, i64) -> KafkaResult<()>) {
        self.settled = true;
        self.state.processed();
        self.leave(store);
    }

    /// Its handler has failed, and the partition goes on all the same.
    pub(crate) fn pass(mut self, store: impl FnOnce(&Ticket, i64) -> KafkaResult<()>) {
        self.settled = true;
        self.state.passed();
        self.leave(store);
    }

    fn leave(&self, store: impl FnOnce(&Ticket, i64) -> KafkaResult<()>) {
        let store = self.acknowledge.then_some(|position| store(&self.ticket, position));
        let stored = self.state.offsets.finish(&self.ticket, store);
        // Told after the book is closed: whoever listens to the log may want to look into it.
        if let Some(Err(error)) = stored {
            // The partition was taken away a moment ago: whoever has it now gets the message again.
            tracing::debug!(%error, "an offset was not stored");
        }
    }

    /// Its handler has failed: its partition stands still, if that is our affair.
    pub(crate) fn fail(mut self, reason: Reason) -> Failed {
        self.settled = true;
        self.failed(reason, true)
    }

    /// The same, for one behind another of its partition whose failure was told already.
    fn fail_behind(mut self, reason: Reason) -> Failed {
        self.settled = true;
        self.failed(reason, false)
    }

    fn failed(&self, reason: Reason, is_told: bool) -> Failed {
        let Ticket { topic, partition, offset, .. } = &self.ticket;
        let failed =
            Failed { topic: Arc::clone(topic), partition: *partition, offset: *offset, reason };
        if self.acknowledge {
            self.state.fail(&self.ticket, &failed, is_told);
        } else {
            self.state.count_failure(&failed);
            self.leave(|_, _| Ok(()));
        }
        failed
    }

    /// Nobody will process it here: it is given back, and that is nobody's failure.
    pub(crate) fn give_back(mut self) {
        self.settled = true;
        self.state.offsets.give_back(&self.ticket);
    }

    /// Nobody has begun with it: it is put back, to be handed out once more.
    pub(crate) fn put_back(mut self) -> Ticket {
        self.settled = true;
        self.ticket.clone()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.settled {
            self.failed(why_dropped(), true);
        }
    }
}

fn why_dropped() -> Reason {
    match std::thread::panicking() {
        true => Reason::Panicked("what it said was told where it happened".to_owned()),
        false => Reason::Dropped,
    }
}

/// The messages of a batch, which succeed or fail together.
#[derive(Debug)]
pub(crate) struct PendingBatch(Vec<Pending>);

impl PendingBatch {
    pub(crate) fn new(messages: Vec<Pending>) -> Self {
        PendingBatch(messages)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.0.iter()
    }

    pub(crate) fn into_inner(mut self) -> Vec<Pending> {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn pass(mut self, store: impl Fn(&Ticket, i64) -> KafkaResult<()>) {
        while let Some(pending) = self.0.pop() {
            pending.pass(&store);
        }
    }

    pub(crate) fn finish(mut self, store: impl Fn(&Ticket, i64) -> KafkaResult<()>) {
        // The last one first: a partition moves on with its first one then, and is stored once.
        while let Some(pending) = self.0.pop() {
            pending.finish(&store);
        }
    }

    /// Their handler has failed. The first of each partition is told; of all the first is returned.
    pub(crate) fn fail(mut self, reason: &Reason) -> Option<Failed> {
        self.fail_all(reason)
    }

    fn fail_all(&mut self, reason: &Reason) -> Option<Failed> {
        let (mut told, mut first) = (HashSet::new(), None);
        for pending in std::mem::take(&mut self.0) {
            let Ticket { topic, partition, .. } = pending.ticket();
            let failed = match told.insert((Arc::clone(topic), *partition)) {
                true => pending.fail(reason.clone()),
                false => pending.fail_behind(reason.clone()),
            };
            first.get_or_insert(failed);
        }
        first
    }
}

impl Drop for PendingBatch {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.fail_all(&why_dropped());
        }
    }
}
