//! The spans of messages that are sent.

use std::cell::LazyCell;

use aws_sdk_sqs::config::ConfigBag;
use aws_sdk_sqs::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sqs::operation::send_message::{SendMessageInput, SendMessageOutput};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchInput, SendMessageBatchOutput};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use throughline_core::messaging;
use throughline_core::metrics::{Measure, Operation};
use throughline_core::{BoundarySpan, End, semconv};

use super::end::{self, Refused};
use super::no_room;
use super::span::{CREATE, Place, SEND, called, count};
use crate::inject::Outgoing;
use crate::room::{Attribute, Size, size_of};
use crate::settings::Settings;

/// A call that sends.
#[derive(Debug)]
pub(super) struct Sending {
    span: BoundarySpan,
    /// Of a batch: which entry it is, and the span it was created in.
    created: Vec<(String, BoundarySpan)>,
    /// How many entries a batch has.
    entries: Option<usize>,
    measure: Option<Measure>,
    tells_server: bool,
}

/// An entry of a batch.
pub(super) struct Entry<'a, V> {
    pub(super) id: &'a str,
    pub(super) size: usize,
    pub(super) message: Outgoing<'a, V>,
}

/// What the service has said.
pub(super) enum Answer<'a> {
    /// The message's id.
    One(Option<&'a str>),
    /// Which entry has which id, and which was refused.
    Batch { sent: Vec<(&'a str, Option<&'a str>)>, refused: Vec<Refused<'a>> },
}

/// `None` for a call that sends nothing to a queue.
pub(super) fn start(settings: &Settings, input: &mut Input, cfg: &ConfigBag) -> Option<Sending> {
    if let Some(input) = input.downcast_mut::<SendMessageInput>() {
        let body = input.message_body.as_ref().map_or(0, String::len);
        let size = size_of(body, input.message_attributes.as_ref());
        let mut message = Outgoing {
            attributes: &mut input.message_attributes,
            headers: Some(&mut input.message_system_attributes),
        };
        let place = || Place::queue(input.queue_url.as_deref(), cfg);
        return Some(Sending::one(settings, &mut message, size, place));
    }
    let input = input.downcast_mut::<SendMessageBatchInput>()?;
    let place = Place::queue(input.queue_url.as_deref(), cfg);
    let entries = input.entries.as_deref_mut().unwrap_or_default();
    let entries = entries.iter_mut().map(|entry| Entry {
        id: &entry.id,
        size: size_of(entry.message_body.len(), entry.message_attributes.as_ref()),
        message: Outgoing {
            attributes: &mut entry.message_attributes,
            headers: Some(&mut entry.message_system_attributes),
        },
    });
    Some(Sending::batch(settings, entries.collect(), &place))
}

fn answer(output: &Output) -> Option<Answer<'_>> {
    if let Some(output) = output.downcast_ref::<SendMessageOutput>() {
        return Some(Answer::One(output.message_id()));
    }
    if let Some(output) = output.downcast_ref::<SendMessageBatchOutput>() {
        let sent = output.successful().iter();
        let refused = output.failed().iter();
        return Some(Answer::Batch {
            sent: sent.map(|it| (it.id(), Some(it.message_id()))).collect(),
            refused: refused
                .map(|it| Refused { id: it.id(), code: it.code(), message: it.message() })
                .collect(),
        });
    }
    #[cfg(feature = "sns")]
    return super::publish::answer(output);
    #[cfg(not(feature = "sns"))]
    None
}

impl Sending {
    /// Starts the span of a message, and puts it in, unless the message has a context already.
    pub(super) fn one<V: Attribute>(
        settings: &Settings,
        message: &mut Outgoing<'_, V>,
        size: usize,
        place: impl FnOnce() -> Place,
    ) -> Self {
        let creation = message.creation(settings);
        let is_created = creation.is_some();
        // Nobody may want to know.
        let place = LazyCell::new(place);
        let describe = || place.describe(SEND, SEND);
        let mut span = match creation {
            Some(created) => messaging::send_created(&settings.config, created, describe),
            None => settings.config.send(SpanKind::Producer, describe),
        };
        let measure = measure(settings, &mut span, 1, || &place);
        if !is_created {
            let size = Size::of_message(size, settings);
            if !message.put(span.context(), settings, [&mut size.clone(), &mut size.clone()]) {
                no_room::tell(&place);
            }
        }
        let tells_server = !span.is_recording() || place.tells_server();
        Sending { span, created: Vec::new(), entries: None, measure, tells_server }
    }

    /// Starts the spans of a batch, and puts into each entry the one in which it is created.
    pub(super) fn batch<V: Attribute>(
        settings: &Settings,
        entries: Vec<Entry<'_, V>>,
        place: &Place,
    ) -> Self {
        let messages = entries.len();
        let mut all = Size::of_batch(entries.iter().map(|entry| entry.size).sum());
        let mut put = |entry: &mut Entry<'_, V>, context: &Context| {
            let mut size = Size::of_message(entry.size, settings);
            if !entry.message.put(context, settings, [&mut size, &mut all]) {
                no_room::tell(place);
            }
        };
        let mut links = Vec::with_capacity(messages);
        let (mut created, mut rest) = (Vec::new(), Vec::new());
        // Whoever relays what others have created, of any number of traces, is in none of them.
        let mut relays = messages > 0;
        for mut entry in entries {
            if let Some(creation) = entry.message.creation(settings) {
                links.push(creation.span().span_context().clone());
                continue;
            }
            relays = false;
            if settings.create_spans {
                let describe = || place.describe(CREATE, CREATE);
                let span = settings.config.send(SpanKind::Producer, describe);
                put(&mut entry, span.context());
                // Where none was started there is none to link to, and none to end.
                if !span.is_carried() {
                    links.push(span.context().span().span_context().clone());
                }
                if span.is_recording() {
                    created.reserve(messages - created.len());
                    created.push((entry.id.to_owned(), span));
                }
            } else {
                rest.push(entry);
            }
        }
        let kind = if rest.is_empty() { SpanKind::Client } else { SpanKind::Producer };
        let mut span = settings.config.send(kind, || {
            let mut span = place.describe(SEND, SEND);
            span.set(semconv::MESSAGING_BATCH_MESSAGE_COUNT, count(messages));
            if relays && !Context::map_current(|current| current.span().span_context().is_valid()) {
                span.set(semconv::THROUGHLINE_ROOT, SEND);
            }
            span.reserve_links(links.len());
            links.into_iter().filter(SpanContext::is_valid).for_each(|it| span.link(it));
            span
        });
        let measure = measure(settings, &mut span, messages, || place);
        for mut entry in rest {
            put(&mut entry, span.context());
        }
        let tells_server = place.tells_server();
        Sending { span, created, entries: Some(messages), measure, tells_server }
    }

    pub(super) fn end(self, context: &FinalizerInterceptorContextRef<'_>, cfg: &ConfigBag) {
        end::tell_request(&self.span, context);
        if !self.tells_server
            && self.span.is_recording()
            && let Some(server) = called(cfg)
        {
            self.span.set_attribute(semconv::SERVER_ADDRESS, server.address);
            if let Some(port) = server.port {
                self.span.set_attribute(semconv::SERVER_PORT, i64::from(port));
            }
        }
        match end::result(context) {
            Ok(output) => self.answered(answer(output)),
            Err(end) => {
                self.created.into_iter().for_each(|(_, span)| span.end(end.clone()));
                self.span.end(end);
            }
        }
    }

    fn answered(mut self, answer: Option<Answer<'_>>) {
        let end = match answer {
            None => End::Completed,
            Some(Answer::One(id)) => {
                tell_message(&self.span, id);
                End::Completed
            }
            Some(Answer::Batch { sent, refused }) => {
                for (entry, id) in sent {
                    if let Some(span) = self.take(entry) {
                        tell_message(&span, id);
                        span.end(End::Completed);
                    }
                }
                for refused in &refused {
                    if let Some(span) = self.take(refused.id) {
                        span.end(refused.end());
                    }
                }
                let entries = self.entries.unwrap_or_default();
                if let Some(measure) = self.measure.filter(|_| refused.len() < entries) {
                    measure.failed_messages(refused.len() as u64);
                }
                end::of_batch(&refused, entries)
            }
        };
        // Of these the service has said nothing, though it should.
        self.created.into_iter().for_each(|(_, span)| span.end(End::failed(semconv::OTHER)));
        self.span.end(end);
    }

    fn take(&mut self, entry: &str) -> Option<BoundarySpan> {
        let place = self.created.iter().position(|(held, _)| held == entry)?;
        Some(self.created.swap_remove(place).1)
    }
}

fn measure<'a>(
    settings: &Settings,
    span: &mut BoundarySpan,
    messages: usize,
    place: impl FnOnce() -> &'a Place,
) -> Option<Measure> {
    let config = &settings.config;
    if !config.is_measured() {
        return None;
    }
    let measure = place().measure(config, Operation::MessagingSend, SEND)?;
    measure.messages(messages as u64);
    span.measured(measure.clone());
    Some(measure)
}

fn tell_message(span: &BoundarySpan, id: Option<&str>) {
    if let Some(id) = id.filter(|_| span.is_recording()) {
        span.set_attribute(semconv::MESSAGING_MESSAGE_ID, id.to_owned());
    }
}
