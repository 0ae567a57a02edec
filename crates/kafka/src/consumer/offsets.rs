//! Which offsets are finished, and how far a partition may be acknowledged.
//!
//! Kafka knows positions and no messages: whoever acknowledges one message acknowledges all before
//! it. So a partition is acknowledged up to its first unfinished message and no further. Pure
//! bookkeeping: no client, no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One message that was handed out, in one assignment of its partition.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    epoch: u64,
}

/// The unfinished messages of one assignment.
#[derive(Debug)]
struct Partition {
    /// Tells this assignment from every other. A partition may leave and come back, and what was
    /// handed out before must not count for it.
    epoch: u64,
    /// What was handed out and isn't acknowledged, in order, and whether it is finished.
    handed_out: VecDeque<(i64, bool)>,
    /// The offset after the last one that was handed out.
    next: i64,
    /// Whether a message failed. Nothing behind it is handed out until it comes again.
    held: bool,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    partitions: HashMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Book {
    topics: HashMap<Box<str>, Topic>,
    epochs: u64,
}

/// The book of one consumer.
#[derive(Debug, Default)]
pub(crate) struct Offsets(Mutex<Book>);

impl Offsets {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a message is handed out; `None` where it must not be, because one before it
    /// failed.
    pub(crate) fn begin(&self, topic: &str, partition: i32, offset: i64) -> Option<Ticket> {
        let mut book = self.book();
        let Book { topics, epochs } = &mut *book;
        if !topics.contains_key(topic) {
            let fresh = Topic { name: topic.into(), partitions: HashMap::new() };
            topics.insert(topic.into(), fresh);
        }
        let Topic { name, partitions } = topics.get_mut(topic)?;
        let mut open = || {
            *epochs += 1;
            let handed_out = VecDeque::new();
            Partition { epoch: *epochs, handed_out, next: offset, held: false }
        };
        let book = partitions.entry(partition).or_insert_with(&mut open);
        if offset < book.next {
            // Somebody went back: what was handed out before comes again.
            *book = open();
        }
        if book.held {
            return None;
        }
        book.handed_out.push_back((offset, false));
        book.next = offset + 1;
        Some(Ticket { topic: Arc::clone(name), partition, offset, epoch: book.epoch })
    }

    /// Notes that a message is finished. Where that moves the partition on, `store` is called with
    /// the position it may be acknowledged up to: the offset to go on with.
    ///
    /// It is called under the lock, since of two that overtake each other the lower one would
    /// hold. It must not poll: a rebalance would wait for this lock.
    pub(crate) fn finish(&self, ticket: &Ticket, store: impl FnOnce(i64)) {
        let mut book = self.book();
        let Some(book) = book.of(ticket) else { return };
        let Ok(place) = book.handed_out.binary_search_by_key(&ticket.offset, |(offset, _)| *offset)
        else {
            return;
        };
        book.handed_out[place].1 = true;
        if place > 0 {
            return;
        }
        while book.handed_out.front().is_some_and(|(_, finished)| *finished) {
            book.handed_out.pop_front();
        }
        store(book.handed_out.front().map_or(book.next, |(offset, _)| *offset));
    }

    /// Notes that a message failed; whether that counts. From now on its partition is held.
    pub(crate) fn hold(&self, ticket: &Ticket) -> bool {
        let mut book = self.book();
        let held = book.of(ticket).map(|book| book.held = true);
        held.is_some()
    }

    /// Whether the partition of a message is still assigned as it was when it was handed out.
    pub(crate) fn is_current(&self, ticket: &Ticket) -> bool {
        self.book().of(ticket).is_some()
    }

    /// Forgets a partition: it was revoked, or somebody seeks in it.
    pub(crate) fn forget(&self, topic: &str, partition: i32) {
        if let Some(topic) = self.book().topics.get_mut(topic) {
            topic.partitions.remove(&partition);
        }
    }

    /// Forgets all of them.
    pub(crate) fn forget_all(&self) {
        self.book().topics.clear();
    }
}

impl Book {
    fn of(&mut self, ticket: &Ticket) -> Option<&mut Partition> {
        let partitions = &mut self.topics.get_mut(&*ticket.topic)?.partitions;
        partitions.get_mut(&ticket.partition).filter(|book| book.epoch == ticket.epoch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begin(offsets: &Offsets, offset: i64) -> Ticket {
        offsets.begin("orders", 0, offset).expect("the partition isn't held")
    }

    fn finish(offsets: &Offsets, ticket: &Ticket) -> Option<i64> {
        let mut stored = None;
        offsets.finish(ticket, |position| stored = Some(position));
        stored
    }

    #[test]
    fn a_partition_is_acknowledged_up_to_its_first_unfinished_message() {
        let offsets = Offsets::default();
        let [a, b, c] = [5, 6, 9].map(|offset| begin(&offsets, offset));
        assert_eq!(finish(&offsets, &b), None);
        assert_eq!(finish(&offsets, &a), Some(9), "6 to 9 is a gap of a compacted log");
        assert_eq!(finish(&offsets, &c), Some(10));
        assert_eq!(finish(&offsets, &c), None, "finished once");
    }

    #[test]
    fn a_failed_message_holds_all_behind_it() {
        let offsets = Offsets::default();
        let [a, b, c] = [0, 1, 2].map(|offset| begin(&offsets, offset));
        assert!(offsets.hold(&b));
        assert_eq!(finish(&offsets, &c), None);
        assert_eq!(finish(&offsets, &a), Some(1));
        assert!(offsets.begin("orders", 0, 3).is_none());
        assert!(offsets.begin("orders", 1, 3).is_some(), "another partition goes on");
        // It comes again, and the partition goes on.
        let again = begin(&offsets, 1);
        assert_eq!(finish(&offsets, &b), None, "what was handed out before doesn't count");
        assert_eq!(finish(&offsets, &again), Some(2));
    }

    #[test]
    fn what_was_handed_out_before_a_rebalance_counts_for_nothing() {
        let offsets = Offsets::default();
        let stale = begin(&offsets, 7);
        offsets.forget("orders", 0);
        assert!(!offsets.is_current(&stale));
        assert!(!offsets.hold(&stale));
        let fresh = begin(&offsets, 7);
        assert_eq!(finish(&offsets, &stale), None);
        assert!(offsets.is_current(&fresh));
        assert_eq!(finish(&offsets, &fresh), Some(8));
        offsets.forget_all();
        assert!(!offsets.is_current(&fresh));
    }

    /// The same book, kept without cleverness: every message is remembered for ever.
    #[derive(Default)]
    struct Naive {
        messages: Vec<Noted>,
        /// Of each partition: its assignment, the offset after the last, and whether it is held.
        current: HashMap<i32, (usize, i64, bool)>,
        assignments: usize,
    }

    #[derive(Clone, Copy)]
    struct Noted {
        partition: i32,
        assignment: usize,
        offset: i64,
        finished: bool,
    }

    impl Naive {
        /// What the book should say to a message; where it goes on, the message.
        fn begin(&mut self, partition: i32, offset: i64) -> Option<Noted> {
            let fresh = (self.assignments, offset, false);
            let current = self.current.entry(partition).or_insert(fresh);
            if offset < current.1 {
                *current = fresh;
            }
            self.assignments += 1;
            let (assignment, next, held) = current;
            if *held {
                return None;
            }
            *next = offset + 1;
            let noted = Noted { partition, assignment: *assignment, offset, finished: false };
            self.messages.push(noted);
            Some(noted)
        }

        fn is_current(&self, of: Noted) -> bool {
            self.current.get(&of.partition).is_some_and(|(current, ..)| *current == of.assignment)
        }

        /// Up to where the assignment of a message is acknowledged.
        fn position(&self, of: Noted) -> i64 {
            let next = self.current[&of.partition].1;
            let unfinished = self
                .messages
                .iter()
                .filter(|noted| noted.assignment == of.assignment && !noted.finished);
            unfinished.map(|noted| noted.offset).min().unwrap_or(next)
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The next message of a partition, or one behind a gap.
        Begin(i32, i64),
        /// One that came before, so many back.
        Again(i32, i64),
        Finish(prop::sample::Index),
        Hold(prop::sample::Index),
        Forget(i32),
        ForgetAll,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..2, prop_oneof![4 => Just(0_i64), 1 => 1_i64..4])
                .prop_map(|(partition, gap)| Step::Begin(partition, gap)),
            1 => (0..2, 1_i64..5).prop_map(|(partition, back)| Step::Again(partition, back)),
            8 => any::<prop::sample::Index>().prop_map(Step::Finish),
            1 => any::<prop::sample::Index>().prop_map(Step::Hold),
            1 => (0..2).prop_map(Step::Forget),
            1 => Just(Step::ForgetAll),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: no position passes a message of its assignment that
        /// isn't finished, positions only grow, and when all is finished all is acknowledged.
        #[test]
        fn a_position_never_passes_an_unfinished_message(
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let (offsets, mut naive) = (Offsets::default(), Naive::default());
            // What was handed out and not yet settled; which message it is.
            let mut open: Vec<(Ticket, usize)> = Vec::new();
            // The last position of each assignment.
            let mut stored: HashMap<usize, i64> = HashMap::new();
            for step in steps {
                match step {
                    Step::Begin(partition, _) | Step::Again(partition, _) => {
                        let next = naive.current.get(&partition).map_or(100, |(_, next, _)| *next);
                        let offset = match step {
                            Step::Again(_, back) => next - back,
                            Step::Begin(_, gap) => next + gap,
                            _ => next,
                        };
                        let ticket = offsets.begin("orders", partition, offset);
                        let noted = naive.begin(partition, offset);
                        prop_assert_eq!(ticket.is_some(), noted.is_some());
                        open.extend(ticket.map(|ticket| (ticket, naive.messages.len() - 1)));
                    }
                    Step::Finish(which) if !open.is_empty() => {
                        let (ticket, place) = open.swap_remove(which.index(open.len()));
                        let noted = naive.messages[place];
                        let is_current = naive.is_current(noted);
                        prop_assert_eq!(offsets.is_current(&ticket), is_current);
                        let before = is_current.then(|| naive.position(noted));
                        naive.messages[place].finished = true;
                        let after = is_current.then(|| naive.position(noted));
                        let position = finish(&offsets, &ticket);
                        prop_assert_eq!(position, after.filter(|_| after != before));
                        if let Some(position) = position {
                            let last = stored.insert(noted.assignment, position);
                            prop_assert!(last.is_none_or(|last| last < position), "it only grows");
                        }
                    }
                    Step::Hold(which) if !open.is_empty() => {
                        let (ticket, place) = open.swap_remove(which.index(open.len()));
                        let noted = naive.messages[place];
                        prop_assert_eq!(offsets.hold(&ticket), naive.is_current(noted));
                        if naive.is_current(noted) && let Some(current) = naive.current.get_mut(&noted.partition) {
                            current.2 = true;
                        }
                    }
                    Step::Finish(_) | Step::Hold(_) => {}
                    Step::Forget(partition) => {
                        offsets.forget("orders", partition);
                        naive.current.remove(&partition);
                    }
                    Step::ForgetAll => {
                        offsets.forget_all();
                        naive.current.clear();
                    }
                }
            }
        }
    }
}
