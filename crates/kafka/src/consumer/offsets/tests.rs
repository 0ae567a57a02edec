use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn begin(offsets: &Offsets, offset: i64) -> Ticket {
    offsets.begin("orders", 0, offset).expect("the partition isn't held")
}

fn finish(offsets: &Offsets, ticket: &Ticket) -> Option<i64> {
    offsets.finish(ticket, Some(|position| position))
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
fn what_lies_before_a_failure_goes_on_and_what_lies_behind_comes_again_with_it() {
    let offsets = Offsets::default();
    let [before, failed, behind] = [5, 6, 7].map(|offset| begin(&offsets, offset));
    assert!(offsets.hold(&failed));
    assert!(offsets.is_current(&before) && !offsets.is_current(&behind));
    offsets.give_back(&behind);
    assert_eq!(finish(&offsets, &before), Some(6));
    assert_eq!(offsets.held_at("orders", 0), Some(6));
    // Left behind, whatever was given back before that.
    offsets.seek("orders", 0, 9);
    let next = begin(&offsets, 9);
    assert_eq!(finish(&offsets, &next), Some(10));
}

#[test]
fn what_was_stored_in_this_assignment_is_stored_again() {
    let offsets = Offsets::default();
    let again = || {
        let stored = std::cell::RefCell::new(Vec::new());
        let store = |_: &str, partition, position| stored.borrow_mut().push((partition, position));
        offsets.store_again(|| (), store);
        stored.into_inner()
    };
    let [a, b] = [5, 6].map(|offset| begin(&offsets, offset));
    assert_eq!(again(), [], "none is finished");
    finish(&offsets, &b);
    assert_eq!(again(), [], "one before it isn't");
    finish(&offsets, &a);
    assert_eq!(again(), [(0, 7)]);
    offsets.seek("orders", 0, 5);
    assert_eq!(again(), [(0, 7)], "librdkafka keeps it, too");
    offsets.forget("orders", 0);
    assert_eq!(again(), [], "it is somebody else's");

    let theirs = begin(&offsets, 9);
    assert_eq!(offsets.finish(&theirs, None::<fn(i64)>), None);
    assert_eq!(again(), [], "only the service knows");
    offsets.stored([("orders", 0, 3)], || Err(())).expect_err("refused");
    assert_eq!(again(), []);
    offsets.stored([("orders", 0, 4)], || Ok::<_, ()>(())).expect("stored");
    assert_eq!(again(), [(0, 4)]);
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
    GiveBack(prop::sample::Index),
    /// To the first one that has to come again, if there is one.
    Resume(i32),
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
        1 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
        1 => (0..2).prop_map(Step::Resume),
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
                Step::GiveBack(which) if !open.is_empty() => {
                    let (ticket, which) = open.swap_remove(which.index(open.len()));
                    let place = (ticket.partition, ticket.offset);
                    offsets.give_back(&ticket);
                    if world.is_last(place.0, place.1, which) {
                        world.messages.insert(place, (which, Stand::GivenBack));
                    }
                }
                Step::Finish(_) | Step::Hold(_) | Step::GiveBack(_) => {}
                Step::Resume(partition) => {
                    let Some(to) = offsets.held_at("orders", partition) else { continue };
                    offsets.seek("orders", partition, to);
                    world.go_back(partition, to);
                    world.next.insert(partition, to);
                    let waits = world.messages.iter().any(|((number, _), (_, stand))| {
                        *number == partition
                            && matches!(stand, Stand::Failed | Stand::GivenBack)
                    });
                    prop_assert!(!waits, "something waits that never comes again");
                }
                Step::Seek(partition, by) => {
                    let Some(next) = world.next.get(&partition).copied() else { continue };
                    let to = next + by;
                    offsets.seek("orders", partition, to);
                    world.go_back(partition, to);
                    world.messages.retain(|(number, _), (_, stand)| {
                        let is_left = matches!(stand, Stand::Failed | Stand::GivenBack);
                        *number != partition || !is_left
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
