//! A queue: what is in it, and who may have it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::message::{self, Content, Message, MessageState, Receipt, Stored};
use super::refusal::Refusal;
use super::settings::Settings;

/// How many messages may be in flight; AWS says "approximately".
const IN_FLIGHT: usize = 120_000;
/// For so long a FIFO queue remembers what it was sent, in milliseconds.
const DEDUPLICATION: u64 = 5 * 60 * 1000;

#[derive(Debug)]
pub(super) struct Queue {
    /// Tells it from others that had its name.
    pub(super) serial: u64,
    pub(super) created: u64,
    pub(super) modified: u64,
    pub(super) purged: Option<u64>,
    pub(super) settings: Settings,
    in_flight_limit: usize,
    /// In the order in which they came.
    pub(super) messages: BTreeMap<u64, Stored>,
    sent: HashMap<String, Sent>,
}

/// What a sender is told.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    at: u64,
    pub(super) id: String,
    pub(super) sequence: Option<u64>,
}

/// What a receiver wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) count: usize,
    /// Instead of the queue's, in seconds.
    pub(super) visibility_timeout: Option<u64>,
    /// How often a message may have been received before, if there is a dead-letter queue.
    pub(super) max_receives: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Each with its handle.
    pub(super) messages: Vec<(String, Stored)>,
    /// Received too often: they go to the dead-letter queue.
    pub(super) dead: Vec<Stored>,
}

impl Queue {
    pub(super) fn new(serial: u64, now: u64, settings: Settings) -> Self {
        Queue {
            serial,
            created: now,
            modified: now,
            purged: None,
            settings,
            in_flight_limit: IN_FLIGHT,
            messages: BTreeMap::new(),
            sent: HashMap::new(),
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: u64) {
        let retention = self.settings.retention * 1000;
        self.messages.retain(|_, message| message.sent + retention > now);
        self.sent.retain(|_, sent| sent.at + DEDUPLICATION > now);
    }

    /// Takes a message in, or finds that it has it. `number` is larger than that of any before.
    pub(super) fn send(
        &mut self,
        now: u64,
        number: u64,
        id: String,
        content: Content,
        delay: Option<u64>,
    ) -> Sent {
        self.expire(now);
        let sequence = self.settings.fifo.then_some(number);
        let sent = Sent { at: now, id: id.clone(), sequence };
        if self.settings.fifo
            && let Some(deduplication) = &content.deduplication
        {
            if let Some(before) = self.sent.get(deduplication) {
                return before.clone();
            }
            self.sent.insert(deduplication.clone(), sent.clone());
        }
        let message = Stored {
            id,
            content,
            sent: now,
            visible: now + delay.unwrap_or(self.settings.delay) * 1000,
            receives: 0,
            receipt: None,
            first_received: None,
            sequence,
            dead_letter_source: None,
        };
        self.messages.insert(number, message);
        sent
    }

    /// Takes in what another queue has given up.
    pub(super) fn bury(&mut self, now: u64, number: u64, mut message: Stored, source: String) {
        message.visible = now;
        message.dead_letter_source = Some(source);
        if self.settings.fifo {
            // As AWS documents it: of a standard queue, the time stays.
            message.sent = now;
        }
        self.messages.insert(number, message);
    }

    /// Hands out what can be received, and gives up what was received too often. `number` counts
    /// receipts.
    pub(super) fn take(
        &mut self,
        now: u64,
        number: &mut u64,
        wanted: Wanted,
    ) -> Result<Taken, Refusal> {
        self.expire(now);
        let in_flight = self.count(now, MessageState::InFlight);
        let room = self.in_flight_limit.saturating_sub(in_flight);
        if room == 0 && !self.settings.fifo {
            return Err(Refusal::over_limit(self.in_flight_limit));
        }
        let mut locked = self.locked_groups(now);
        let timeout = wanted.visibility_timeout.unwrap_or(self.settings.visibility_timeout) * 1000;
        let mut taken = Taken::default();
        let mut dead = Vec::new();
        for (&key, message) in &mut self.messages {
            if taken.messages.len() == wanted.count.min(room) {
                break;
            }
            let group = message.content.group.as_ref().filter(|_| self.settings.fifo);
            if group.is_some_and(|group| locked.contains(group)) {
                continue;
            }
            if message.visible > now {
                // What is behind it in its group waits for it.
                locked.extend(group.cloned());
                continue;
            }
            if wanted.max_receives.is_some_and(|most| message.receives >= most) {
                dead.push(key);
                continue;
            }
            *number += 1;
            message.receives += 1;
            message.receipt = Some(Receipt { number: *number, received: now });
            message.first_received.get_or_insert(now);
            message.visible = now + timeout;
            let handle = message::handle(self.serial, key, *number);
            taken.messages.push((handle, message.clone()));
        }
        taken.dead = dead.iter().filter_map(|key| self.messages.remove(key)).collect();
        Ok(taken)
    }

    /// The groups of which somebody has a message.
    fn locked_groups(&self, now: u64) -> HashSet<String> {
        if !self.settings.fifo {
            return HashSet::new();
        }
        let in_flight = |message: &&Stored| message.state(now) == MessageState::InFlight;
        let messages = self.messages.values().filter(in_flight);
        messages.filter_map(|message| message.content.group.clone()).collect()
    }

    /// When a message becomes visible next.
    pub(super) fn next_change(&self, now: u64) -> Option<u64> {
        self.messages.values().map(|message| message.visible).filter(|at| *at > now).min()
    }

    /// Changes its settings.
    pub(super) fn set(&mut self, now: u64, settings: Settings) {
        // As AWS documents it: of a FIFO queue, a new delay is that of the messages in it, too.
        if settings.fifo && settings.delay != self.settings.delay {
            let waiting = self.messages.values_mut().filter(|message| message.receipt.is_none());
            for message in waiting {
                message.visible = message.sent + settings.delay * 1000;
            }
        }
        self.settings = settings;
        self.modified = now;
    }

    pub(super) fn purge(&mut self) {
        self.messages.clear();
    }

    pub(super) fn count(&self, now: u64, state: MessageState) -> usize {
        self.messages.values().filter(|message| message.state(now) == state).count()
    }

    pub(super) fn shown(&self, now: u64) -> Vec<Message> {
        self.messages.values().map(|message| message.shown(now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::sqs::attribute::Attributes;

    const TWO: Wanted = Wanted { count: 2, visibility_timeout: None, max_receives: None };

    fn send(queue: &mut Queue, number: u64, group: u64, delay: Option<u64>) {
        let id = number.to_string();
        let content = Content {
            body: id.clone(),
            attributes: Attributes::new(),
            system: Attributes::new(),
            group: Some(group.to_string()),
            deduplication: Some(id.clone()),
        };
        queue.send(0, number, id, content, delay);
    }

    /// A queue that may have three in flight, with five messages of as many groups.
    fn queue(fifo: bool) -> Queue {
        let mut queue = Queue::new(0, 0, Settings { fifo, ..Settings::default() });
        queue.in_flight_limit = 3;
        (1..=5).for_each(|number| send(&mut queue, number, number, None));
        queue
    }

    fn take(queue: &mut Queue, number: &mut u64) -> Result<usize, &'static str> {
        let taken = queue.take(0, number, TWO);
        taken.map(|taken| taken.messages.len()).map_err(|refusal| refusal.shape)
    }

    #[test]
    fn nothing_overtakes_what_is_delayed_in_its_group() {
        for (fifo, visible) in [(false, 1), (true, 0)] {
            let mut queue = Queue::new(0, 0, Settings { fifo, ..Settings::default() });
            send(&mut queue, 1, 1, Some(10));
            send(&mut queue, 2, 1, Some(0));
            assert_eq!(take(&mut queue, &mut 2), Ok(visible));
        }
    }

    #[test]
    fn no_more_are_in_flight_than_may_be() {
        for (fifo, full) in [(false, Err("OverLimit")), (true, Ok(0))] {
            let (mut queue, mut number) = (queue(fifo), 5);
            assert_eq!(take(&mut queue, &mut number), Ok(2));
            assert_eq!(take(&mut queue, &mut number), Ok(1));
            assert_eq!(take(&mut queue, &mut number), full);
            queue.delete(0, &message::handle(0, 1, 6)).unwrap();
            assert_eq!(take(&mut queue, &mut number), Ok(1));
        }
    }
}
