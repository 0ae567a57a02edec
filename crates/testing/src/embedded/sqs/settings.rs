//! The attributes of a queue that can be set.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::wire::Map;

/// Of whom all queues are, as AWS's own examples have it.
pub(super) const ACCOUNT: &str = "000000000000";
const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:";
/// In bytes: of a message with its attributes, and of all messages of a batch.
pub(super) const MAX_SIZE: u64 = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) visibility_timeout: u64,
    pub(super) delay: u64,
    pub(super) retention: u64,
    pub(super) max_size: u64,
    pub(super) wait: u64,
    pub(super) redrive: Option<Redrive>,
    pub(super) fifo: bool,
    pub(super) content_based_deduplication: bool,
}

/// When a message goes to which dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) queue: String,
    pub(super) max_receives: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            visibility_timeout: 30,
            delay: 0,
            retention: 4 * 24 * 60 * 60,
            max_size: MAX_SIZE,
            wait: 0,
            redrive: None,
            fifo: false,
            content_based_deduplication: false,
        }
    }
}

impl Settings {
    /// Reads what a queue is to be created with. `of` says whether the queue of that name is FIFO,
    /// if there is one.
    pub(super) fn create(
        name: &str,
        attributes: &Map<String>,
        of: impl Fn(&str) -> Option<bool>,
    ) -> Result<Self, Refusal> {
        let mut settings = Settings::default();
        if let Some(value) = attributes.get("FifoQueue") {
            settings.fifo = flag("FifoQueue", value)?;
        }
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if stem.is_empty() || name.len() > 80 || !stem.bytes().all(is_allowed) {
            let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(Refusal::value(name, "QueueName", reason));
        }
        if settings.fifo != name.ends_with(".fifo") {
            let reason = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length";
            return Err(Refusal::value(name, "QueueName", reason));
        }
        settings.update(attributes, of)?;
        Ok(settings)
    }

    /// Changes what is named, or nothing if one of the values isn't allowed.
    pub(super) fn update(
        &mut self,
        attributes: &Map<String>,
        of: impl Fn(&str) -> Option<bool>,
    ) -> Result<(), Refusal> {
        let mut new = self.clone();
        for (name, value) in attributes {
            let number = |least: u64, most: u64| match value.parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(Refusal::attribute_value(name)),
            };
            match name.as_str() {
                "VisibilityTimeout" => new.visibility_timeout = number(0, 43_200)?,
                "DelaySeconds" => new.delay = number(0, 900)?,
                "MessageRetentionPeriod" => new.retention = number(60, 1_209_600)?,
                "MaximumMessageSize" => new.max_size = number(1024, MAX_SIZE)?,
                "ReceiveMessageWaitTimeSeconds" => new.wait = number(0, 20)?,
                "RedrivePolicy" => new.redrive = redrive(value, self.fifo, &of)?,
                "ContentBasedDeduplication" if self.fifo => {
                    new.content_based_deduplication = flag(name, value)?;
                }
                // It is what it was created as.
                "FifoQueue" if flag(name, value)? == self.fifo => {}
                "FifoQueue" => return Err(Refusal::attribute_value(name)),
                _ => return Err(Refusal::attribute_name(name)),
            }
        }
        *self = new;
        Ok(())
    }

    /// What can be set, as text.
    pub(super) fn list(&self) -> Vec<(&'static str, String)> {
        let mut list = vec![
            ("VisibilityTimeout", self.visibility_timeout.to_string()),
            ("DelaySeconds", self.delay.to_string()),
            ("MessageRetentionPeriod", self.retention.to_string()),
            ("MaximumMessageSize", self.max_size.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait.to_string()),
        ];
        if let Some(Redrive { queue, max_receives }) = &self.redrive {
            let policy =
                json!({ "deadLetterTargetArn": arn(queue), "maxReceiveCount": max_receives });
            list.push(("RedrivePolicy", policy.to_string()));
        }
        if self.fifo {
            list.push(("FifoQueue", "true".to_owned()));
            let content_based = self.content_based_deduplication.to_string();
            list.push(("ContentBasedDeduplication", content_based));
        }
        list
    }
}

pub(super) fn arn(queue: &str) -> String {
    format!("{ARN}{queue}")
}

fn flag(name: &str, value: &str) -> Result<bool, Refusal> {
    value.parse().map_err(|_| Refusal::attribute_value(name))
}

/// An empty policy is none.
fn redrive(
    text: &str,
    fifo: bool,
    of: impl Fn(&str) -> Option<bool>,
) -> Result<Option<Redrive>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |reason: &str| Err(Refusal::value(text, "RedrivePolicy", reason));
    let Ok(policy) = serde_json::from_str::<Value>(text) else {
        return refuse("Redrive policy is not a valid JSON map");
    };
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str).unwrap_or_default();
    // Both forms are in use.
    let max_receives = match policy.get("maxReceiveCount") {
        None => Some(10),
        Some(Value::String(number)) => number.parse().ok(),
        Some(number) => number.as_u64(),
    };
    let Some(max_receives @ 1..=1000) = max_receives else {
        return refuse("Invalid value for maxReceiveCount, it must be from 1 to 1000");
    };
    let Some(queue) = target.strip_prefix(ARN) else {
        return refuse("Invalid value for deadLetterTargetArn");
    };
    match of(queue) {
        None => refuse("Dead letter target does not exist"),
        Some(target) if target != fifo => {
            refuse("Dead-letter queue must be same type of queue as the source")
        }
        Some(_) => Ok(Some(Redrive { queue: queue.to_owned(), max_receives })),
    }
}
