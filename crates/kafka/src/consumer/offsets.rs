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
    /// hold. It must do nothing but to store: a rebalance would wait for this lock.
    pub(crate) fn finish<T>(&self, ticket: &Ticket, store: impl FnOnce(i64) -> T) -> Option<T> {
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
        position.map(store)
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
        partition.failed == 0 && partition.find(ticket).is_some()
    }

    /// The first message of a partition that failed.
    pub(crate) fn held_at(&self, topic: &str, partition: i32) -> Option<i64> {
        let mut book = self.book();
        let partition = book.known(topic, partition)?;
        let failed = partition.handed_out.iter().find(|entry| entry.stand == Stand::Failed);
        failed.map(|entry| entry.offset)
    }

    /// Somebody reads a partition from this offset on. What failed before it is left behind on
    /// purpose; what runs goes on, and is acknowledged as ever.
    pub(crate) fn seek(&self, topic: &str, partition: i32, to: i64) {
        let mut book = self.book();
        let Some(partition) = book.known(topic, partition) else { return };
        partition.give_back_from(to);
        partition.handed_out.retain(|entry| entry.stand != Stand::Failed);
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
        let handed_out = VecDeque::new();
        self.partitions.push(Partition { topic, number, handed_out, failed: 0, next: None });
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn begin(offsets: &Offsets, offset: i64) -> Ticket {
        offsets.begin("orders", 0, offset).expect("the partition isn't held")
    }

    fn finish(offsets: &Offsets, ticket: &Ticket) -> Option<i64> {
        offsets.finish(ticket, |position| position)
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
        assert_eq!(offsets.held_at("orders", 0), Some(1));
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
    fn what_runs_below_the_place_gone_back_to_still_counts() {
        let offsets = Offsets::default();
        let [a, b] = [0, 1].map(|offset| begin(&offsets, offset));
        assert!(offsets.hold(&b));
        let again = begin(&offsets, 1);
        assert_eq!(finish(&offsets, &again), None, "the first one isn't finished");
        assert!(offsets.hold(&a), "and it fails");
        assert!(offsets.begin("orders", 0, 2).is_none());
    }

    #[test]
    fn a_seek_leaves_behind_what_failed_and_nothing_that_runs() {
        let offsets = Offsets::default();
        let [a, b, c] = [0, 1, 2].map(|offset| begin(&offsets, offset));
        assert!(offsets.hold(&b));
        offsets.seek("orders", 0, 2);
        assert!(!offsets.is_current(&c), "it comes again");
        let again = begin(&offsets, 2);
        assert_eq!(finish(&offsets, &again), None);
        assert_eq!(finish(&offsets, &a), Some(3));
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

    #[test]
    fn no_offset_of_a_broker_is_too_large() {
        let offsets = Offsets::default();
        let last = begin(&offsets, i64::MAX);
        assert_eq!(finish(&offsets, &last), Some(i64::MAX));
    }

    #[test]
    fn messages_of_several_partitions_are_told_apart() {
        let offsets = Offsets::default();
        let places = [("orders", 0), ("orders", 1), ("audit", 0), ("orders", 0), ("audit", 0)];
        let tickets: Vec<_> = (0..)
            .zip(places)
            .map(|(offset, (topic, partition))| {
                offsets.begin(topic, partition, offset).expect("none is held")
            })
            .collect();
        assert_eq!(finish(&offsets, &tickets[3]), None, "the first one of it isn't finished");
        assert_eq!(finish(&offsets, &tickets[1]), Some(2));
        assert_eq!(finish(&offsets, &tickets[0]), Some(4));
        assert_eq!(finish(&offsets, &tickets[2]), Some(4), "not 3: the next one is handed out");
        offsets.forget("audit", 0);
        assert!(!offsets.is_current(&tickets[4]));
        assert_eq!(offsets.begin("orders", 1, 5).map(|ticket| ticket.offset), Some(5));
    }

    /// What really became of each message, by partition and offset: which handing out of it is the
    /// last, and how it stands.
    #[derive(Default)]
    struct World {
        messages: BTreeMap<(i32, i64), (usize, Stand)>,
        next: HashMap<i32, i64>,
        count: usize,
    }

    impl World {
        fn is_held(&self, partition: i32) -> bool {
            let mut of = self.messages.iter().filter(|((number, _), _)| *number == partition);
            of.any(|(_, (_, stand))| *stand == Stand::Failed)
        }

        /// Kafka sends this and what follows it again.
        fn go_back(&mut self, partition: i32, to: i64) {
            self.messages.retain(|(number, offset), _| *number != partition || *offset < to);
        }

        fn hand_out(&mut self, partition: i32, offset: i64) -> usize {
            self.count += 1;
            self.messages.insert((partition, offset), (self.count, Stand::Running));
            self.next.insert(partition, offset + 1);
            self.count
        }

        fn is_last(&self, partition: i32, offset: i64, which: usize) -> bool {
            self.messages.get(&(partition, offset)).is_some_and(|(last, _)| *last == which)
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
        Seek(i32, i64),
        Forget(i32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..2, prop_oneof![4 => Just(0_i64), 1 => 1_i64..4])
                .prop_map(|(partition, gap)| Step::Begin(partition, gap)),
            2 => (0..2, 1_i64..5).prop_map(|(partition, back)| Step::Again(partition, back)),
            8 => any::<prop::sample::Index>().prop_map(Step::Finish),
            1 => any::<prop::sample::Index>().prop_map(Step::Hold),
            1 => (0..2, -4_i64..4).prop_map(|(partition, by)| Step::Seek(partition, by)),
            1 => (0..2).prop_map(Step::Forget),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: no position passes a message that runs or has failed,
        /// unless Kafka is going to send it again, or somebody left it behind on purpose.
        #[test]
        fn a_position_never_passes_an_unfinished_message(
            steps in prop::collection::vec(step(), 1..160),
        ) {
            let (offsets, mut world) = (Offsets::default(), World::default());
            // What was handed out and not yet settled.
            let mut open: Vec<(Ticket, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Begin(partition, by) | Step::Again(partition, by) => {
                        let next = world.next.get(&partition).copied().unwrap_or(100);
                        let is_back = matches!(step, Step::Again(..));
                        let offset = if is_back { next - by } else { next + by };
                        if is_back {
                            world.go_back(partition, offset);
                        }
                        let ticket = offsets.begin("orders", partition, offset);
                        prop_assert_eq!(ticket.is_none(), world.is_held(partition));
                        match ticket {
                            Some(ticket) => open.push((ticket, world.hand_out(partition, offset))),
                            None if is_back => { world.next.insert(partition, offset); }
                            None => {}
                        }
                    }
                    Step::Finish(which) if !open.is_empty() => {
                        let (ticket, which) = open.swap_remove(which.index(open.len()));
                        let place = (ticket.partition, ticket.offset);
                        let is_last = world.is_last(place.0, place.1, which);
                        if is_last {
                            world.messages.insert(place, (which, Stand::Finished));
                        }
                        let position = finish(&offsets, &ticket);
                        prop_assert!(is_last || position.is_none(), "what is stale moves nothing");
                        if let Some(position) = position {
                            for ((number, offset), (_, stand)) in &world.messages {
                                prop_assert!(
                                    *number != place.0 || *offset >= position || *stand == Stand::Finished,
                                    "{position} passes {offset}, which is {stand:?}"
                                );
                            }
                        }
                    }
                    Step::Hold(which) if !open.is_empty() => {
                        let (ticket, which) = open.swap_remove(which.index(open.len()));
                        let place = (ticket.partition, ticket.offset);
                        let is_last = world.is_last(place.0, place.1, which);
                        prop_assert_eq!(offsets.hold(&ticket), is_last);
                        if is_last {
                            world.messages.insert(place, (which, Stand::Failed));
                        }
                    }
                    Step::Finish(_) | Step::Hold(_) => {}
                    Step::Seek(partition, by) => {
                        let Some(next) = world.next.get(&partition).copied() else { continue };
                        let to = next + by;
                        offsets.seek("orders", partition, to);
                        world.go_back(partition, to);
                        world.messages.retain(|(number, _), (_, stand)| {
                            *number != partition || *stand != Stand::Failed
                        });
                        world.next.insert(partition, to);
                    }
                    Step::Forget(partition) => {
                        offsets.forget("orders", partition);
                        world.go_back(partition, i64::MIN);
                        world.next.remove(&partition);
                    }
                }
            }
        }
    }
}
