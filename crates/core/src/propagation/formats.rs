//! The formats a context travels in, and lists of them, over any carrier and as a
//! [`TextMapPropagator`].

use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderName;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, global};

use super::fresh;
use super::w3c::{Baggages, Fields, FromExtractor, Read, ToInjector, onward};
use crate::carrier::{ReadCarrier, WriteCarrier};
use crate::codec::traceparent::TraceParent;
use crate::codec::{Malformed, Sampling, b3, xray};

const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");
const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// A format that a context travels in, named as in `OTEL_PROPAGATORS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// W3C Trace Context, level 2: `tracecontext`.
    TraceContext,
    /// W3C Baggage: `baggage`.
    Baggage,
    /// Zipkin's B3, of which the single header is sent and both are understood: `b3`.
    B3,
    /// Zipkin's B3, of which the several headers are sent and both are understood: `b3multi`.
    B3Multi,
    /// AWS X-Ray: `xray`.
    XRay,
}

impl Format {
    const ALL: [Format; 5] =
        [Format::TraceContext, Format::Baggage, Format::B3, Format::B3Multi, Format::XRay];

    /// The name in `OTEL_PROPAGATORS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::TraceContext => "tracecontext",
            Format::Baggage => "baggage",
            Format::B3 => "b3",
            Format::B3Multi => "b3multi",
            Format::XRay => "xray",
        }
    }

    /// The format of this name, in whatever case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Format::TraceContext => &["traceparent", "tracestate"],
            Format::Baggage => &["baggage"],
            Format::B3 => &["b3"],
            Format::B3Multi => {
                &["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-b3-parentspanid"]
            }
            Format::XRay => &["x-amzn-trace-id"],
        }
    }

    /// What it finds of a trace.
    fn find(self, carrier: &Erased<'_>) -> Found {
        match self {
            Format::TraceContext => Found::of_w3c(Fields::TRACE.read(carrier, Baggages::Alone)),
            Format::Baggage => Found::Nothing,
            Format::B3 | Format::B3Multi => Found::of_b3(carrier),
            Format::XRay => Found::of_xray(carrier),
        }
    }
}

/// Formats in the order in which a trace is looked for, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct List([Option<Format>; Format::ALL.len()]);

impl List {
    fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut list = List::default();
        for format in formats {
            if !list.has(format)
                && let Some(free) = list.0.iter_mut().find(|place| place.is_none())
            {
                *free = Some(format);
            }
        }
        list
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Format> {
        self.0.into_iter().flatten()
    }

    fn has(self, format: Format) -> bool {
        self.0.contains(&Some(format))
    }

    pub(crate) fn speaks_b3(self) -> bool {
        self.has(Format::B3) || self.has(Format::B3Multi)
    }

    /// The headers of W3C, if it has no others.
    pub(crate) fn as_w3c(self) -> Option<Fields> {
        let is_w3c = |format| matches!(format, Format::TraceContext | Format::Baggage);
        self.iter().all(is_w3c).then(|| Fields {
            trace: self.has(Format::TraceContext),
            baggage: self.has(Format::Baggage),
        })
    }

    /// The formats that have these fields; `None` if another field is among them, or if it can't
    /// be told which trace goes before which.
    pub(crate) fn of_fields<'a>(fields: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut formats = Vec::new();
        for field in fields {
            let has = |format: &Format| format.fields().contains(&field);
            let format = Format::ALL.into_iter().find(has)?;
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        let traces = formats.iter().filter(|format| **format != Format::Baggage).count();
        (traces <= 1).then(|| List::new(formats))
    }

    #[cold]
    pub(crate) fn read(self, carrier: &(impl ReadCarrier + ?Sized), baggages: Baggages) -> Read {
        self.read_erased(&Erased(&Behind(carrier)), baggages)
    }

    // Once for all carriers; and what W3C's own path is made of keeps its one caller, into which
    // the compiler puts it.
    fn read_erased(self, carrier: &Erased<'_>, baggages: Baggages) -> Read {
        let (mut fault, mut denied) = (None, false);
        let mut read = Read::default();
        for format in self.iter() {
            match format.find(carrier) {
                Found::Nothing => {}
                Found::Refused(reason) => fault = fault.or(Some(reason)),
                Found::Denied => denied = true,
                Found::Trace(found) if read.parent.is_none() => read = found,
                Found::Trace(found) => read.complete(found),
            }
        }
        if read.parent.is_none() {
            read.parent = fault.map(Err);
            if denied {
                read.deny();
            }
        }
        if self.has(Format::Baggage) {
            read.join(Fields::BAGGAGE.read(carrier, baggages));
        }
        read
    }

    /// Writes what `context` holds; whether it held a trace.
    #[cold]
    pub(crate) fn write(
        self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
    ) -> bool {
        self.write_as(context, carrier, SpanContext::span_id)
    }

    /// The same for a message that leaves here; see [`Fields::write_onward`].
    #[cold]
    pub(crate) fn write_onward(
        self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
    ) -> bool {
        self.write_as(context, carrier, onward)
    }

    fn write_as(
        self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
        id: fn(&SpanContext) -> SpanId,
    ) -> bool {
        if self.has(Format::Baggage) {
            write_w3c(Fields::BAGGAGE, context, carrier, id);
        }
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return false;
        }
        let beyond = context.get::<Beyond>();
        let beyond = beyond.filter(|beyond| beyond.trace == span.trace_id());
        let sampling = beyond.and_then(|beyond| beyond.sampling_of(span.span_id()));
        // One id for all of them; the sender's own, where whoever comes next may still record.
        let is_deferred = sampling == Some(Sampling::Deferred);
        let sent = if is_deferred { span.span_id() } else { id(span) };
        let span = &SpanContext::new(
            span.trace_id(),
            sent,
            span.trace_flags(),
            span.is_remote(),
            TraceState::NONE,
        );
        if self.speaks_b3() {
            clear_b3(carrier);
        }
        for format in self.iter() {
            match format {
                Format::TraceContext => {
                    write_w3c(Fields::TRACE, context, carrier, |_| sent);
                }
                Format::Baggage => {}
                Format::B3 => carrier.replace(&B3, b3::print_single(span, sampling).as_str()),
                Format::B3Multi => write_multi(span, sampling, carrier),
                Format::XRay => {
                    let lineage = beyond.and_then(|beyond| beyond.lineage.as_deref());
                    carrier.replace(&XRAY, &xray::print(span, sampling, lineage));
                }
            }
        }
        true
    }
}

#[inline(never)]
fn write_w3c(
    fields: Fields,
    context: &Context,
    carrier: &mut (impl WriteCarrier + ?Sized),
    id: impl FnOnce(&SpanContext) -> SpanId,
) -> bool {
    fields.write_as(context, carrier, id)
}

/// What stood there of either form: whoever reads it takes the first that he knows.
pub(crate) fn clear_b3(carrier: &mut (impl WriteCarrier + ?Sized)) {
    for name in [&B3, &B3_TRACE_ID, &B3_SPAN_ID, &B3_SAMPLED, &B3_FLAGS, &B3_PARENT] {
        carrier.remove(name);
    }
}

fn write_multi(
    span: &SpanContext,
    sampling: Option<Sampling>,
    carrier: &mut (impl WriteCarrier + ?Sized),
) {
    let printed = b3::print_single(span, sampling);
    carrier.replace(&B3_TRACE_ID, printed.trace_id());
    carrier.replace(&B3_SPAN_ID, printed.span_id());
    // Debug implies the decision, which isn't to be said as well.
    let (sampled, flags) = match sampling.unwrap_or_else(|| b3::decision(span)) {
        Sampling::Deferred => (None, None),
        Sampling::Denied => (Some("0"), None),
        Sampling::Accepted => (Some("1"), None),
        Sampling::Debug => (None, Some("1")),
    };
    for (name, value) in [(&B3_SAMPLED, sampled), (&B3_FLAGS, flags)] {
        if let Some(value) = value {
            carrier.replace(name, value);
        }
    }
}

/// A carrier behind a pointer.
struct Erased<'c>(&'c dyn Visit);

trait Visit {
    fn visit<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8]));
}

struct Behind<'c, C: ?Sized>(&'c C);

impl<C: ReadCarrier + ?Sized> Visit for Behind<'_, C> {
    fn visit<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8])) {
        self.0.visit(name, each);
    }
}

impl ReadCarrier for Erased<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        self.0.visit(name, &mut each);
    }

    // Nobody here looks for a prefix.
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// What one format found.
enum Found {
    Nothing,
    Refused(Malformed),
    /// No trace, but the decision not to record one.
    Denied,
    Trace(Read),
}

impl Found {
    fn of_w3c(read: Read) -> Self {
        match &read.parent {
            None => Found::Nothing,
            Some(Err(reason)) => Found::Refused(*reason),
            Some(Ok(_)) => Found::Trace(read),
        }
    }

    /// The single header, then the several.
    fn of_b3(carrier: &Erased<'_>) -> Self {
        let mut values = [const { None }; 5];
        let mut doubled = [false; 5];
        let names = [&B3, &B3_TRACE_ID, &B3_SPAN_ID, &B3_SAMPLED, &B3_FLAGS];
        carrier.visit_each(names, |place, value| {
            doubled[place] |= values[place].is_some();
            values[place].get_or_insert(value);
        });
        // Of the state the first holds, as B3 says; two ids are two traces.
        let doubled = &doubled[..3];
        let [single, trace_id, span_id, sampled, flags] = values;
        let single = match single {
            None => Found::Nothing,
            Some(_) if doubled[0] => Found::Refused(Malformed::Doubled),
            Some(value) => Found::from(b3::parse_single(value).map(Some)),
        };
        if matches!(single, Found::Trace(_) | Found::Denied) {
            return single;
        }
        let several = if doubled[1..].contains(&true) {
            Err(Malformed::Doubled)
        } else {
            b3::parse_multi(b3::Multi { trace_id, span_id, sampled, flags })
        };
        match (Found::from(several), single) {
            (Found::Nothing, single) | (Found::Refused(_), single @ Found::Refused(_)) => single,
            (several, _) => several,
        }
    }

    fn of_xray(carrier: &Erased<'_>) -> Self {
        let (mut found, mut is_doubled) = (None, false);
        carrier.visit(&XRAY, |value| is_doubled |= found.replace(value).is_some());
        let Some(value) = found else { return Found::Nothing };
        if is_doubled {
            return Found::Refused(Malformed::Doubled);
        }
        match xray::parse(value) {
            Err(reason) => Found::Refused(reason),
            Ok(xray::XRay { ids, sampling, lineage }) => Found::new(ids, sampling, lineage),
        }
    }

    fn new(ids: Option<(TraceId, SpanId)>, sampling: Sampling, lineage: Option<&str>) -> Self {
        match ids {
            Some((trace_id, span_id)) => {
                let parent = TraceParent { trace_id, span_id, flags: sampling.flags() };
                let tells_more = matches!(sampling, Sampling::Deferred | Sampling::Debug);
                let beyond = (tells_more || lineage.is_some()).then(|| Beyond {
                    trace: trace_id,
                    span: span_id,
                    sampling,
                    lineage: lineage.map(Into::into),
                });
                Found::Trace(Read::of_parent(parent, beyond))
            }
            None if sampling == Sampling::Denied => Found::Denied,
            // To record everything isn't for a stranger to order who has no trace.
            None => Found::Nothing,
        }
    }
}

impl From<Result<Option<b3::B3>, Malformed>> for Found {
    fn from(parsed: Result<Option<b3::B3>, Malformed>) -> Self {
        match parsed {
            Ok(None) => Found::Nothing,
            Ok(Some(b3::B3 { ids, sampling })) => Found::new(ids, sampling, None),
            Err(reason) => Found::Refused(reason),
        }
    }
}

/// What a format says that OpenTelemetry's span context can't hold, beside the span context.
#[derive(Debug)]
pub(crate) struct Beyond {
    trace: TraceId,
    span: SpanId,
    sampling: Sampling,
    lineage: Option<Box<str>>,
}

impl Beyond {
    /// Of no trace.
    pub(super) fn nothing() -> Self {
        let (trace, span) = (TraceId::INVALID, SpanId::INVALID);
        Beyond { trace, span, sampling: Sampling::Accepted, lineage: None }
    }

    /// Whether it says anything that agrees with `flags`.
    pub(super) fn agrees_with(&self, flags: TraceFlags) -> bool {
        self.sampling.flags().is_sampled() == flags.is_sampled()
    }

    /// Adds what another format says of the same span, which has the flags `flags`.
    pub(super) fn complete(&mut self, other: Beyond, flags: TraceFlags) {
        let tells_nothing = matches!(self.sampling, Sampling::Denied | Sampling::Accepted);
        if tells_nothing && other.agrees_with(flags) {
            self.sampling = other.sampling;
        }
        if self.lineage.is_none() {
            self.lineage = other.lineage;
        }
    }

    pub(super) fn without_sampling(self) -> Option<Self> {
        let sampling = Sampling::Accepted;
        self.lineage.is_some().then_some(Beyond { sampling, ..self })
    }

    fn sampling_of(&self, span: SpanId) -> Option<Sampling> {
        match self.sampling {
            Sampling::Debug => Some(Sampling::Debug),
            // A span of our own has decided.
            Sampling::Deferred if span == self.span => Some(Sampling::Deferred),
            Sampling::Deferred | Sampling::Denied | Sampling::Accepted => None,
        }
    }
}

/// The parent that a decision without a trace becomes: a trace that nobody records, so that all
/// that is started under it, by whomever, isn't recorded either.
pub(crate) fn denied() -> SpanContext {
    let (trace, span) = (fresh::trace_id(), fresh::span_id());
    SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, true, Default::default())
}

/// The formats that a service speaks, as a [`TextMapPropagator`]: for a
/// [boundary](crate::Config::with_propagator), for all of them ([`set_propagator`]), or for code
/// that never heard of Throughline.
///
/// A context is sent in all of them. What comes is taken from the first in which there is a valid
/// trace, and completed from the others where they tell of the same span: a mixed fleet loses no
/// `tracestate`. Baggage is taken wherever the trace comes from, and where there is none. Nothing
/// that is malformed takes the place of what is valid, and no input panics.
///
/// Two things that B3 and X-Ray say go on through the service although OpenTelemetry has no place
/// for them: B3's debug flag, and that the decision is deferred. As in OpenTelemetry's own
/// propagators a deferred decision is not sampled here, and nobody makes up for it: where a proxy
/// only hands out ids, take a sampler that decides by itself, and
/// [`ask_sampler`](crate::Config::ask_sampler). A decision not to sample that
/// comes without a trace (`b3: 0`) is obeyed: it becomes an unsampled trace with ids of its own.
///
/// ```
/// use throughline_core::{Format, Formats};
///
/// let propagator = Formats::new([Format::TraceContext, Format::B3, Format::Baggage]);
/// throughline_core::set_propagator(propagator);
/// ```
#[derive(Clone, Debug)]
pub struct Formats {
    pub(crate) list: List,
    names: Arc<[String]>,
}

impl Formats {
    /// These formats, in this order; one that is named twice counts once.
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let list = List::new(formats);
        let names = list.iter().flat_map(Format::fields);
        Formats { list, names: names.map(|name| (*name).to_owned()).collect() }
    }

    /// Whether `propagator` is a clone of this one.
    fn is(&self, propagator: &dyn TextMapPropagator) -> bool {
        let first = propagator.fields().next().map(str::as_ptr);
        first == self.names.first().map(|name| name.as_ptr())
    }
}

impl FromIterator<Format> for Formats {
    fn from_iter<I: IntoIterator<Item = Format>>(formats: I) -> Self {
        Formats::new(formats)
    }
}

impl TextMapPropagator for Formats {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.list.write(context, &mut ToInjector(injector));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let read = self.list.read(&FromExtractor(extractor), Baggages::Alone);
        read.into_context_on(context)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.names)
    }
}

static GLOBAL: RwLock<Option<Formats>> = RwLock::new(None);

/// Makes `formats` the global propagator, for OpenTelemetry and for every boundary that was given
/// none.
///
/// It does what [`opentelemetry::global::set_text_map_propagator`] does, and more: boundaries know
/// the formats for what they are, so that they say why a context is refused, and that an empty
/// list means to send none.
pub fn set_propagator(formats: Formats) {
    *GLOBAL.write().unwrap_or_else(PoisonError::into_inner) = Some(formats.clone());
    global::set_text_map_propagator(formats);
}

/// The formats that were made global, if it is them that `propagator` is.
pub(crate) fn known(propagator: &dyn TextMapPropagator) -> Option<List> {
    let ours = GLOBAL.read().unwrap_or_else(PoisonError::into_inner);
    ours.as_ref().filter(|ours| ours.is(propagator)).map(|ours| ours.list)
}
