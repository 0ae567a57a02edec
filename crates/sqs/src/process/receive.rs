//! The span of messages that are received.

use std::time::SystemTime;

use aws_sdk_sqs::config::ConfigBag;
use aws_sdk_sqs::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sqs::operation::receive_message::{ReceiveMessageInput, ReceiveMessageOutput};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use aws_smithy_runtime_api::client::interceptors::context::Input;
use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use throughline_core::metrics::{Measure, Operation};
use throughline_core::{Description, End, semconv};

use super::end;
use super::span::{Place, RECEIVE, count};
use crate::extract::{MessageContext, XRAY};
use crate::settings::Settings;

const ALL: &str = "All";
const ALL_BY_PREFIX: &str = ".*";

/// What is told of a message beside its trace: how long it waited, which time it is, its group.
const TOLD: [MessageSystemAttributeName; 3] = [
    MessageSystemAttributeName::SentTimestamp,
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::MessageGroupId,
];

/// A poll.
#[derive(Debug)]
pub(super) struct Receiving {
    place: Place,
    parent: Context,
    started: SystemTime,
    measure: Option<Measure>,
}

impl Receiving {
    /// Asks for what a context travels by. `None` for another call.
    pub(super) fn start(settings: &Settings, input: &mut Input, cfg: &ConfigBag) -> Option<Self> {
        let input = input.downcast_mut::<ReceiveMessageInput>()?;
        ask(settings, input);
        let place = Place::queue(input.queue_url.as_deref(), cfg);
        let config = &settings.config;
        let measure = if config.is_measured() {
            place.measure(config, Operation::MessagingReceive, RECEIVE)
        } else {
            None
        };
        let (parent, started) = (Context::current(), SystemTime::now());
        Some(Receiving { place, parent, started, measure })
    }

    /// Starts the span, and ends it, if something came of it.
    pub(super) fn end(self, settings: &Settings, context: &FinalizerInterceptorContextRef<'_>) {
        let (messages, end) = match end::result(context) {
            Ok(output) => match output.downcast_ref::<ReceiveMessageOutput>() {
                Some(output) if !output.messages().is_empty() => {
                    (output.messages(), End::Completed)
                }
                _ => return,
            },
            Err(end) => (<_>::default(), end),
        };
        let since = (self.parent, self.started);
        let mut span = settings.config.send_since(since, SpanKind::Client, || {
            let mut span = self.place.describe(RECEIVE, RECEIVE);
            span.set(semconv::MESSAGING_BATCH_MESSAGE_COUNT, count(messages.len()));
            span.reserve_links(messages.len());
            for message in messages {
                link(settings, &mut span, message);
            }
            span
        });
        if let Some(measure) = self.measure {
            measure.messages(messages.len() as u64);
            span.measured(measure);
        }
        end::tell_request(&span, context);
        span.end(end);
    }
}

fn link(settings: &Settings, span: &mut Description, message: &Message) {
    // Counted by whoever processes it.
    let sender = settings.config.extract_link_again(&MessageContext::of(message, settings));
    let Some(creation) = sender.link() else { return };
    let id = message.message_id.clone();
    let id = id.map(|id| KeyValue::new(semconv::MESSAGING_MESSAGE_ID, id));
    span.link_with(creation.clone(), id.into_iter().collect());
}

/// Asks for what a context travels by, beside what the caller asks for.
#[expect(deprecated, reason = "callers still use it, and of two lists only one holds")]
fn ask(settings: &Settings, input: &mut ReceiveMessageInput) {
    let fields = settings.config.fields();
    let mut header = settings.trace_header.is_read();
    let names = input.message_attribute_names.get_or_insert_default();
    // A prefix of the caller's may cover a name, which does no harm.
    let has_all = names.iter().any(|name| name == ALL || name == ALL_BY_PREFIX);
    for field in fields {
        if field == XRAY {
            header = true;
        } else if !has_all && !names.contains(&field) {
            names.push(field);
        }
    }
    let header = header.then_some(MessageSystemAttributeName::AwsTraceHeader);
    // SQS knows the same list by two names, of which the caller's holds.
    match (&mut input.message_system_attribute_names, deprecated(&mut input.attribute_names)) {
        (None, Some(names)) if names.contains(&QueueAttributeName::All) => {}
        (None, Some(names)) => {
            for name in TOLD.iter().chain(&header) {
                let name = QueueAttributeName::from(name.as_str());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        (names, _) => {
            let names = names.get_or_insert_default();
            if names.contains(&MessageSystemAttributeName::All) {
                return;
            }
            for name in TOLD.iter().chain(&header) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
    }
}

fn deprecated(names: &mut Option<Vec<QueueAttributeName>>) -> Option<&mut Vec<QueueAttributeName>> {
    names.as_mut().filter(|names| !names.is_empty())
}
