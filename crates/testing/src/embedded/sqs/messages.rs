//! What is done to messages: one, or a batch of them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::attribute::{self, Attribute, TRACE_HEADER};
use super::message::{check_system_names, sequence_number, unique_id};
use super::queue::Wanted;
use super::refusal::Refusal;
use super::send::{Checked, check, fits, within};
use super::settings::{MAX_SIZE, arn};
use super::state::State;
use super::wire::{Batch, Entry, ReceiveMessage};

const LARGEST_BATCH: usize = 10;
const LONGEST_VISIBILITY: u64 = 43_200;

/// What a receiver has asked for, checked.
#[derive(Debug)]
pub(super) struct Receiving {
    queue: String,
    count: usize,
    visibility_timeout: Option<u64>,
    /// In milliseconds.
    pub(super) wait: u64,
    system: Vec<String>,
    attributes: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) messages: Vec<Value>,
    /// Whether another queue has got messages by it.
    pub(super) buried: bool,
    /// When asking again makes sense.
    pub(super) next_change: Option<u64>,
}

impl State {
    pub(super) fn send_message(
        &mut self,
        now: u64,
        request: Entry,
        header: Option<&Attribute>,
    ) -> Result<Value, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        let queue = self.queues.get(&name).ok_or_else(Refusal::no_queue)?;
        let checked = check(request, &queue.settings)?;
        self.store(now, &name, checked, header)
    }

    fn store(
        &mut self,
        now: u64,
        name: &str,
        mut checked: Checked,
        header: Option<&Attribute>,
    ) -> Result<Value, Refusal> {
        let number = self.next_number();
        let id = unique_id(&self.seed, number);
        let content = &checked.content;
        let mut answer = json!({ "MD5OfMessageBody": attribute::md5(content.body.as_bytes()) });
        if let Some(digest) = attribute::digest(&content.attributes) {
            answer["MD5OfMessageAttributes"] = digest.into();
        }
        if let Some(digest) = attribute::digest(&content.system) {
            answer["MD5OfMessageSystemAttributes"] = digest.into();
        }
        // The message's own holds.
        if let Some(header) = header {
            let system = &mut checked.content.system;
            system.entry(TRACE_HEADER.to_owned()).or_insert_with(|| header.clone());
        }
        let queue = self.queues.get_mut(name).ok_or_else(Refusal::no_queue)?;
        let sent = queue.send(now, number, id, checked.content, checked.delay);
        answer["MessageId"] = sent.id.into();
        if let Some(sequence) = sent.sequence {
            answer["SequenceNumber"] = sequence_number(sequence).into();
        }
        Ok(answer)
    }

    pub(super) fn send_batch(
        &mut self,
        now: u64,
        request: Batch,
        fail: Option<usize>,
        header: Option<&Attribute>,
    ) -> Result<Value, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        let entries = entries(request)?;
        let queue = self.queues.get(&name).ok_or_else(Refusal::no_queue)?;
        let mut size = 0;
        let checked: Vec<_> = entries
            .into_iter()
            .map(|(id, entry)| {
                let body = entry.message_body.as_ref().map_or(0, String::len);
                let checked = check(entry, &queue.settings);
                size += checked.as_ref().map_or(body, |checked| checked.size);
                (id, checked)
            })
            .collect();
        if !fits(size, MAX_SIZE) {
            let limit = usize::try_from(MAX_SIZE).unwrap_or(usize::MAX);
            return Err(Refusal::batch_too_long(size, limit));
        }
        Ok(each(checked, fail, |checked| self.store(now, &name, checked?, header)))
    }

    pub(super) fn delete_message(&mut self, now: u64, entry: &Entry) -> Result<Value, Refusal> {
        let queue = self.queue(entry.queue_url.as_deref())?;
        queue.delete(now, handle(entry)?)?;
        Ok(json!({}))
    }

    pub(super) fn change_visibility(&mut self, now: u64, entry: &Entry) -> Result<Value, Refusal> {
        let queue = self.queue(entry.queue_url.as_deref())?;
        let timeout = entry.visibility_timeout.ok_or_else(|| Refusal::missing("VisibilityTimeout"));
        let timeout = within(timeout?, "VisibilityTimeout", 0, LONGEST_VISIBILITY)?;
        queue.change_visibility(now, handle(entry)?, timeout)?;
        Ok(json!({}))
    }

    /// Does `one` with each entry of a batch.
    pub(super) fn batch(
        &mut self,
        request: Batch,
        fail: Option<usize>,
        one: impl Fn(&mut Self, &Entry) -> Result<Value, Refusal>,
    ) -> Result<Value, Refusal> {
        let url = request.queue_url.clone();
        self.named(url.as_deref())?;
        Ok(each(entries(request)?, fail, |mut entry| {
            entry.queue_url.clone_from(&url);
            one(self, &entry)
        }))
    }

    pub(super) fn receiving(&mut self, request: ReceiveMessage) -> Result<Receiving, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        let queue = self.queue(request.queue_url.as_deref())?;
        if request.receive_request_attempt_id.is_some() {
            return Err(Refusal::unsupported("There are no receive attempts by id here."));
        }
        let count = request.max_number_of_messages.unwrap_or(1);
        let count = within(count, "MaxNumberOfMessages", 1, 10)?;
        let wait = match request.wait_time_seconds {
            Some(wait) => within(wait, "WaitTimeSeconds", 0, 20)?,
            None => queue.settings.wait,
        };
        let visibility_timeout = match request.visibility_timeout {
            Some(timeout) => Some(within(timeout, "VisibilityTimeout", 0, LONGEST_VISIBILITY)?),
            None => None,
        };
        let mut system = request.message_system_attribute_names.unwrap_or_default();
        // The older name of the same thing.
        system.extend(request.attribute_names.unwrap_or_default());
        check_system_names(&system)?;
        Ok(Receiving {
            queue: name,
            count: usize::try_from(count).unwrap_or(1),
            visibility_timeout,
            wait: wait * 1000,
            system,
            attributes: request.message_attribute_names.unwrap_or_default(),
        })
    }

    /// Hands out what is there.
    pub(super) fn receive(&mut self, now: u64, wanted: &Receiving) -> Result<Received, Refusal> {
        let mut number = self.number;
        let redrive = self.queues.get(&wanted.queue).and_then(|q| q.settings.redrive.clone());
        // Whose dead-letter queue is gone keeps what it has.
        let redrive = redrive.filter(|redrive| self.queues.contains_key(&redrive.queue));
        let queue = self.queues.get_mut(&wanted.queue).ok_or_else(Refusal::no_queue)?;
        let max_receives = redrive.as_ref().map(|redrive| redrive.max_receives);
        let (count, visibility_timeout) = (wanted.count, wanted.visibility_timeout);
        let taken =
            queue.take(now, &mut number, Wanted { count, visibility_timeout, max_receives })?;
        let next_change = queue.next_change(now);
        self.number = number;
        let buried = !taken.dead.is_empty();
        if let Some(grave) = redrive {
            for message in taken.dead {
                let number = self.next_number();
                if let Some(queue) = self.queues.get_mut(&grave.queue) {
                    queue.bury(now, number, message, arn(&wanted.queue));
                }
            }
        }
        let messages = taken.messages.iter();
        let messages = messages
            .map(|(handle, message)| message.json(handle, &wanted.system, &wanted.attributes))
            .collect();
        Ok(Received { messages, buried, next_change })
    }
}

fn handle(entry: &Entry) -> Result<&str, Refusal> {
    entry.receipt_handle.as_deref().ok_or_else(|| Refusal::missing("ReceiptHandle"))
}

/// The entries of a batch that is one, with their ids.
fn entries(request: Batch) -> Result<Vec<(String, Entry)>, Refusal> {
    let entries = request.entries.unwrap_or_default();
    match entries.len() {
        0 => return Err(Refusal::empty_batch()),
        1..=LARGEST_BATCH => {}
        count => return Err(Refusal::too_many_entries(count)),
    }
    let mut seen = HashSet::new();
    let named = |mut entry: Entry| {
        let id = entry.id.take().ok_or_else(|| Refusal::missing("Id"))?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=80).contains(&id.len()) || !id.bytes().all(is_allowed) {
            return Err(Refusal::entry_id());
        }
        if !seen.insert(id.clone()) {
            return Err(Refusal::ids_not_distinct(&id));
        }
        Ok((id, entry))
    };
    entries.into_iter().map(named).collect()
}

/// Does each entry for itself: one that is refused doesn't stop the others.
fn each<T>(
    entries: Vec<(String, T)>,
    fail: Option<usize>,
    mut one: impl FnMut(T) -> Result<Value, Refusal>,
) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (place, (id, entry)) in entries.into_iter().enumerate() {
        let done = if fail == Some(place) { Err(Refusal::internal()) } else { one(entry) };
        match done {
            Ok(mut answer) => {
                answer["Id"] = id.into();
                successful.push(answer);
            }
            Err(refusal) => failed.push(json!({
                "Id": id,
                "SenderFault": refusal.senders_fault(),
                "Code": refusal.code,
                "Message": refusal.message,
            })),
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}
