//! What goes out with a message, as far as it has room.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use http::HeaderName;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::codec::{traceparent, xray};
use throughline_core::messaging::is_copied;
use throughline_core::{ReadCarrier, WriteCarrier};

use crate::extract::{TRACEPARENT, TRACESTATE, XRAY};
use crate::settings::Settings;

/// SQS refuses a message with more.
const MAX_ATTRIBUTES: usize = 10;

/// What queues allowed at the most until 2025, and many still do.
const OLD_MAX_SIZE: usize = 256 << 10;

const TEXT: &str = "String";
const BAGGAGE: &str = "baggage";

type Headers = HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>;

/// The value of an attribute, of SQS or of SNS.
pub(crate) trait Attribute: Sized {
    fn of_text(value: String) -> Option<Self>;
    fn bytes(&self) -> &[u8];
    fn data_type(&self) -> &str;
}

macro_rules! attribute {
    ($value:ty) => {
        impl Attribute for $value {
            fn of_text(value: String) -> Option<Self> {
                Self::builder().data_type(TEXT).string_value(value).build().ok()
            }

            fn bytes(&self) -> &[u8] {
                match (&self.string_value, &self.binary_value) {
                    (Some(text), _) => text.as_bytes(),
                    (None, Some(bytes)) => bytes.as_ref(),
                    (None, None) => &[],
                }
            }

            fn data_type(&self) -> &str {
                &self.data_type
            }
        }
    };
}
attribute!(MessageAttributeValue);
#[cfg(feature = "sns")]
attribute!(aws_sdk_sns::types::MessageAttributeValue);

/// How long a message is, or all of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    max: usize,
}

impl Size {
    pub(crate) fn new(bytes: usize, settings: &Settings) -> Self {
        Size { bytes, max: settings.max_message_size }
    }

    /// Whether more may be added: it never takes a message over a limit that it keeps by itself.
    fn has_room(self, more: usize) -> bool {
        let keeps = |max| self.bytes > max || self.bytes + more <= max;
        keeps(self.max) && keeps(OLD_MAX_SIZE)
    }
}

/// A message that is about to leave.
pub(crate) struct Outgoing<'a, V> {
    pub(crate) attributes: &'a mut Option<HashMap<String, V>>,
    /// Where `AWSTraceHeader` goes; SNS has no place for it.
    pub(crate) headers: Option<&'a mut Option<Headers>>,
}

/// How many bytes SQS counts.
pub(crate) fn size_of<V: Attribute>(body: usize, attributes: Option<&HashMap<String, V>>) -> usize {
    let attributes = attributes.into_iter().flatten();
    body + attributes.map(|(name, value)| size_of_attribute(name, value)).sum::<usize>()
}

fn size_of_attribute<V: Attribute>(name: &str, value: &V) -> usize {
    name.len() + value.data_type().len() + value.bytes().len()
}

impl<V: Attribute> Outgoing<'_, V> {
    fn header(&self) -> Option<&str> {
        let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
        self.headers.as_ref()?.as_ref()?.get(&name)?.string_value()
    }

    /// The context that the message was created in, elsewhere or before: the caller has put it in.
    pub(crate) fn creation(&self, settings: &Settings) -> Option<Context> {
        if self.attributes.as_ref().is_none_or(HashMap::is_empty) && self.header().is_none() {
            return None;
        }
        let header = self.header().filter(|_| settings.trace_header.is_preferred());
        let header = header.and_then(|it| xray::parse(it.as_bytes()).ok()?.span_context());
        match header {
            Some(found) if is_copied(&found) => None,
            Some(found) => Some(Context::new().with_remote_span_context(found)),
            None => settings.config.creation_context(self),
        }
    }

    /// Puts a context in, as much of it as there is room for. `sizes` are those that grow by it: the
    /// message's, and the batch's.
    pub(crate) fn put(&mut self, context: &Context, settings: &Settings, sizes: [&mut Size; 2]) {
        let mut fields = Fields::default();
        settings.config.inject(context, &mut fields);
        let [message, batch] = sizes;
        self.clear_stale(&fields, settings, [message, batch]);
        let is_traced = fields.has_trace();
        let speaks_xray = fields.formats.iter().any(|(name, _)| name.as_str() == XRAY);
        // What travels elsewhere, and what no attribute can be called.
        fields.formats.retain(|(name, _)| name.as_str() != XRAY && is_attribute(name));
        let mut has_room = |this: &Self, fields: usize, more: usize| {
            let held = this.attributes.as_ref().map_or(0, HashMap::len);
            let fits =
                held + fields <= MAX_ATTRIBUTES && message.has_room(more) && batch.has_room(more);
            if fits {
                message.bytes += more;
                batch.bytes += more;
            }
            fits
        };
        let (count, size) = fields.size_of_trace();
        let has_trace = count > 0 && has_room(self, count, size);
        let Fields { traceparent, formats, tracestate, baggage } = fields;
        let setting = settings.trace_header;
        let is_wanted = setting.is_always_written() || (!has_trace && setting.is_read());
        let is_wanted = is_wanted || speaks_xray;
        // What was printed a moment ago is read again only where that is asked for.
        let span = match is_traced && (is_wanted || !has_trace) {
            true => sent(traceparent.as_deref(), context),
            false => None,
        };
        if has_trace {
            if let Some(value) = traceparent {
                self.insert(TRACEPARENT, value);
            }
            formats.into_iter().for_each(|(name, value)| self.insert(name.as_str(), value));
        }
        // What belongs to a trace doesn't travel without it.
        if has_trace || speaks_xray || span.is_none() {
            for (name, value) in [(TRACESTATE, tracestate), (BAGGAGE, baggage)] {
                let value = value.filter(|_| !self.holds(name));
                if let Some(value) = value.filter(|it| has_room(self, 1, size_of_field(name, it))) {
                    self.insert(name, value);
                }
            }
        }
        if let Some(span) = span.filter(|_| is_wanted) {
            self.put_header(&span);
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.attributes.iter().flatten().any(|(held, _)| held.eq_ignore_ascii_case(name))
    }

    fn insert(&mut self, name: &str, value: String) {
        if let Some(value) = V::of_text(value) {
            self.attributes.get_or_insert_default().insert(name.to_owned(), value);
        }
    }

    /// Removes the context that another has left: all of it. Without a trace in it, whatever bears
    /// such a name is the user's.
    fn clear_stale(&mut self, fields: &Fields, settings: &Settings, sizes: [&mut Size; 2]) {
        let mut formats = fields.formats.iter().map(|(name, _)| name.as_str());
        let holds_parent = fields.traceparent.is_some() && self.holds(TRACEPARENT);
        if !holds_parent && !formats.any(|name| self.holds(name)) {
            return;
        }
        let Some(attributes) = self.attributes else { return };
        let names = settings.config.fields();
        let mut freed = 0;
        attributes.retain(|held, value| {
            let is_stale = names.iter().any(|name| held.eq_ignore_ascii_case(name));
            if is_stale {
                freed += size_of_attribute(held, value);
            }
            !is_stale
        });
        for size in sizes {
            size.bytes = size.bytes.saturating_sub(freed);
        }
    }

    /// One that the caller has set is his own, unless it is of this trace.
    fn put_header(&mut self, span: &SpanContext) {
        let held = self.header().map(|held| xray::parse(held.as_bytes()).ok());
        let is_theirs = held.is_some_and(|held| {
            held.and_then(|held| held.ids).is_none_or(|(trace, _)| trace != span.trace_id())
        });
        let Some(headers) = &mut self.headers else { return };
        let value = xray::print(span, None, None);
        let value = MessageSystemAttributeValue::builder().data_type(TEXT).string_value(value);
        if let (false, Ok(value)) = (is_theirs, value.build()) {
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            headers.get_or_insert_default().insert(name, value);
        }
    }
}

/// What SQS takes for a name.
fn is_attribute(name: &HeaderName) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    name.as_str().bytes().all(is_plain)
}

/// The span that leaves: the sender's, or a new id in an unsampled trace.
fn sent(traceparent: Option<&str>, context: &Context) -> Option<SpanContext> {
    let own = context.span().span_context().clone();
    let printed = traceparent.and_then(|value| traceparent::parse(value.as_bytes()).ok());
    match printed {
        Some(printed) => Some(printed.into_span_context(own.trace_state().clone())),
        None => own.is_valid().then_some(own),
    }
}

fn size_of_field(name: &str, value: &str) -> usize {
    name.len() + TEXT.len() + value.len()
}

/// What is to be sent, before it is known what there is room for.
#[derive(Default)]
struct Fields {
    traceparent: Option<String>,
    /// Those of other formats. Where one travels in several fields, one alone means nothing.
    formats: Vec<(HeaderName, String)>,
    tracestate: Option<String>,
    baggage: Option<String>,
}

impl Fields {
    fn has_trace(&self) -> bool {
        self.traceparent.is_some() || !self.formats.is_empty()
    }

    /// How many fields a trace travels in, and how many bytes SQS counts for them.
    fn size_of_trace(&self) -> (usize, usize) {
        let parent = self.traceparent.iter().map(|value| size_of_field(TRACEPARENT, value));
        let formats = self.formats.iter();
        let formats = formats.map(|(name, value)| size_of_field(name.as_str(), value));
        let size = parent.chain(formats).sum();
        (usize::from(self.traceparent.is_some()) + self.formats.len(), size)
    }

    fn known(&mut self, name: &HeaderName) -> Option<&mut Option<String>> {
        match name.as_str() {
            TRACEPARENT => Some(&mut self.traceparent),
            TRACESTATE => Some(&mut self.tracestate),
            BAGGAGE => Some(&mut self.baggage),
            _ => None,
        }
    }
}

impl WriteCarrier for Fields {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        match self.known(name) {
            Some(field) => *field = Some(value.to_owned()),
            None => {
                self.remove(name);
                self.formats.push((name.clone(), value.to_owned()));
            }
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        match self.known(name) {
            Some(field) => *field = None,
            None => self.formats.retain(|(held, _)| held != name),
        }
    }
}

impl<V: Attribute> ReadCarrier for Outgoing<'_, V> {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        if name.as_str() == XRAY {
            self.header().into_iter().for_each(|header| each(header.as_bytes()));
        }
        for (held, value) in self.attributes.iter().flatten() {
            if held.eq_ignore_ascii_case(name.as_str()) {
                each(value.bytes());
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.attributes.iter().flatten().map(|(name, _)| name.as_str()).collect()
    }
}
