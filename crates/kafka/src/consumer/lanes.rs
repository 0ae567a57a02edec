//! Which message may be handled next: in order where order matters, many at once where it doesn't.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

/// What has to be handled one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// The messages of a partition.
    #[default]
    Partition,
    /// The messages of a partition with the same key; those without a key in any order.
    Key,
    /// Nothing.
    None,
}

/// What messages that have to be handled one after the other have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane(u64);

/// Messages that wait, and how many don't any more.
#[derive(Debug)]
pub(super) struct Lanes<M> {
    order: Order,
    hasher: RandomState,
    /// Numbers for messages that wait for nobody.
    alone: u64,
    /// What waits behind a message of its lane that is being handled. A lane without one is absent.
    busy: HashMap<Lane, VecDeque<M>>,
    /// What may be handled now.
    ready: VecDeque<(Lane, M)>,
    /// All of the above, and what is being handled.
    held: usize,
    running: usize,
}

impl<M> Lanes<M> {
    pub(super) fn new(order: Order) -> Self {
        Lanes {
            order,
            hasher: RandomState::new(),
            alone: 0,
            busy: HashMap::new(),
            ready: VecDeque::new(),
            held: 0,
            running: 0,
        }
    }

    fn lane(&mut self, topic: &str, partition: i32, key: Option<&[u8]>) -> Option<Lane> {
        match (self.order, key) {
            (Order::Partition, _) => Some(Lane(self.hasher.hash_one((topic, partition)))),
            // Two keys of the same hash wait for each other, which harms nobody.
            (Order::Key, Some(key)) => Some(Lane(self.hasher.hash_one((topic, partition, key)))),
            (Order::Key | Order::None, _) => None,
        }
    }

    pub(super) fn push(&mut self, topic: &str, partition: i32, key: Option<&[u8]>, message: M) {
        self.held += 1;
        let lane = self.lane(topic, partition, key).unwrap_or_else(|| {
            self.alone += 1;
            Lane(self.hasher.hash_one(("alone", self.alone)))
        });
        match self.busy.entry(lane) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push_back(message),
            Entry::Vacant(entry) => {
                entry.insert(VecDeque::new());
                self.ready.push_back((lane, message));
            }
        }
    }

    /// A message that may be handled now, while fewer than `limit` are.
    pub(super) fn next(&mut self, limit: usize) -> Option<(Lane, M)> {
        if self.running >= limit {
            return None;
        }
        let next = self.ready.pop_front()?;
        self.running += 1;
        Some(next)
    }

    /// A message of this lane was handled.
    pub(super) fn done(&mut self, lane: Lane) {
        self.held -= 1;
        self.running -= 1;
        if let Entry::Occupied(mut waiting) = self.busy.entry(lane) {
            match waiting.get_mut().pop_front() {
                Some(next) => self.ready.push_back((lane, next)),
                None => {
                    waiting.remove();
                }
            }
        }
    }

    /// How many messages are here, handled or waiting.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes out everything that wasn't begun.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = M> + use<M> {
        let ready = std::mem::take(&mut self.ready).into_iter().map(|(_, message)| message);
        let busy = std::mem::take(&mut self.busy).into_values().flatten();
        self.held = self.running;
        ready.chain(busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(lanes: &mut Lanes<&'static str>, limit: usize) -> Vec<(Lane, &'static str)> {
        std::iter::from_fn(|| lanes.next(limit)).collect()
    }

    fn names(started: &[(Lane, &'static str)]) -> Vec<&'static str> {
        started.iter().map(|(_, name)| *name).collect()
    }

    #[test]
    fn a_partition_is_handled_in_order_beside_others() {
        let mut lanes = Lanes::new(Order::Partition);
        for (partition, name) in [(0, "a0"), (0, "a1"), (1, "b0"), (0, "a2")] {
            lanes.push("orders", partition, Some(name.as_bytes()), name);
        }
        let first = started(&mut lanes, 8);
        assert_eq!(names(&first), ["a0", "b0"]);
        lanes.done(first[0].0);
        let second = started(&mut lanes, 8);
        assert_eq!(names(&second), ["a1"]);
        lanes.done(first[1].0);
        lanes.done(second[0].0);
        let third = started(&mut lanes, 8);
        assert_eq!(names(&third), ["a2"]);
        lanes.done(third[0].0);
        assert_eq!((lanes.held(), lanes.busy.len()), (0, 0));
    }

    #[test]
    fn a_key_is_handled_in_order_and_no_key_in_any() {
        let mut lanes = Lanes::new(Order::Key);
        for (key, name) in [(Some("x"), "x0"), (Some("x"), "x1"), (Some("y"), "y0"), (None, "0")] {
            lanes.push("orders", 0, key.map(str::as_bytes), name);
        }
        lanes.push("orders", 0, None, "1");
        lanes.push("orders", 1, Some(b"x"), "other partition");
        let first = started(&mut lanes, 8);
        assert_eq!(names(&first), ["x0", "y0", "0", "1", "other partition"]);
        lanes.done(first[0].0);
        assert_eq!(names(&started(&mut lanes, 8)), ["x1"]);
    }

    #[test]
    fn no_more_than_the_limit_are_handled_at_once() {
        let mut lanes = Lanes::new(Order::None);
        for name in ["a", "b", "c"] {
            lanes.push("orders", 0, Some(b"same"), name);
        }
        let first = started(&mut lanes, 2);
        assert_eq!((names(&first), lanes.held()), (vec!["a", "b"], 3));
        lanes.done(first[0].0);
        assert_eq!(names(&started(&mut lanes, 2)), ["c"]);
    }

    #[test]
    fn what_was_not_begun_is_given_back() {
        let mut lanes = Lanes::new(Order::Partition);
        for name in ["a", "b", "c"] {
            lanes.push("orders", 0, None, name);
        }
        lanes.push("orders", 1, None, "d");
        let first = started(&mut lanes, 1);
        assert_eq!(names(&first), ["a"]);
        let mut left: Vec<_> = lanes.abandon().collect();
        left.sort_unstable();
        assert_eq!((left, lanes.held()), (vec!["b", "c", "d"], 1));
        lanes.done(first[0].0);
        assert_eq!(lanes.held(), 0);
    }
}
