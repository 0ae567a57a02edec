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

use crate::extract::XRAY;
use crate::settings::Settings;

/// SQS refuses a message with more.
const MAX_ATTRIBUTES: usize = 10;

/// What queues allowed at the most until 2025, and many still do.
const OLD_MAX_SIZE: usize = 256 << 10;

const TEXT: &str = "String";
const BAGGAGE: &str = "baggage";
const TRACESTATE: &str = "tracestate";

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
        let Fields(mut fields) = fields;
        // Traces first. Of those that travel in several fields one alone means nothing.
        fields.sort_by_key(|(name, _)| match name.as_str() {
            BAGGAGE => 2,
            TRACESTATE => 1,
            _ => 0,
        });
        let span = sent(&fields, context);
        let [message, batch] = sizes;
        self.clear_stale(&fields, settings, [message, batch]);
        let mut has_room = |this: &Self, fields: &[(HeaderName, String)]| {
            let held = this.attributes.as_ref().map_or(0, HashMap::len);
            let more =
                fields.iter().map(|(name, value)| name.as_str().len() + TEXT.len() + value.len());
            let more = more.sum();
            let fits = held + fields.len() <= MAX_ATTRIBUTES
                && message.has_room(more)
                && batch.has_room(more);
            if fits {
                message.bytes += more;
                batch.bytes += more;
            }
            fits
        };
        let of_xray = |(name, _): &(HeaderName, String)| name.as_str() == XRAY;
        let speaks_xray = fields.iter().any(of_xray);
        fields.retain(|field| !of_xray(field) && is_attribute(&field.0));
        let traces = fields.iter().filter(|field| is_of_trace(field)).count();
        let others = fields.split_off(traces);
        let has_trace = !fields.is_empty() && has_room(self, &fields);
        if has_trace {
            fields.into_iter().for_each(|(name, value)| self.insert(&name, value));
        }
        // What belongs to a trace doesn't travel without it.
        if has_trace || speaks_xray || span.is_none() {
            for field in others {
                if !self.holds(&field.0) && has_room(self, std::slice::from_ref(&field)) {
                    self.insert(&field.0, field.1);
                }
            }
        }
        let setting = settings.trace_header;
        let is_wanted = setting.is_always_written() || (!has_trace && setting.is_read());
        if let Some(span) = span.filter(|_| speaks_xray || is_wanted) {
            self.put_header(&span);
        }
    }

    fn holds(&self, name: &HeaderName) -> bool {
        self.attributes.iter().flatten().any(|(held, _)| held.eq_ignore_ascii_case(name.as_str()))
    }

    fn insert(&mut self, name: &HeaderName, value: String) {
        if let Some(value) = V::of_text(value) {
            self.attributes.get_or_insert_default().insert(name.as_str().to_owned(), value);
        }
    }

    /// Removes the context that another has left: all of it. Without a trace in it, whatever bears
    /// such a name is the user's.
    fn clear_stale(
        &mut self,
        fields: &[(HeaderName, String)],
        settings: &Settings,
        sizes: [&mut Size; 2],
    ) {
        let mut traces = fields.iter().filter(|field| is_of_trace(field));
        if !traces.any(|(name, _)| self.holds(name)) {
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

fn is_of_trace((name, _): &(HeaderName, String)) -> bool {
    ![BAGGAGE, TRACESTATE].contains(&name.as_str())
}

/// The span that leaves: the sender's, or a new id in an unsampled trace. `None` where no trace is to
/// leave: a service may speak nothing at all.
fn sent(fields: &[(HeaderName, String)], context: &Context) -> Option<SpanContext> {
    if !fields.iter().any(is_of_trace) {
        return None;
    }
    let own = context.span().span_context().clone();
    let printed = fields.iter().find(|(name, _)| name.as_str() == "traceparent");
    let printed = printed.and_then(|(_, value)| traceparent::parse(value.as_bytes()).ok());
    match printed {
        Some(printed) => Some(printed.into_span_context(own.trace_state().clone())),
        None => own.is_valid().then_some(own),
    }
}

/// What is to be sent, before it is known what there is room for.
#[derive(Default)]
struct Fields(Vec<(HeaderName, String)>);

impl WriteCarrier for Fields {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        self.remove(name);
        self.0.push((name.clone(), value.to_owned()));
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|(held, _)| held != name);
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
