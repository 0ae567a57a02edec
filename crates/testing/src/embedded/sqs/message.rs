//! A message as it is kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::attribute::{self, Attribute, Attributes, TRACE_HEADER, hex};
use super::refusal::Refusal;

/// What a message came with.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) body: String,
    pub(super) attributes: Attributes,
    pub(super) system: Attributes,
    pub(super) group: Option<String>,
    pub(super) deduplication: Option<String>,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) content: Content,
    pub(super) sent: u64,
    /// When it can be received, after its delay or its visibility timeout.
    pub(super) visible: u64,
    /// How often it was received, by whatever queue.
    pub(super) receives: u64,
    /// When it was received last, and by what number.
    pub(super) receipt: Option<Receipt>,
    pub(super) first_received: Option<u64>,
    pub(super) sequence: Option<u64>,
    pub(super) dead_letter_source: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    pub(super) number: u64,
    pub(super) received: u64,
}

/// Where a message is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageState {
    /// Whoever asks next receives it.
    Visible,
    /// Nobody receives it until its delay is over.
    Delayed,
    /// Somebody has received it, and hasn't deleted it yet.
    InFlight,
}

/// A message that is in a queue, as a test sees it: nothing is received by looking.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The id that its sender was told.
    pub id: String,
    /// Its body.
    pub body: String,
    /// Its attributes, by name; all of them.
    pub attributes: BTreeMap<String, Attribute>,
    /// The system attribute `AWSTraceHeader`, or else what the request said in the header
    /// `x-amzn-trace-id`.
    pub trace_header: Option<String>,
    /// Its message group.
    pub group: Option<String>,
    /// The id by which it is told from its doubles, in a FIFO queue.
    pub deduplication_id: Option<String>,
    /// How often it was received.
    pub received: u64,
    /// Whether it can be received now.
    pub state: MessageState,
}

impl Message {
    /// The value of an attribute that is text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.attributes.get(name)?.value).ok()
    }
}

impl Stored {
    pub(super) fn state(&self, now: u64) -> MessageState {
        match self.receipt {
            _ if self.visible <= now => MessageState::Visible,
            Some(_) => MessageState::InFlight,
            None => MessageState::Delayed,
        }
    }

    pub(super) fn shown(&self, now: u64) -> Message {
        let trace_header = self.content.system.get(TRACE_HEADER);
        Message {
            id: self.id.clone(),
            body: self.content.body.clone(),
            attributes: self.content.attributes.clone(),
            trace_header: trace_header.map(|a| String::from_utf8_lossy(&a.value).into_owned()),
            group: self.content.group.clone(),
            deduplication_id: self.content.deduplication.clone(),
            received: self.receives,
            state: self.state(now),
        }
    }

    /// As it is received by who asked for these attributes.
    pub(super) fn json(&self, handle: &str, system: &[String], attributes: &[String]) -> Value {
        let content = &self.content;
        let mut message = json!({
            "MessageId": self.id,
            "ReceiptHandle": handle,
            "MD5OfBody": attribute::md5(content.body.as_bytes()),
            "Body": content.body,
        });
        let asked = |(name, _): &(&String, &Attribute)| attribute::is_asked_for(name, attributes);
        let given = || content.attributes.iter().filter(asked);
        if let Some(digest) = attribute::digest(given()) {
            let given = given().map(|(name, attribute)| (name.clone(), attribute.json()));
            message["MessageAttributes"] = Value::Object(given.collect());
            message["MD5OfMessageAttributes"] = digest.into();
        }
        let asked = |name: &str| system.iter().any(|asked| asked == name || asked == "All");
        let given: Map<_, _> = self
            .system()
            .into_iter()
            .filter(|(name, _)| asked(name))
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        if !given.is_empty() {
            message["Attributes"] = Value::Object(given);
        }
        message
    }

    fn system(&self) -> [(&'static str, Option<String>); 9] {
        let trace_header = self.content.system.get(TRACE_HEADER);
        [
            (TRACE_HEADER, trace_header.map(|a| String::from_utf8_lossy(&a.value).into_owned())),
            ("ApproximateFirstReceiveTimestamp", self.first_received.map(|at| at.to_string())),
            ("ApproximateReceiveCount", Some(self.receives.to_string())),
            ("DeadLetterQueueSourceArn", self.dead_letter_source.clone()),
            ("MessageDeduplicationId", self.content.deduplication.clone()),
            ("MessageGroupId", self.content.group.clone()),
            ("SenderId", Some(SENDER.to_owned())),
            ("SentTimestamp", Some(self.sent.to_string())),
            ("SequenceNumber", self.sequence.map(sequence_number)),
        ]
    }
}

/// Nobody is told from anybody: signatures aren't checked.
const SENDER: &str = "AIDAEXAMPLE";

/// Numbers that AWS gives have 20 digits.
pub(super) fn sequence_number(sequence: u64) -> String {
    format!("1{sequence:019}")
}

/// What names a receiver may ask for; `SqsManagedSseEnabled` is never there.
pub(super) fn check_system_names(names: &[String]) -> Result<(), Refusal> {
    const NAMES: [&str; 11] = [
        TRACE_HEADER,
        "All",
        "ApproximateFirstReceiveTimestamp",
        "ApproximateReceiveCount",
        "DeadLetterQueueSourceArn",
        "MessageDeduplicationId",
        "MessageGroupId",
        "SenderId",
        "SentTimestamp",
        "SequenceNumber",
        "SqsManagedSseEnabled",
    ];
    match names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        Some(name) => Err(Refusal::attribute_name(name)),
        None => Ok(()),
    }
}

/// By what a receipt is named: opaque to clients. `queue` tells one queue from another that had its
/// name before.
pub(super) fn handle(queue: u64, message: u64, receipt: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{queue}:{message}:{receipt}"))
}

/// The message and the receipt that a handle of this queue names.
pub(super) fn read_handle(handle: &str, queue: u64) -> Result<(u64, u64), Refusal> {
    let refuse = || Refusal::receipt_handle(handle);
    let text = URL_SAFE_NO_PAD.decode(handle).map_err(|_| refuse())?;
    let text = String::from_utf8(text).map_err(|_| refuse())?;
    let mut numbers = text.split(':').map(str::parse::<u64>);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(of)), Some(Ok(message)), Some(Ok(receipt)), None) if of == queue => {
            Ok((message, receipt))
        }
        _ => Err(refuse()),
    }
}

/// A UUID that nobody else has. `seed` is [of a server](unique_seed).
pub(super) fn unique_id(seed: &str, number: u64) -> String {
    let hash = Sha256::digest(format!("{seed} {number}"));
    let mut text = hex(&hash[..16]);
    for place in [8, 13, 18, 23] {
        text.insert(place, '-');
    }
    text
}

/// Tells a server from others, of this process and of any.
pub(super) fn unique_seed() -> String {
    static SERVERS: AtomicU64 = AtomicU64::new(0);
    let server = SERVERS.fetch_add(1, Relaxed);
    // Processes get the numbers of others that are gone, but not within a nanosecond.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{} {} {server}", now.as_nanos(), std::process::id())
}

/// The deduplication id of a body.
pub(super) fn content_id(body: &str) -> String {
    hex(&Sha256::digest(body))
}
