//! All queues, and what is done to them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::message::{Message, MessageState, unique_seed};
use super::queue::Queue;
use super::refusal::Refusal;
use super::send::within;
use super::settings::{ACCOUNT, Settings, arn};
use super::wire;

/// For so long a queue can't be purged again, or a name be used again, in milliseconds.
const PAUSE: u64 = 60 * 1000;

#[derive(Debug)]
pub(super) struct State {
    endpoint: String,
    pub(super) queues: BTreeMap<String, Queue>,
    deleted: BTreeMap<String, u64>,
    /// The last number given to a queue, a message or a receipt.
    pub(super) number: u64,
    /// Tells this server's ids from others'.
    pub(super) seed: String,
}

impl State {
    pub(super) fn new(endpoint: String) -> Self {
        let (queues, deleted) = (BTreeMap::new(), BTreeMap::new());
        State { endpoint, queues, deleted, number: 0, seed: unique_seed() }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.endpoint)
    }

    /// The name of the queue with this URL. The host is whatever the caller reaches us by.
    pub(super) fn named(&self, url: Option<&str>) -> Result<String, Refusal> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| Refusal::missing("QueueUrl"))?;
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let path = path.ok_or_else(|| Refusal::address(url))?.1;
        let (account, name) = path.split_once('/').ok_or_else(|| Refusal::address(url))?;
        if account == ACCOUNT && self.queues.contains_key(name) {
            return Ok(name.to_owned());
        }
        Err(Refusal::no_queue())
    }

    pub(super) fn queue(&mut self, url: Option<&str>) -> Result<&mut Queue, Refusal> {
        let name = self.named(url)?;
        self.queues.get_mut(&name).ok_or_else(Refusal::no_queue)
    }

    pub(super) fn create_queue(
        &mut self,
        now: u64,
        request: wire::CreateQueue,
    ) -> Result<Value, Refusal> {
        let name = request.queue_name.ok_or_else(|| Refusal::missing("QueueName"))?;
        let attributes = request.attributes.unwrap_or_default();
        let settings = Settings::create(&name, &attributes, |name| self.is_fifo(name))?;
        if let Some(queue) = self.queues.get(&name) {
            let existing = queue.settings.list();
            let wanted = settings.list();
            // What isn't named is as it is.
            let differs = wanted
                .iter()
                .find(|wanted| attributes.contains_key(wanted.0) && !existing.contains(wanted));
            return match differs {
                Some((attribute, _)) => Err(Refusal::queue_exists(attribute)),
                None => Ok(json!({ "QueueUrl": self.url(&name) })),
            };
        }
        self.deleted.retain(|_, at| *at + PAUSE > now);
        if self.deleted.contains_key(&name) {
            return Err(Refusal::deleted_recently());
        }
        let serial = self.next_number();
        let url = self.url(&name);
        self.queues.insert(name, Queue::new(serial, now, settings));
        Ok(json!({ "QueueUrl": url }))
    }

    fn is_fifo(&self, name: &str) -> Option<bool> {
        self.queues.get(name).map(|queue| queue.settings.fifo)
    }

    pub(super) fn get_queue_url(&self, request: wire::GetQueueUrl) -> Result<Value, Refusal> {
        let name = request.queue_name.ok_or_else(|| Refusal::missing("QueueName"))?;
        if !self.queues.contains_key(&name) {
            return Err(Refusal::no_queue());
        }
        Ok(json!({ "QueueUrl": self.url(&name) }))
    }

    pub(super) fn get_queue_attributes(
        &mut self,
        now: u64,
        request: wire::GetQueueAttributes,
    ) -> Result<Value, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        let queue = self.queues.get_mut(&name).ok_or_else(Refusal::no_queue)?;
        queue.expire(now);
        let count = |state| queue.count(now, state).to_string();
        let mut all = queue.settings.list();
        all.extend([
            ("ApproximateNumberOfMessages", count(MessageState::Visible)),
            ("ApproximateNumberOfMessagesNotVisible", count(MessageState::InFlight)),
            ("ApproximateNumberOfMessagesDelayed", count(MessageState::Delayed)),
            ("CreatedTimestamp", (queue.created / 1000).to_string()),
            ("LastModifiedTimestamp", (queue.modified / 1000).to_string()),
            ("QueueArn", arn(&name)),
        ]);
        let asked = request.attribute_names.unwrap_or_default();
        // Known, but not there: those of a policy, of FIFO queues, and what is done elsewhere only.
        const ABSENT: [&str; 10] = [
            "All",
            "ContentBasedDeduplication",
            "DeduplicationScope",
            "FifoQueue",
            "FifoThroughputLimit",
            "KmsDataKeyReusePeriodSeconds",
            "KmsMasterKeyId",
            "Policy",
            "RedriveAllowPolicy",
            "RedrivePolicy",
        ];
        let is_known = |name: &str| {
            name == "SqsManagedSseEnabled"
                || ABSENT.contains(&name)
                || all.iter().any(|(known, _)| *known == name)
        };
        if let Some(unknown) = asked.iter().find(|name| !is_known(name)) {
            return Err(Refusal::attribute_name(unknown));
        }
        all.retain(|(name, _)| asked.iter().any(|asked| asked == "All" || asked == name));
        if all.is_empty() {
            return Ok(json!({}));
        }
        let all: Map<_, _> = all.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
        Ok(json!({ "Attributes": all }))
    }

    pub(super) fn set_queue_attributes(
        &mut self,
        now: u64,
        request: wire::SetQueueAttributes,
    ) -> Result<Value, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        let attributes = request.attributes.ok_or_else(|| Refusal::missing("Attributes"))?;
        let mut settings = match self.queues.get(&name) {
            Some(queue) => queue.settings.clone(),
            None => return Err(Refusal::no_queue()),
        };
        settings.update(&attributes, |name| self.is_fifo(name))?;
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.set(now, settings);
        }
        Ok(json!({}))
    }

    pub(super) fn list_queues(&self, request: wire::ListQueues) -> Result<Value, Refusal> {
        let prefix = request.queue_name_prefix.unwrap_or_default();
        let most = match request.max_results {
            Some(most) => Some(within(most, "MaxResults", 1, 1000)?),
            None => None,
        };
        let count = usize::try_from(most.unwrap_or(1000)).unwrap_or(usize::MAX);
        let after = request.next_token.unwrap_or_default();
        let mut names = self.queues.keys().filter(|name| name.starts_with(&prefix));
        let names = names.by_ref().skip_while(|name| **name <= after);
        let names: Vec<_> = names.take(count.saturating_add(1)).collect();
        let urls: Vec<_> = names.iter().take(count).map(|name| self.url(name)).collect();
        let mut answer = json!({ "QueueUrls": urls });
        // Only who says how many it wants is told that there are more.
        if most.is_some() && names.len() > count {
            answer["NextToken"] = names[count - 1].as_str().into();
        }
        Ok(answer)
    }

    pub(super) fn purge_queue(
        &mut self,
        now: u64,
        request: &wire::OfQueue,
    ) -> Result<Value, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        let queue = self.queues.get_mut(&name).ok_or_else(Refusal::no_queue)?;
        if queue.purged.is_some_and(|at| at + PAUSE > now) {
            return Err(Refusal::purge_in_progress(&name));
        }
        queue.purged = Some(now);
        queue.purge();
        Ok(json!({}))
    }

    pub(super) fn delete_queue(
        &mut self,
        now: u64,
        request: &wire::OfQueue,
    ) -> Result<Value, Refusal> {
        let name = self.named(request.queue_url.as_deref())?;
        self.queues.remove(&name);
        self.deleted.insert(name, now);
        Ok(json!({}))
    }

    pub(super) fn shown(&mut self, now: u64, name: &str) -> Result<Vec<Message>, Refusal> {
        let queue = self.queues.get_mut(name).ok_or_else(Refusal::no_queue)?;
        queue.expire(now);
        Ok(queue.shown(now))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::embedded::sqs::message::unique_id;

    #[test]
    fn servers_that_are_started_together_have_ids_of_their_own() {
        let states: Vec<_> = (0..50).map(|_| State::new(String::new())).collect();
        let ids: HashSet<_> = states.iter().map(|state| unique_id(&state.seed, 1)).collect();
        assert_eq!(ids.len(), states.len());
    }
}
