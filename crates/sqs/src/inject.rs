//! What goes out with a message, as far as it has room.

use std::collections::HashMap;

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use http::HeaderName;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::codec::{traceparent, xray};
use throughline_core::messaging::is_copied;
use throughline_core::{ReadCarrier, WriteCarrier};

use crate::extract::{TRACEPARENT, TRACESTATE, XRAY};
use crate::room::{Attribute, MAX_ATTRIBUTES, Size, TEXT, size_of_attribute};
use crate::settings::Settings;

const BAGGAGE: &str = "baggage";

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
        let fit = |fields| self.fit(fields, context, settings, sizes);
        settings.config.inject_fitting(context, Fields::default(), fit)
    }

    fn fit(
        &mut self,
        mut fields: Fields,
        context: &Context,
        settings: &Settings,
        [message, batch]: [&mut Size; 2],
    ) -> bool {
        self.clear_copies(settings, [message, batch]);
        self.clear_stale(&fields, settings, [message, batch]);
        let is_traced = fields.has_trace();
        let speaks_xray = fields.formats.iter().any(|(name, _)| name.as_str() == XRAY);
        // What travels elsewhere, and what no attribute can be called.
        fields.formats.retain(|(name, _)| name.as_str() != XRAY && is_attribute(name));
        let Fields { traceparent, mut formats, tracestate, baggage } = fields;
        let setting = settings.trace_header;
        let always = speaks_xray || setting.is_always_written();
        // What was printed a moment ago is read again only where that is asked for.
        let read = |parent: Option<&str>| if is_traced { sent(parent, context) } else { None };
        let mut span = if always { read(traceparent.as_deref()) } else { None };

        let mut has_parent = false;
        let mut left = None;
        if let Some(value) = traceparent {
            left = self.insert(TRACEPARENT, value, [message, batch]);
            has_parent = left.is_none();
        }
        let mut has_trace = has_parent;
        // Each behind it, whole or not at all.
        formats.sort_by_key(|(name, _)| Part::of(name));
        for part in formats.chunk_by_mut(|(one, _), (two, _)| Part::of(one) == Part::of(two)) {
            has_trace |= self.insert_all(part, [message, batch]);
        }
        if !has_trace && !always {
            span = read(left.as_deref());
        }
        // What belongs to a trace doesn't travel without it.
        let tracestate = tracestate.filter(|_| has_parent || !is_traced);
        let baggage = baggage.filter(|_| has_trace || speaks_xray || span.is_none());
        for (name, value) in [(TRACESTATE, tracestate), (BAGGAGE, baggage)] {
            if let Some(value) = value.filter(|_| !self.holds(name)) {
                drop(self.insert(name, value, [message, batch]));
            }
        }
        match span {
            Some(span) if always || setting.is_read() => self.put_header(&span) || has_trace,
            Some(_) => has_trace,
            None => true,
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.attributes.iter().flatten().any(|(held, _)| held.eq_ignore_ascii_case(name))
    }

    /// Whether there is room for so many fields of so many bytes, which they take then.
    fn has_room(&self, fields: usize, more: usize, sizes: [&mut Size; 2]) -> bool {
        let held = self.attributes.as_ref().map_or(0, HashMap::len);
        let fits = held + fields <= MAX_ATTRIBUTES && sizes.iter().all(|size| size.has_room(more));
        if fits {
            sizes.into_iter().for_each(|size| size.bytes += more);
        }
        fits
    }

    /// Hands back what there is no room for.
    fn insert(&mut self, name: &str, value: String, sizes: [&mut Size; 2]) -> Option<String> {
        if !self.has_room(1, size_of_field(name, &value), sizes) {
            return Some(value);
        }
        self.put_attribute(name, value);
        None
    }

    /// All of them or none.
    fn insert_all(&mut self, fields: &mut [(HeaderName, String)], sizes: [&mut Size; 2]) -> bool {
        let more = fields.iter().map(|(name, value)| size_of_field(name.as_str(), value)).sum();
        let fits = self.has_room(fields.len(), more, sizes);
        if fits {
            for (name, value) in fields {
                self.put_attribute(name.as_str(), std::mem::take(value));
            }
        }
        fits
    }

    fn put_attribute(&mut self, name: &str, value: String) {
        if let Some(value) = V::of_text(value) {
            self.attributes.get_or_insert_default().insert(name.to_owned(), value);
        }
    }

    /// Removes what was only copied here from the message that is handled: nobody gets in by that, even
    /// where nothing takes its place.
    fn clear_copies(&mut self, settings: &Settings, sizes: [&mut Size; 2]) {
        let header =
            self.header().and_then(|held| xray::parse(held.as_bytes()).ok()?.span_context());
        if header.is_some_and(|header| is_copied(&header))
            && let Some(Some(headers)) = self.headers.as_deref_mut()
        {
            headers.remove(&MessageSystemAttributeNameForSends::AwsTraceHeader);
        }
        let has_attributes = self.attributes.as_ref().is_some_and(|all| !all.is_empty());
        if has_attributes && settings.config.peek(self).is_some_and(|held| is_copied(&held)) {
            self.clear(settings, sizes);
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
        self.clear(settings, sizes);
    }

    fn clear(&mut self, settings: &Settings, sizes: [&mut Size; 2]) {
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

/// The span that leaves: the sender's, or a new id in an unsampled trace.
fn sent(traceparent: Option<&str>, context: &Context) -> Option<SpanContext> {
    let own = context.span().span_context().clone();
    let printed = traceparent.and_then(|value| traceparent::parse(value.as_bytes()).ok());
    match printed {
        Some(printed) => Some(printed.into_span_context(own.trace_state().clone())),
        None => own.is_valid().then_some(own),
    }
}

/// A format, in the order in which they get what room there is. Where one travels in several fields, one
/// alone means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    B3,
    B3Multi,
    /// One that isn't known here.
    Foreign,
}

impl Part {
    fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            "b3" => Part::B3,
            name if name.starts_with("x-b3-") => Part::B3Multi,
            _ => Part::Foreign,
        }
    }
}

fn size_of_field(name: &str, value: &str) -> usize {
    name.len() + TEXT.len() + value.len()
}

/// What is to be sent, before it is known what there is room for.
#[derive(Default)]
struct Fields {
    traceparent: Option<String>,
    /// Those of other formats.
    formats: Vec<(HeaderName, String)>,
    tracestate: Option<String>,
    baggage: Option<String>,
}

impl Fields {
    fn has_trace(&self) -> bool {
        self.traceparent.is_some() || !self.formats.is_empty()
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
