//! Which message may be handled next.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What messages that have to be handled one after the other have in common; those that haven't are
/// of none.
pub(super) type Lane = Option<Arc<str>>;

/// Messages that wait, and how many don't any more.
#[derive(Debug)]
pub(super) struct Lanes<M> {
    /// What waits behind a message of its lane that is being handled. A lane without one is absent.
    busy: HashMap<Arc<str>, VecDeque<M>>,
    /// What may be handled now.
    ready: VecDeque<(Lane, M)>,
    /// All of the above, and what is being handled.
    held: usize,
}

impl<M> Lanes<M> {
    pub(super) fn new() -> Self {
        Lanes { busy: HashMap::new(), ready: VecDeque::new(), held: 0 }
    }

    pub(super) fn push(&mut self, lane: Option<&str>, message: M) {
        self.held += 1;
        let Some(lane) = lane else { return self.ready.push_back((None, message)) };
        match self.busy.entry(Arc::from(lane)) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push_back(message),
            Entry::Vacant(entry) => {
                let lane = Arc::clone(entry.key());
                entry.insert(VecDeque::new());
                self.ready.push_back((Some(lane), message));
            }
        }
    }

    /// A message that may be handled now.
    pub(super) fn next(&mut self) -> Option<(Lane, M)> {
        self.ready.pop_front()
    }

    /// A message of this lane was handled.
    pub(super) fn done(&mut self, lane: &Lane) {
        self.held -= 1;
        let Some(lane) = lane else { return };
        let Some(waiting) = self.busy.get_mut(lane) else { return };
        match waiting.pop_front() {
            Some(next) => self.ready.push_back((Some(Arc::clone(lane)), next)),
            None => {
                self.busy.remove(lane);
            }
        }
    }

    /// A message of this lane has failed: takes out those behind it, which must not overtake it.
    pub(super) fn failed(&mut self, lane: &Lane) -> VecDeque<M> {
        self.held -= 1;
        let behind = lane.as_ref().and_then(|lane| self.busy.remove(lane)).unwrap_or_default();
        self.held -= behind.len();
        behind
    }

    /// How many messages are here, handled or waiting.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes out everything that wasn't begun.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = M> + use<M> {
        let ready = std::mem::take(&mut self.ready).into_iter().map(|(_, message)| message);
        let busy = std::mem::take(&mut self.busy).into_values().flatten();
        ready.chain(busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(lanes: &mut Lanes<&'static str>) -> Vec<(Lane, &'static str)> {
        std::iter::from_fn(|| lanes.next()).collect()
    }

    fn names(started: &[(Lane, &'static str)]) -> Vec<&'static str> {
        started.iter().map(|(_, name)| *name).collect()
    }

    #[test]
    fn a_group_is_handled_in_order_beside_others() {
        let mut lanes = Lanes::new();
        for (lane, name) in [("a", "a0"), ("a", "a1"), ("b", "b0")] {
            lanes.push(Some(lane), name);
        }
        lanes.push(None, "0");
        lanes.push(None, "1");
        let first = started(&mut lanes);
        assert_eq!(names(&first), ["a0", "b0", "0", "1"]);
        lanes.done(&first[0].0);
        let second = started(&mut lanes);
        assert_eq!(names(&second), ["a1"]);
        for (lane, _) in first[1..].iter().chain(&second) {
            lanes.done(lane);
        }
        assert_eq!((lanes.held(), lanes.busy.len()), (0, 0));
    }

    #[test]
    fn behind_a_failure_nothing_of_its_group_is_begun() {
        let mut lanes = Lanes::new();
        for (lane, name) in [("a", "a0"), ("a", "a1"), ("b", "b0"), ("a", "a2"), ("b", "b1")] {
            lanes.push(Some(lane), name);
        }
        let first = started(&mut lanes);
        assert_eq!(lanes.failed(&first[0].0), ["a1", "a2"]);
        assert_eq!((names(&started(&mut lanes)), lanes.held()), (vec![], 2));
        lanes.push(Some("a"), "a0 again");
        lanes.done(&first[1].0);
        assert_eq!(names(&started(&mut lanes)), ["a0 again", "b1"]);
    }

    #[test]
    fn what_was_not_begun_is_taken_out() {
        let mut lanes = Lanes::new();
        for (lane, name) in [("a", "a0"), ("a", "a1"), ("b", "b0")] {
            lanes.push(Some(lane), name);
        }
        let first = lanes.next().expect("the first");
        let mut left: Vec<_> = lanes.abandon().collect();
        left.sort_unstable();
        assert_eq!((first.1, left), ("a0", vec!["a1", "b0"]));
    }
}
