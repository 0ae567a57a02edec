//! What the accounts say.

use std::collections::HashMap;

use super::{Accounts, Handling, Hold, Order, Seen};
use crate::ledger::book::Place;
use crate::ledger::tally::{Cause, Tally};

impl Accounts {
    /// Why a message was handled again.
    pub(super) fn cause(&self, place: &Place, before: &Seen, now: &Seen) -> Option<Cause> {
        let its = |noted: &HashMap<(u32, Place), u64>| {
            noted.get(&(before.process, place.clone())).copied()
        };
        if its(&self.failed).is_some_and(|failed| failed > before.last) {
            return Some(Cause::Failed);
        }
        let is_killed = self.killed.contains_key(&before.process);
        let Place::Record { partition, .. } = place else {
            let unheld = its(&self.unheld).map(|_| Cause::Unheld);
            return is_killed.then_some(Cause::Killed).or(unheld);
        };
        let hold = |of: &Seen| self.holds.get(&(of.process, *partition, of.epoch));
        let (theirs, its) = (hold(before)?, hold(now)?);
        if theirs.began == its.began {
            return None;
        }
        let (earlier, later) = if theirs.began < its.began { (theirs, its) } else { (its, theirs) };
        if earlier.ended.is_some_and(|ended| ended < later.began) {
            return Some(if is_killed { Cause::Killed } else { Cause::Revoked });
        }
        // Both had it.
        let is_faulty = self.faults.last().is_some_and(|last| *last > earlier.began);
        is_faulty.then_some(Cause::Lapsed)
    }

    /// What it comes to, so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.processes = self.busy.len();
        for message in self.messages.values().filter(|message| message.places.len() > 1) {
            let (tried, sent) = (message.tried, message.sent.unwrap_or(u64::MAX));
            let is_faulty = self.faults.iter().any(|fault| tried < *fault && *fault < sent);
            let more = message.places.len() - 1;
            let is_explained = message.unanswered >= more || is_faulty;
            (0..more).for_each(|_| tally.again.count(is_explained.then_some(Cause::SentAgain)));
        }
        tally.overtaken = self.overtaken();
        tally.unacknowledged = self.unacknowledged();
        tally
    }

    /// Messages that overtook one of their lane.
    fn overtaken(&self) -> usize {
        let place = |(place, seen): (&Place, &Seen)| match (self.order, place) {
            (Order::Key(_), Place::Record { partition, offset }) => {
                Some((*partition, self.order.lane(seen.id), *offset, seen.first))
            }
            (Order::Group(_), _) => {
                Some((0, self.order.lane(seen.id), seen.id.cast_signed(), seen.first))
            }
            _ => None,
        };
        let mut places: Vec<_> = self.seen.iter().filter_map(place).collect();
        places.sort_unstable();
        let is_overtaken = |pair: &&[(i32, u64, i64, u64)]| {
            (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1) && pair[0].3 > pair[1].3
        };
        places.windows(2).filter(is_overtaken).count()
    }

    /// Messages that were handled, and are not acknowledged yet. Who was killed may have had his
    /// acknowledged, and no time to write it down.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        if self.handling.is_empty() {
            let open = |(place, seen): &(&Place, &Seen)| {
                !self.deleted.contains(place) && !self.killed.contains_key(&seen.process)
            };
            return self.seen.iter().filter(open).count();
        }
        let open = |(partition, handling): (&i32, &Handling)| {
            let committed = self.committed.get(partition).copied().unwrap_or_default();
            let next = usize::try_from(handling.next - committed).unwrap_or_default();
            next + handling.above.len()
        };
        self.handling.iter().map(open).sum()
    }

    /// How many messages the broker has, as far as their sender was told.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.tally.sent as u64
    }

    /// Whether the broker has this message, as far as its sender was told.
    #[must_use]
    pub fn is_sent(&self, id: u64) -> bool {
        self.messages.get(&id).is_some_and(|message| message.sent.is_some())
    }

    /// How many messages were handled, each counted once.
    #[must_use]
    pub fn handled_once(&self) -> u64 {
        (self.tally.sent - self.tally.lost) as u64
    }

    /// How many messages this process has handled since [`count_anew`](Self::count_anew).
    #[must_use]
    pub fn share(&self, process: u32) -> u64 {
        self.busy.get(&process).copied().unwrap_or_default()
    }

    /// Begins anew to count what each has handled.
    pub fn count_anew(&mut self) {
        self.busy.values_mut().for_each(|share| *share = 0);
    }

    /// How many messages wait to be handled, of the partition that has most.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        let waiting = |(partition, sent): (&i32, &u64)| {
            let handled = self.handling.get(partition).map_or(0, |handling| {
                u64::try_from(handling.next).unwrap_or_default() + handling.above.len() as u64
            });
            sent.saturating_sub(handled)
        };
        self.sent.iter().map(waiting).max().unwrap_or(self.tally.lost as u64)
    }

    /// How many partitions a process has.
    #[must_use]
    pub fn partitions_of(&self, process: u32) -> usize {
        let its =
            |((of, ..), hold): (&(u32, i32, u64), &Hold)| *of == process && hold.ended.is_none();
        self.holds.iter().filter(|(key, hold)| its((key, hold))).count()
    }
}
