//! What the keeper's thread does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Queue;
use super::calls::{self, BATCH, Entry, Outcome};
use super::denied::Denied;
use super::due::{LINGER, ready};
use super::keeper::{Order, seconds};
use super::lease::Settle;
use super::undeleted::Undeleted;

/// Why a message isn't deleted whose deletion nobody waits for any longer.
const LATE: &str = "it was tried until the queue was given up";

/// An hour: nothing to do is looked at again then.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// A message that others don't see.
pub(super) struct Held {
    receipt: String,
    pub(super) message_id: String,
    /// What is to become of it, once that is known.
    pub(super) settle: Option<Settle>,
    /// Who waits until it is deleted; dropped if it isn't to be.
    pub(super) waits: Option<oneshot::Sender<()>>,
    /// Whether it is just being kept invisible for longer.
    pub(super) is_beating: bool,
    pub(super) next_beat: Option<Instant>,
    pub(super) tries: u32,
}

impl Held {
    fn is_to_be_deleted(&self) -> bool {
        self.settle == Some(Settle::Delete)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Delete,
    Change,
    Beat,
}

type Done = Vec<(u64, Outcome)>;

/// Somebody who waits until these are settled.
struct Flush {
    waits_for: Vec<u64>,
    done: oneshot::Sender<()>,
}

pub(super) struct Work {
    client: Client,
    url: Arc<str>,
    /// Its URL, as lines show it.
    pub(super) queue: Arc<str>,
    visibility: i32,
    /// How long what is settled waits for company: not at all where the next of its group waits, too.
    linger: Duration,
    pub(super) every: Duration,
    pub(super) held: HashMap<u64, Held>,
    pub(super) deletes: Vec<(Instant, u64)>,
    pub(super) changes: Vec<(Instant, u64)>,
    pub(super) next_beat: Instant,
    calls: JoinSet<Done>,
    /// What each call is of, in case it panics.
    called: HashMap<task::Id, (Kind, Vec<u64>)>,
    flushes: Vec<Flush>,
    pub(super) undeleted: Undeleted,
    pub(super) denied: Arc<Denied>,
    is_closing: bool,
}

impl Work {
    pub(super) fn new(client: Client, queue: &Queue, denied: Arc<Denied>) -> Self {
        Work {
            client,
            url: Arc::clone(&queue.url),
            queue: queue.shown().into(),
            visibility: seconds(queue.visibility),
            linger: if queue.is_fifo() { Duration::ZERO } else { LINGER },
            // Two may fail, and the third is still in time.
            every: queue.visibility / 3,
            held: HashMap::new(),
            deletes: Vec::new(),
            changes: Vec::new(),
            next_beat: Instant::now() + IDLE,
            calls: JoinSet::new(),
            called: HashMap::new(),
            flushes: Vec::new(),
            undeleted: Undeleted::default(),
            denied,
            is_closing: false,
        }
    }

    /// Until nobody can give orders any more, and all are carried out.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        loop {
            self.dispatch();
            if self.is_closing && self.held.is_empty() && self.calls.is_empty() {
                return;
            }
            let wake = self.wake();
            tokio::select! {
                order = orders.recv(), if !self.is_closing => match order {
                    Some(order) => {
                        self.take(order);
                        while let Ok(order) = orders.try_recv() {
                            self.take(order);
                        }
                    }
                    None => self.is_closing = true,
                },
                Some(done) = self.calls.join_next_with_id() => self.done(done),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn take(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Hold { id, receipt, message_id } => {
                let next_beat = Some(now + self.every);
                let (settle, waits, is_beating, tries) = (None, None, false, 0);
                let held =
                    Held { receipt, message_id, settle, waits, is_beating, next_beat, tries };
                self.held.insert(id, held);
                self.next_beat = self.next_beat.min(now + self.every);
            }
            Order::Settle { id, settle, waits } => {
                let Some(held) = self.held.get_mut(&id) else { return };
                held.settle = Some(settle);
                held.waits = waits;
                match settle {
                    Settle::Delete => self.deletes.push((now + self.linger, id)),
                    // After a heartbeat that is on its way: the last one holds.
                    Settle::Visible(_) if held.is_beating => {}
                    Settle::Visible(_) => self.changes.push((now + self.linger, id)),
                }
            }
            Order::Flush(done) => {
                let settled = self.held.iter().filter(|(_, held)| held.settle.is_some());
                let waits_for = settled.map(|(id, _)| *id).collect();
                self.flushes.push(Flush { waits_for, done });
                self.answer();
            }
            Order::Report { is_late, told } => {
                let mut undeleted = std::mem::take(&mut self.undeleted);
                let late = self.held.values().filter(|held| is_late && held.is_to_be_deleted());
                late.for_each(|it| undeleted.add(it.message_id.clone(), LATE.to_owned()));
                // Whoever waits no longer gets it told the next time.
                if let Err(undeleted) = told.send(undeleted) {
                    self.undeleted = undeleted;
                }
            }
        }
    }

    /// Answers those who wait for nothing more.
    fn answer(&mut self) {
        let mut at = 0;
        while at < self.flushes.len() {
            if self.flushes[at].waits_for.is_empty() {
                let Flush { done, .. } = self.flushes.swap_remove(at);
                // Nobody may wait any longer.
                done.send(()).unwrap_or_default();
            } else {
                at += 1;
            }
        }
    }

    fn wake(&self) -> Instant {
        let due = self.deletes.iter().chain(&self.changes).map(|(at, _)| *at);
        due.chain([self.next_beat]).min().unwrap_or(self.next_beat)
    }

    /// Starts the calls whose time has come.
    fn dispatch(&mut self) {
        let now = Instant::now();
        let hurry = self.is_closing || !self.flushes.is_empty();
        for batch in ready(&mut self.deletes, now, hurry) {
            let entries = self.entries(&batch);
            let work = calls::delete(self.client.clone(), self.url.to_string(), entries);
            self.call(Kind::Delete, batch, work);
        }
        for batch in ready(&mut self.changes, now, hurry) {
            let entries = self.entries(&batch).into_iter();
            let entries = entries.map(|entry| {
                let seconds = match self.held.get(&entry.0).and_then(|held| held.settle) {
                    Some(Settle::Visible(seconds)) => seconds,
                    _ => 0,
                };
                (entry, seconds)
            });
            let entries = entries.collect();
            let work = calls::change(self.client.clone(), self.url.to_string(), entries);
            self.call(Kind::Change, batch, work);
        }
        if now >= self.next_beat {
            self.beat(now);
        }
    }

    /// Keeps invisible for longer what is due, and what soon would be.
    fn beat(&mut self, now: Instant) {
        let soon = now + self.every / 4;
        let mut due = Vec::new();
        let mut next = now + IDLE;
        for (id, held) in &mut self.held {
            let Some(at) = held.next_beat else { continue };
            if held.is_beating || matches!(held.settle, Some(Settle::Visible(_))) {
                continue;
            }
            if at <= soon {
                held.is_beating = true;
                due.push(*id);
            } else {
                next = next.min(at);
            }
        }
        self.next_beat = next;
        for batch in due.chunks(BATCH) {
            let entries = self.entries(batch).into_iter();
            let entries = entries.map(|entry| (entry, self.visibility)).collect();
            let work = calls::change(self.client.clone(), self.url.to_string(), entries);
            self.call(Kind::Beat, batch.to_vec(), work);
        }
    }

    fn entries(&self, ids: &[u64]) -> Vec<Entry> {
        let entry = |id: &u64| Some((*id, self.held.get(id)?.receipt.clone()));
        ids.iter().filter_map(entry).collect()
    }

    fn call(
        &mut self,
        kind: Kind,
        ids: Vec<u64>,
        work: impl Future<Output = Done> + Send + 'static,
    ) {
        #[expect(clippy::disallowed_methods, reason = "it is of messages of any trace")]
        let task = self.calls.spawn(work);
        self.called.insert(task.id(), (kind, ids));
    }

    fn done(&mut self, done: Result<(task::Id, Done), JoinError>) {
        let id = done.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((kind, ids)) = self.called.remove(&id) else { return };
        let outcomes = match done {
            Ok((_, outcomes)) => outcomes,
            Err(error) => {
                let failed = Outcome::Failed(error.to_string());
                ids.into_iter().map(|id| (id, failed.clone())).collect()
            }
        };
        for (id, outcome) in outcomes {
            match kind {
                Kind::Delete => self.deleted(id, outcome),
                Kind::Change => self.changed(id, outcome),
                Kind::Beat => self.beaten(id, outcome),
            }
        }
        self.answer();
    }

    pub(super) fn forget(&mut self, id: u64) -> Option<Held> {
        for flush in &mut self.flushes {
            flush.waits_for.retain(|it| *it != id);
        }
        self.held.remove(&id)
    }
}
