use std::collections::{BTreeSet, HashMap, HashSet};

use opentelemetry::trace::{SpanId, TraceId};

use super::book::{Handled, Line, Place};
use super::tally::Tally;

#[cfg(test)]
mod tests;
mod verdict;

/// The order that messages have to be handled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Any.
    #[default]
    Any,
    /// Within a partition those of the same key by their offsets; there are so many keys.
    Key(u64),
    /// Those of the same group by their numbers; there are so many groups.
    Group(u64),
}

impl Order {
    /// What a message has its order in.
    #[must_use]
    pub fn lane(self, id: u64) -> u64 {
        match self {
            Order::Any => id,
            Order::Key(lanes) | Order::Group(lanes) => id % lanes.max(1),
        }
    }
}

/// One send of a message.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    trace: TraceId,
    /// Not known of a sender that was killed, or isn't done yet.
    span: Option<SpanId>,
}

#[derive(Debug)]
struct Message {
    attempts: Vec<Attempt>,
    sender: u32,
    /// When it was tried to be sent last, and when it was sent.
    tried: u64,
    sent: Option<u64>,
    unanswered: usize,
    /// Where handlers have found it.
    places: Vec<Place>,
    /// In which trace and under which parent it was handled before the span of its sender was known.
    unnamed: Vec<(TraceId, SpanId)>,
}

/// The last handling of a message.
#[derive(Debug)]
struct Seen {
    id: u64,
    first: u64,
    last: u64,
    process: u32,
    epoch: u64,
}

/// A partition, while a process has it.
#[derive(Debug)]
struct Hold {
    began: u64,
    ended: Option<u64>,
    /// What was committed when it came.
    floor: i64,
    /// Handlers that ended after it had left.
    strays: usize,
}

/// Up to where a partition was handled.
#[derive(Debug, Default)]
struct Handling {
    next: i64,
    above: BTreeSet<i64>,
}

/// The book as far as it was read: what [`tally`](Self::tally) is drawn from.
#[derive(Debug, Default)]
pub struct Accounts {
    order: Order,
    /// How many messages a consumer handles at once.
    concurrency: usize,
    /// The number of the line.
    now: u64,
    tally: Tally,
    messages: HashMap<u64, Message>,
    seen: HashMap<Place, Seen>,
    /// By process, and how many since it was begun anew.
    busy: HashMap<u32, u64>,
    holds: HashMap<(u32, i32, u64), Hold>,
    handling: HashMap<i32, Handling>,
    /// How many records the broker has of each.
    sent: HashMap<i32, u64>,
    committed: HashMap<i32, i64>,
    deleted: HashSet<Place>,
    failed: HashMap<(u32, Place), u64>,
    unheld: HashMap<(u32, Place), u64>,
    killed: HashMap<u32, u64>,
    faults: Vec<u64>,
}

impl Accounts {
    /// Of consumers that handle so many messages at once, in this order.
    #[must_use]
    pub fn new(order: Order, concurrency: usize) -> Self {
        Accounts { order, concurrency, ..Accounts::default() }
    }

    /// Takes the next line.
    pub fn take(&mut self, line: Line) {
        self.now += 1;
        let now = self.now;
        match line {
            Line::Trying { process, id, trace } => {
                let message = self.messages.entry(id).or_insert_with(|| Message {
                    attempts: Vec::with_capacity(1),
                    sender: process,
                    tried: now,
                    sent: None,
                    unanswered: 0,
                    places: Vec::new(),
                    unnamed: Vec::new(),
                });
                // One that was sent or refused before has said so.
                let is_blind = message.attempts.last().is_some_and(|last| last.span.is_none());
                let is_killed = self.killed.contains_key(&message.sender);
                message.unanswered += usize::from(is_blind && is_killed);
                message.sender = process;
                message.attempts.push(Attempt { trace, span: None });
                message.tried = now;
            }
            Line::Sent { id, trace, span, place } => {
                self.name(id, trace, span);
                if let Place::Record { partition, .. } = place {
                    *self.sent.entry(partition).or_default() += 1;
                }
                if let Some(message) = self.messages.get_mut(&id)
                    && message.sent.replace(now).is_none()
                {
                    self.tally.sent += 1;
                    self.tally.lost += usize::from(message.places.is_empty());
                }
            }
            Line::Refused { id, trace, span } => {
                self.name(id, trace, span);
                self.unanswered(id);
            }
            Line::Unanswered { id } => self.unanswered(id),
            Line::Taken { place, .. } => {
                self.tally.late += usize::from(self.deleted.contains(&place));
            }
            Line::Handled(handled) => self.handled(handled),
            Line::Failed { process, place } => {
                self.tally.failed += 1;
                self.failed.insert((process, place), now);
            }
            Line::Assigned { process, partition, epoch } => {
                let floor = self.committed.get(&partition).copied().unwrap_or_default();
                let hold = Hold { began: now, ended: None, floor, strays: 0 };
                self.holds.insert((process, partition, epoch), hold);
            }
            Line::Revoked { process, partition, epoch } => {
                self.tally.revoked += 1;
                if let Some(hold) = self.holds.get_mut(&(process, partition, epoch)) {
                    hold.ended.get_or_insert(now);
                }
            }
            Line::Committed { partition, offset } => {
                self.tally.acknowledged += 1;
                let handled = self.handling.get(&partition).map_or(0, |handling| handling.next);
                self.tally.early += usize::from(offset > handled);
                let committed = self.committed.entry(partition).or_default();
                *committed = offset.max(*committed);
            }
            Line::Uncommitted { .. } => self.tally.uncommitted += 1,
            Line::Deleted { place, .. } => {
                self.tally.acknowledged += 1;
                self.tally.early += usize::from(!self.seen.contains_key(&place));
                self.deleted.insert(place);
            }
            Line::Unheld { process, place } => {
                self.unheld.insert((process, place), now);
            }
            Line::Killed { process } => {
                self.tally.killed += 1;
                self.killed.insert(process, now);
                let its = self.holds.iter_mut().filter(|((of, ..), _)| *of == process);
                its.for_each(|(_, hold)| _ = hold.ended.get_or_insert(now));
            }
            Line::Fault { .. } => {
                self.tally.faults += 1;
                self.faults.push(now);
            }
        }
    }

    /// The span of a send is known by now.
    fn name(&mut self, id: u64, trace: TraceId, span: SpanId) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        for attempt in message.attempts.iter_mut().filter(|it| it.trace == trace) {
            attempt.span = Some(span);
        }
        let broken = &mut self.tally.broken;
        message.unnamed.retain(|(its, parent)| {
            *broken += usize::from(*its == trace && *parent != span);
            *its != trace
        });
    }

    fn unanswered(&mut self, id: u64) {
        self.tally.unsent += 1;
        if let Some(message) = self.messages.get_mut(&id) {
            message.unanswered += 1;
        }
    }

    fn handled(&mut self, handled: Handled) {
        self.tally.handled += 1;
        let Handled { process, id, place, trace, parent, epoch } = handled;
        *self.busy.entry(process).or_default() += 1;
        match self.messages.get_mut(&id) {
            None => self.tally.unknown += 1,
            Some(message) => {
                let attempt = message.attempts.iter().find(|it| it.trace == trace);
                match attempt.map(|attempt| attempt.span) {
                    Some(None) => message.unnamed.push((trace, parent)),
                    span => self.tally.broken += usize::from(span != Some(Some(parent))),
                }
                if message.places.is_empty() && message.sent.is_some() {
                    self.tally.lost -= 1;
                }
                if !message.places.contains(&place) {
                    message.places.push(place.clone());
                }
            }
        }
        // A handler that begins the moment its partition leaves may see that it is gone.
        let epoch = if epoch % 2 == 0 { epoch.saturating_sub(1) } else { epoch };
        if let Place::Record { partition, offset } = place {
            self.record(process, partition, epoch, offset);
        }
        let seen = Seen { id, first: self.now, last: self.now, process, epoch };
        if let Some(before) = self.seen.get(&place) {
            let cause = self.cause(&place, before, &seen);
            self.tally.again.count(cause);
            let first = before.first;
            self.seen.insert(place, Seen { first, ..seen });
        } else {
            self.seen.insert(place, seen);
        }
    }

    fn record(&mut self, process: u32, partition: i32, epoch: u64, offset: i64) {
        if let Some(hold) = self.holds.get_mut(&(process, partition, epoch)) {
            self.tally.late += usize::from(offset < hold.floor);
            if hold.ended.is_some() {
                hold.strays += 1;
                self.tally.strayed += usize::from(hold.strays > self.concurrency);
            }
        }
        let handling = self.handling.entry(partition).or_default();
        if offset >= handling.next {
            handling.above.insert(offset);
        }
        while handling.above.remove(&handling.next) {
            handling.next += 1;
        }
    }
}
