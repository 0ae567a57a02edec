//! What goes out with a message, as far as it has room.

use std::collections::HashMap;

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use http::HeaderName;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::codec::{traceparent, xray};
use throughline_core::messaging::is_copied;
use throughline_core::{ReadCarrier, WriteCarrier};

use crate::extract::XRAY;
use crate::room::{Attribute, MAX_ATTRIBUTES, Size, TEXT, size_of_attribute};
use crate::settings::Settings;

const TRACEPARENT: &str = "traceparent";
const BAGGAGE: &str = "baggage";
const TRACESTATE: &str = "tracestate";

type Headers = HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>;

/// A message that is about to leave.
pub(crate) struct Outgoing<'a, V> {
    pub(crate) attributes: &'a mut Option<HashMap<String, V>>,
    /// Where `AWSTraceHeader` goes; SNS has no place for it.
    pub(crate) headers: Option<&'a mut Option<Headers>>,
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

    /// Puts a context in, as much of it as there is room for; without any for its trace that ends
    /// here, and `false` is returned. `sizes` are those that grow by it: the message's, and the batch's.
    pub(crate) fn put(
        &mut self,
        context: &Context,
        settings: &Settings,
        sizes: [&mut Size; 2],
    ) -> bool {
        let put = |fields| self.put_fields(fields, context, settings, sizes);
        settings.config.inject_fitting(context, Fields::default(), put)
    }

    fn put_fields(
        &mut self,
        Fields(mut fields): Fields,
        context: &Context,
        settings: &Settings,
        [message, batch]: [&mut Size; 2],
    ) -> bool {
        let span = sent(&fields, context);
        self.clear_stale(&fields, settings, [message, batch]);
        let of_xray = |(name, _): &(HeaderName, String)| name.as_str() == XRAY;
        let speaks_xray = fields.iter().any(of_xray);
        fields.retain(|field| !of_xray(field) && is_attribute(&field.0));
        fields.sort_by_key(|(name, _)| Part::of(name));
        // What belongs to a trace doesn't travel without it.
        let (mut has_trace, mut has_w3c) = (false, span.is_none());
        for fields in fields.chunk_by_mut(|(one, _), (other, _)| Part::of(one) == Part::of(other)) {
            let Some(part) = fields.first().map(|(name, _)| Part::of(name)) else { continue };
            let is_wanted = match part {
                Part::TraceState => has_w3c,
                Part::Baggage => has_trace || speaks_xray || span.is_none(),
                _ => true,
            };
            let is_theirs = !part.is_trace() && fields.iter().any(|(name, _)| self.holds(name));
            if !is_wanted || is_theirs || !self.has_room(fields, [message, batch]) {
                continue;
            }
            for (name, value) in fields {
                self.insert(name, std::mem::take(value));
            }
            has_trace |= part.is_trace();
            has_w3c |= part == Part::TraceParent;
        }
        let setting = settings.trace_header;
        let is_wanted = setting.is_always_written() || (!has_trace && setting.is_read());
        if let Some(span) = span.as_ref().filter(|_| speaks_xray || is_wanted) {
            has_trace |= self.put_header(span);
        }
        has_trace || span.is_none()
    }

    /// Whether there is room for these together, which they take then.
    fn has_room(&self, fields: &[(HeaderName, String)], sizes: [&mut Size; 2]) -> bool {
        let held = self.attributes.as_ref().map_or(0, HashMap::len);
        let more =
            fields.iter().map(|(name, value)| name.as_str().len() + TEXT.len() + value.len());
        let more = more.sum();
        let fits =
            held + fields.len() <= MAX_ATTRIBUTES && sizes.iter().all(|size| size.has_room(more));
        if fits {
            sizes.into_iter().for_each(|size| size.bytes += more);
        }
        fits
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

    /// One that the caller has set is his own, unless it is of this trace. Whether it is there then.
    fn put_header(&mut self, span: &SpanContext) -> bool {
        let held = self.header().map(|held| xray::parse(held.as_bytes()).ok());
        let is_theirs = held.is_some_and(|held| {
            held.and_then(|held| held.ids).is_none_or(|(trace, _)| trace != span.trace_id())
        });
        let Some(headers) = &mut self.headers else { return false };
        let value = xray::print(span, None, None);
        let value = MessageSystemAttributeValue::builder().data_type(TEXT).string_value(value);
        let (false, Ok(value)) = (is_theirs, value.build()) else { return false };
        let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
        headers.get_or_insert_default().insert(name, value);
        true
    }
}

/// What SQS takes for a name.
fn is_attribute(name: &HeaderName) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    name.as_str().bytes().all(is_plain)
}

/// What a field is of, in the order in which they get what room there is. Those of one part mean
/// nothing without each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    TraceParent,
    B3,
    B3Multi,
    /// Of a format that isn't known here.
    Foreign,
    TraceState,
    Baggage,
}

impl Part {
    fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            TRACEPARENT => Part::TraceParent,
            "b3" => Part::B3,
            TRACESTATE => Part::TraceState,
            BAGGAGE => Part::Baggage,
            name if name.starts_with("x-b3-") => Part::B3Multi,
            _ => Part::Foreign,
        }
    }

    fn is_trace(self) -> bool {
        !matches!(self, Part::TraceState | Part::Baggage)
    }
}

fn is_of_trace((name, _): &(HeaderName, String)) -> bool {
    Part::of(name).is_trace()
}

/// The span that leaves: the sender's, or a new id in an unsampled trace. `None` where no trace is to
/// leave: a service may speak nothing at all.
fn sent(fields: &[(HeaderName, String)], context: &Context) -> Option<SpanContext> {
    if !fields.iter().any(is_of_trace) {
        return None;
    }
    let own = context.span().span_context().clone();
    let printed = fields.iter().find(|(name, _)| name.as_str() == TRACEPARENT);
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
