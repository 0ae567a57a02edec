//! The spans of messages that are sent.

use aws_sdk_sqs::config::ConfigBag;
use aws_sdk_sqs::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sqs::operation::send_message::{SendMessageInput, SendMessageOutput};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchInput, SendMessageBatchOutput};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use throughline_core::{BoundarySpan, Description, End, semconv};

use super::end::{self, Refused};
use super::span::{CREATE, Place, SEND, count};
use crate::inject::{Attribute, Outgoing, Size, size_of};
use crate::settings::Settings;

/// A call that sends.
#[derive(Debug)]
pub(super) struct Sending {
    span: BoundarySpan,
    /// Of a batch: which entry it is, and the span it was created in.
    entries: Vec<(String, BoundarySpan)>,
    batch: Option<usize>,
}

impl Sending {
    /// `None` for a call that sends nothing.
    pub(super) fn start(settings: &Settings, input: &mut Input, cfg: &ConfigBag) -> Option<Self> {
        if let Some(input) = input.downcast_mut::<SendMessageInput>() {
            return Some(Sending::one(settings, input, cfg));
        }
        let input = input.downcast_mut::<SendMessageBatchInput>()?;
        Some(Sending::batch(settings, input, cfg))
    }

    fn one(settings: &Settings, input: &mut SendMessageInput, cfg: &ConfigBag) -> Self {
        let place = || Place::queue(input.queue_url.as_deref(), cfg);
        let body = input.message_body.as_ref().map_or(0, String::len);
        let size = size_of(body, input.message_attributes.as_ref());
        let mut message = Outgoing {
            attributes: &mut input.message_attributes,
            headers: Some(&mut input.message_system_attributes),
        };
        let span = single(settings, &mut message, size, place);
        Sending { span, entries: Vec::new(), batch: None }
    }

    fn batch(settings: &Settings, input: &mut SendMessageBatchInput, cfg: &ConfigBag) -> Self {
        let place = Place::queue(input.queue_url.as_deref(), cfg);
        let entries = input.entries.iter_mut().flatten();
        let entries = entries.map(|entry| Entry {
            id: &entry.id,
            size: size_of(entry.message_body.len(), entry.message_attributes.as_ref()),
            message: Outgoing {
                attributes: &mut entry.message_attributes,
                headers: Some(&mut entry.message_system_attributes),
            },
        });
        several(settings, entries.collect(), &place)
    }

    pub(super) fn end(self, context: &FinalizerInterceptorContextRef<'_>) {
        end::tell_request(&self.span, context);
        match end::result(context) {
            Ok(output) => self.answered(output),
            Err(end) => {
                for (_, span) in self.entries {
                    span.end(end.clone());
                }
                self.span.end(end);
            }
        }
    }

    fn answered(mut self, output: &Output) {
        if let Some(output) = output.downcast_ref::<SendMessageOutput>() {
            tell_message(&self.span, output.message_id());
        }
        let Some(entries) = self.batch else { return self.span.end(End::Completed) };
        let mut refused = Vec::new();
        if let Some(output) = output.downcast_ref::<SendMessageBatchOutput>() {
            for sent in output.successful() {
                if let Some(span) = self.take(sent.id()) {
                    tell_message(&span, Some(sent.message_id()));
                    span.end(End::Completed);
                }
            }
            refused = output
                .failed()
                .iter()
                .map(|it| Refused { id: it.id(), code: it.code(), message: it.message() })
                .collect();
        }
        self.settle(&refused, entries);
    }

    /// Ends the spans of those that were refused, and of the batch.
    fn settle(mut self, refused: &[Refused<'_>], entries: usize) {
        for refused in refused {
            if let Some(span) = self.take(refused.id) {
                span.end(refused.end());
            }
        }
        // The service has to tell of each.
        for (_, span) in self.entries {
            span.end(End::failed(semconv::OTHER));
        }
        self.span.end(end::of_batch(refused, entries));
    }

    fn take(&mut self, id: &str) -> Option<BoundarySpan> {
        let place = self.entries.iter().position(|(held, _)| held == id)?;
        Some(self.entries.swap_remove(place).1)
    }
}

fn tell_message(span: &BoundarySpan, id: Option<&str>) {
    if let Some(id) = id.filter(|_| span.is_recording()) {
        span.set_attribute(semconv::MESSAGING_MESSAGE_ID, id.to_owned());
    }
}

/// Starts the span of a message, and puts it in, unless the message has a context already.
fn single<V: Attribute>(
    settings: &Settings,
    message: &mut Outgoing<'_, V>,
    size: usize,
    place: impl FnOnce() -> Place,
) -> BoundarySpan {
    let creation = message.creation(settings);
    let kind = if creation.is_some() { SpanKind::Client } else { SpanKind::Producer };
    let is_created = creation.is_some();
    let span = settings.config.send(kind, || {
        let mut span = place().describe(SEND, SEND);
        creation.into_iter().for_each(|it| span.link(it));
        span
    });
    if !is_created {
        let (mut message_size, mut all) = (Size::new(size, settings), Size::new(size, settings));
        message.put(span.context(), settings, [&mut message_size, &mut all]);
    }
    span
}

/// An entry of a batch.
struct Entry<'a, V> {
    id: &'a str,
    size: usize,
    message: Outgoing<'a, V>,
}

/// Starts the spans of a batch, and puts into each entry the one in which it is created.
fn several<V: Attribute>(
    settings: &Settings,
    mut entries: Vec<Entry<'_, V>>,
    place: &Place,
) -> Sending {
    let messages = entries.len();
    let mut all = Size::new(entries.iter().map(|entry| entry.size).sum(), settings);
    let mut links: Vec<SpanContext> = Vec::new();
    let mut created = Vec::new();
    let mut uncreated = Vec::new();
    for mut entry in entries.drain(..) {
        if let Some(creation) = entry.message.creation(settings) {
            links.push(creation);
        } else if settings.create_spans {
            let span = settings.config.send(SpanKind::Producer, || place.describe(CREATE, CREATE));
            let mut size = Size::new(entry.size, settings);
            entry.message.put(span.context(), settings, [&mut size, &mut all]);
            links.push(span.context().span().span_context().clone());
            created.push((entry.id.to_owned(), span));
        } else {
            uncreated.push(entry);
        }
    }
    let kind = if uncreated.is_empty() { SpanKind::Client } else { SpanKind::Producer };
    let span = settings.config.send(kind, || {
        let mut span: Description = place.describe(SEND, SEND);
        span.set(semconv::MESSAGING_BATCH_MESSAGE_COUNT, count(messages));
        links.into_iter().filter(SpanContext::is_valid).for_each(|it| span.link(it));
        span
    });
    for mut entry in uncreated {
        let mut size = Size::new(entry.size, settings);
        entry.message.put(span.context(), settings, [&mut size, &mut all]);
    }
    Sending { span, entries: created, batch: Some(messages) }
}
