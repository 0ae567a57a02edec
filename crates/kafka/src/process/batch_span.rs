//! The span of messages that are handled together.

use opentelemetry::trace::{SpanContext, SpanKind};
use opentelemetry::{Key, KeyValue, Value};
use throughline_core::messaging::{self, Destination, destination, set_system};
use throughline_core::{BoundarySpan, Description, End, semconv};

use super::Message;
use super::span::{Retry, age, expects_parent, now};
use crate::extract::RecordHeaders;
use crate::settings::{PROCESS, SYSTEM, Settings, partition_id, tell};

/// What the spans do that only hold links.
const LINKING: &str = "link";

/// Room for the attributes below, for how it ended, and for a few of the handler's.
const CAPACITY: usize = 16;

/// What is the same for all messages of a batch; the rest is told of each.
struct Shared<'a> {
    topic: Option<&'a str>,
    partition: Option<i32>,
}

impl<'a> Shared<'a> {
    fn of(messages: &[Message<'a>]) -> Self {
        let first = messages.first();
        let topic = first.map(|first| first.topic());
        let topic = topic.filter(|topic| messages.iter().all(|message| message.topic() == *topic));
        // That of another topic is another one, whatever its number.
        let partition = first.filter(|_| topic.is_some()).map(|first| first.partition());
        let partition = partition
            .filter(|partition| messages.iter().all(|message| message.partition() == *partition));
        Shared { topic, partition }
    }

    fn describe(&self, operation: &'static str, capacity: usize) -> Description {
        let Some(topic) = self.topic else { return Description::new(operation, capacity) };
        let Destination { name, destination } = destination(operation, topic);
        let mut span = Description::new(name, capacity);
        span.set(semconv::MESSAGING_DESTINATION_NAME, destination);
        if let Some(partition) = self.partition {
            span.set(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition_id(partition));
        }
        span
    }

    /// What is told of one message, on its link.
    fn difference(&self, settings: &Settings, message: &Message<'_>) -> Vec<KeyValue> {
        let mut told = Vec::with_capacity(4);
        let mut set = |key, value: Value| {
            told.push(KeyValue::new(Key::from_static_str(key), value));
        };
        tell(semconv::KAFKA_OFFSET, message.offset(), &mut set);
        if self.partition.is_none() {
            let partition = partition_id(message.partition());
            set(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition);
        }
        if self.topic.is_none() {
            set(semconv::MESSAGING_DESTINATION_NAME, message.topic().to_owned().into());
        }
        settings.tell_key(message.key(), &mut set);
        if message.payload().is_none() {
            tell(semconv::KAFKA_MESSAGE_TOMBSTONE, true, &mut set);
        }
        told
    }
}

/// Starts the span of messages that are handled together, under whatever is current here, and linked
/// to each message's sender.
pub(super) fn start_batch(
    settings: &Settings,
    messages: &[Message<'_>],
    retry: Option<&Retry>,
) -> BoundarySpan {
    let mut lacks_parent = false;
    let mut senders = Vec::with_capacity(messages.len());
    for message in messages {
        // Whether or not it is recorded: what is found, and what isn't, is counted.
        let carrier = RecordHeaders(message.headers());
        let sender = match retry {
            None => settings.config.extract_link(&carrier),
            Some(_) => settings.config.extract_link_again(&carrier),
        };
        lacks_parent |= sender.lacks_context() && expects_parent(settings, *message, retry);
        senders.push(sender);
    }
    let linked = messages.iter().zip(&senders);
    let linked = linked.filter_map(|(message, sender)| Some((message, sender.link()?)));
    let linked: Vec<_> = linked.collect();
    let shared = Shared::of(messages);
    let link = |span: &mut Description, linked: &[(&Message<'_>, &SpanContext)]| {
        span.reserve_links(linked.len());
        for (message, sender) in linked {
            span.link_with((*sender).clone(), shared.difference(settings, message));
        }
    };
    // A retry is linked to the first try as well.
    let room = settings.max_links.saturating_sub(usize::from(retry.is_some()));
    let (first, rest) = linked.split_at(room.min(linked.len()));
    let config = &settings.config;
    let mut span = messaging::process_batch(config, &senders, || {
        let mut span = shared.describe(PROCESS.name, CAPACITY);
        settings.describe(&mut span, PROCESS);
        let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
        span.set(semconv::MESSAGING_BATCH_MESSAGE_COUNT, count);
        let now = now();
        if let Some(age) = messages.iter().filter_map(|message| age(*message, now)).max() {
            span.set(semconv::THROUGHLINE_MESSAGE_AGE, age);
        }
        if lacks_parent {
            span.set(semconv::THROUGHLINE_PARENT_EXPECTED, true);
        }
        if let Some(retry) = retry {
            retry.describe(&mut span);
        }
        link(&mut span, first);
        span
    });
    let count = retry.is_none().then_some(messages.len());
    settings.measure(&mut span, PROCESS, shared.topic, count);
    // Where a span may have none there is nowhere to put the rest either.
    if span.is_recording() && settings.max_links > 0 {
        span.enter(|| {
            for linked in rest.chunks(settings.max_links) {
                let more = config.send(SpanKind::Internal, || {
                    let mut span = shared.describe(LINKING, 4);
                    set_system(&mut span, SYSTEM);
                    link(&mut span, linked);
                    span
                });
                more.end(End::Completed);
            }
        });
    }
    span
}
