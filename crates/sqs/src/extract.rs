//! What came with a message.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use http::HeaderName;
use throughline_core::ReadCarrier;
use throughline_core::codec::{traceparent, xray};

use crate::envelope::Envelope;
use crate::settings::{Settings, TraceHeader};

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
/// What X-Ray's propagators call the header that SQS calls `AWSTraceHeader`.
pub(crate) const XRAY: &str = "x-amzn-trace-id";

/// The context of a message, to read from: its attributes or, where it has none, those in the
/// envelope of SNS, and `AWSTraceHeader`.
#[derive(Debug)]
pub(crate) struct MessageContext<'a> {
    message: &'a Message,
    envelope: Envelope<'a>,
    header: Option<&'a str>,
    /// The header as a `traceparent`, where it is that by which the message is continued.
    translated: Option<String>,
    /// Whether the header tells of a trace that the attributes don't know.
    is_elsewhere: bool,
}

impl<'a> MessageContext<'a> {
    pub(crate) fn of(message: &'a Message, settings: &Settings) -> Self {
        let is_bare = message.message_attributes.as_ref().is_none_or(HashMap::is_empty);
        let envelope = match &message.body {
            Some(body) if is_bare && settings.sns_envelopes => Envelope::read(body),
            _ => Envelope::default(),
        };
        let header = trace_header(message).filter(|_| settings.trace_header.is_read());
        let mut context =
            MessageContext { message, envelope, header, translated: None, is_elsewhere: false };
        if let Some(header) = header {
            context.translate(header, settings.trace_header);
        }
        context
    }

    /// Lets the header speak, where it is to.
    fn translate(&mut self, header: &str, setting: TraceHeader) {
        let Some(span) = xray::parse(header.as_bytes()).ok().and_then(|it| it.span_context())
        else {
            return;
        };
        let (mut own, mut count) = (None, 0);
        self.each(|name, value| {
            if name.eq_ignore_ascii_case(TRACEPARENT) {
                own = Some(value);
                count += 1;
            }
        });
        let own = own.filter(|_| count == 1).and_then(|value| traceparent::parse(value).ok());
        let is_same = own
            .as_ref()
            .is_some_and(|own| (own.trace_id, own.span_id) == (span.trace_id(), span.span_id()));
        // Of the same span the attributes tell more.
        if is_same || (own.is_some() && !setting.is_preferred()) {
            return;
        }
        self.is_elsewhere = own.is_none_or(|own| own.trace_id != span.trace_id());
        self.translated = Some(traceparent::print(&span).as_str().to_owned());
    }

    /// Every attribute that may be of a context, in no order.
    fn each<'c>(&'c self, mut each: impl FnMut(&'c str, &'c [u8])) {
        for (name, value) in self.message.message_attributes.iter().flatten() {
            if let Some(value) = text(value) {
                each(name, value);
            }
        }
        self.envelope.iter().for_each(|(name, value)| each(name, value.as_bytes()));
    }
}

/// The value of `AWSTraceHeader`.
fn trace_header(message: &Message) -> Option<&str> {
    let attributes = message.attributes.as_ref()?;
    attributes.get(&MessageSystemAttributeName::AwsTraceHeader).map(String::as_str)
}

fn text(value: &MessageAttributeValue) -> Option<&[u8]> {
    match (&value.string_value, &value.binary_value) {
        (Some(text), _) => Some(text.as_bytes()),
        (None, Some(bytes)) => Some(bytes.as_ref()),
        (None, None) => None,
    }
}

impl ReadCarrier for MessageContext<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        self.visit_each([name], |_, value| each(value));
    }

    fn visit_each<'a, const N: usize>(
        &'a self,
        names: [&HeaderName; N],
        mut each: impl FnMut(usize, &'a [u8]),
    ) {
        let place =
            |held: &str| names.iter().position(|name| held.eq_ignore_ascii_case(name.as_str()));
        if let (Some(place), Some(header)) = (place(XRAY), self.header) {
            each(place, header.as_bytes());
        }
        if let (Some(place), Some(translated)) = (place(TRACEPARENT), &self.translated) {
            each(place, translated.as_bytes());
        }
        self.each(|held, value| {
            if self.translated.is_some()
                && (held.eq_ignore_ascii_case(TRACEPARENT)
                    || self.is_elsewhere && held.eq_ignore_ascii_case(TRACESTATE))
            {
                return;
            }
            if let Some(place) = place(held) {
                each(place, value);
            }
        });
    }

    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.each(|name, _| names.push(name));
        if self.translated.is_some() {
            names.retain(|name| !name.eq_ignore_ascii_case(TRACEPARENT));
            names.push(TRACEPARENT);
        }
        names.extend(self.header.map(|_| XRAY));
        names
    }
}
