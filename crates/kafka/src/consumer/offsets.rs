//! Which offsets are finished, and how far a partition may be acknowledged.
//!
//! Kafka knows positions and no messages: whoever acknowledges one message acknowledges all before
//! it. So a partition is acknowledged up to its first unfinished message and no further. Pure
//! bookkeeping: no client, no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One message that was handed out.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Tells it from the same message handed out before or after.
    number: u64,
    /// Of its partition in the book.
    place: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Running,
    Finished,
    /// Nobody handles it here: it comes again with the failed one before it.
    GivenBack,
    /// Nothing behind it is handed out until it comes again.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    number: u64,
    stand: Stand,
}

/// A partition that was read here once, and may be again.
#[derive(Debug)]
struct Partition {
    topic: Arc<str>,
    number: i32,
    /// What was handed out and isn't acknowledged, in order.
    handed_out: VecDeque<Entry>,
    failed: usize,
    /// The offset after the last one that was handed out; `None` before the first of an assignment.
    next: Option<i64>,
    /// How far it is acknowledged, in this assignment.
    stored: Option<i64>,
}

#[derive(Debug, Default)]
struct Book {
    /// None is ever removed, so that a ticket finds its own by its place.
    partitions: Vec<Partition>,
    places: HashMap<Arc<str>, HashMap<i32, usize>>,
    /// The place of the last message: most often the next one is of the same partition, which
    /// spares two hashes.
    latest: usize,
    numbers: u64,
}

/// The book of one consumer.
#[derive(Debug, Default)]
pub(crate) struct Offsets(Mutex<Book>);

impl Offsets {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a message is handed out; `None` where it must not be, because one before it
    /// failed. Messages have to be noted in the order in which they come.
    pub(crate) fn begin(&self, topic: &str, partition: i32, offset: i64) -> Option<Ticket> {
        let mut book = self.book();
        let place = book.place(topic, partition);
        book.numbers += 1;
        let number = book.numbers;
        let partition = book.partitions.get_mut(place)?;
        if partition.next.is_some_and(|next| offset < next) {
            // Somebody went back: what comes again is no longer what was handed out before.
            partition.give_back_from(offset);
        }
        if partition.failed > 0 {
            return None;
        }
        partition.handed_out.push_back(Entry { offset, number, stand: Stand::Running });
        partition.next = Some(offset.saturating_add(1));
        let (topic, partition) = (Arc::clone(&partition.topic), partition.number);
        Some(Ticket { topic, partition, offset, number, place })
    }

    /// Notes that a message is finished. Where that moves the partition on, `store` is called with
    /// the position it may be acknowledged up to, the offset to go on with; what it returns is
    /// returned.
    ///
    /// It is called under the lock, since of two that overtake each other the lower one would
    /// hold. It must do nothing but to store: a rebalance would wait for this lock. Without it the
    /// offsets are the service's affair.
    pub(crate) fn finish<T>(
        &self,
        ticket: &Ticket,
        store: Option<impl FnOnce(i64) -> T>,
    ) -> Option<T> {
        let mut book = self.book();
        let partition = book.partitions.get_mut(ticket.place)?;
        partition.find(ticket)?.stand = Stand::Finished;
        let before = partition.handed_out.len();
        while partition.handed_out.front().is_some_and(|entry| entry.stand == Stand::Finished) {
            partition.handed_out.pop_front();
        }
        let has_moved = partition.handed_out.len() < before;
        let first = partition.handed_out.front().map(|entry| entry.offset);
        let position = first.or(partition.next).filter(|_| has_moved);
        let (position, store) = (position?, store?);
        partition.stored = Some(position);
        Some(store(position))
    }

    /// Notes what the service stores by itself: the offsets to go on with.
    pub(crate) fn stored<'a, E>(
        &self,
        places: impl IntoIterator<Item = (&'a str, i32, i64)>,
        store: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut book = self.book();
        store()?;
        for (topic, partition, position) in places {
            let place = book.place(topic, partition);
            if let Some(partition) = book.partitions.get_mut(place) {
                partition.stored = Some(position);
            }
        }
        Ok(())
    }

    /// Does what loses what was stored, and stores it again. Nothing else is stored meanwhile.
    pub(crate) fn store_again<T>(
        &self,
        losing: impl FnOnce() -> T,
        store: impl Fn(&str, i32, i64),
    ) -> T {
        let book = self.book();
        let result = losing();
        for partition in &book.partitions {
            if let Some(position) = partition.stored {
                store(&partition.topic, partition.number, position);
            }
        }
        result
    }

    /// Notes that a message failed; whether that counts. From now on its partition is held.
    pub(crate) fn hold(&self, ticket: &Ticket) -> bool {
        let mut book = self.book();
        let Some(partition) = book.partitions.get_mut(ticket.place) else { return false };
        let Some(entry) = partition.find(ticket) else { return false };
        entry.stand = Stand::Failed;
        partition.failed += 1;
        true
    }

    /// Whether a message may still be handed out: its partition is read here as it was when it was
    /// noted, and nothing before it has failed.
    pub(crate) fn is_current(&self, ticket: &Ticket) -> bool {
        let mut book = self.book();
        let Some(partition) = book.partitions.get_mut(ticket.place) else { return false };
        let is_behind = partition.failed > 0
            && partition.first_held().is_some_and(|first| first < ticket.offset);
        !is_behind && partition.find(ticket).is_some()
    }

    /// Notes that nobody will handle a message here.
    pub(crate) fn give_back(&self, ticket: &Ticket) {
        let mut book = self.book();
        let Some(partition) = book.partitions.get_mut(ticket.place) else { return };
        if let Some(entry) = partition.find(ticket) {
            entry.stand = Stand::GivenBack;
        }
    }

    /// Where a partition has to be read again: at its first message that failed.
    pub(crate) fn held_at(&self, topic: &str, partition: i32) -> Option<i64> {
        let mut book = self.book();
        let partition = book.known(topic, partition)?;
        (partition.failed > 0).then(|| partition.first_held()).flatten()
    }

    /// Somebody reads a partition from this offset on. What failed before it is left behind on
    /// purpose; what runs goes on, and is acknowledged as ever.
    pub(crate) fn seek(&self, topic: &str, partition: i32, to: i64) {
        let mut book = self.book();
        let Some(partition) = book.known(topic, partition) else { return };
        partition.give_back_from(to);
        let is_left = |entry: &Entry| matches!(entry.stand, Stand::Failed | Stand::GivenBack);
        partition.handed_out.retain(|entry| !is_left(entry));
        partition.failed = 0;
    }

    /// Forgets a partition: it was revoked.
    pub(crate) fn forget(&self, topic: &str, partition: i32) {
        if let Some(partition) = self.book().known(topic, partition) {
            partition.forget();
        }
    }

    /// Forgets all of them.
    pub(crate) fn forget_all(&self) {
        self.book().partitions.iter_mut().for_each(Partition::forget);
    }
}

impl Partition {
    /// The entry of a ticket, if it is still the one that was handed out last.
    fn find(&mut self, ticket: &Ticket) -> Option<&mut Entry> {
        let place = self.handed_out.binary_search_by_key(&ticket.offset, |entry| entry.offset);
        let entry = self.handed_out.get_mut(place.ok()?)?;
        (entry.number == ticket.number && entry.stand == Stand::Running).then_some(entry)
    }

    /// The first message that has to come again.
    fn first_held(&self) -> Option<i64> {
        let is_held = |entry: &&Entry| matches!(entry.stand, Stand::Failed | Stand::GivenBack);
        self.handed_out.iter().find(is_held).map(|entry| entry.offset)
    }

    /// From this offset on everything comes again. What lies below is still to be finished.
    fn give_back_from(&mut self, offset: i64) {
        while let Some(entry) = self.handed_out.pop_back_if(|entry| entry.offset >= offset) {
            self.failed -= usize::from(entry.stand == Stand::Failed);
        }
        if self.next.is_some_and(|next| offset < next) {
            self.next = Some(offset);
        }
    }

    fn forget(&mut self) {
        self.handed_out.clear();
        self.failed = 0;
        self.next = None;
        self.stored = None;
    }
}

impl Book {
    fn known(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        let place = *self.places.get(topic)?.get(&partition)?;
        self.partitions.get_mut(place)
    }

    /// Where a partition is noted, from now on if it wasn't.
    fn place(&mut self, topic: &str, number: i32) -> usize {
        let latest = self.partitions.get(self.latest);
        if !latest.is_some_and(|latest| latest.number == number && *latest.topic == *topic) {
            self.latest = self.search(topic, number);
        }
        self.latest
    }

    // Kept apart, so that the path above stays short.
    #[inline(never)]
    fn search(&mut self, topic: &str, number: i32) -> usize {
        let known = self.places.get_key_value(topic);
        if let Some(place) = known.and_then(|(_, places)| places.get(&number)) {
            return *place;
        }
        let topic: Arc<str> = known.map_or_else(|| topic.into(), |(topic, _)| Arc::clone(topic));
        let place = self.partitions.len();
        self.places.entry(Arc::clone(&topic)).or_default().insert(number, place);
        let (handed_out, next, stored) = (VecDeque::new(), None, None);
        self.partitions.push(Partition { topic, number, handed_out, failed: 0, next, stored });
        place
    }
}

#[cfg(test)]
mod tests;
