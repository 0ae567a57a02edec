//! Lists of formats, over any carrier.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceState};

use super::beyond::Beyond;
use super::format::{B3, B3_FLAGS, B3_PARENT, B3_SAMPLED, B3_SPAN_ID, B3_TRACE_ID, Format, XRAY};
use super::found::{Behind, Erased, Found};
use super::read::{Baggages, Read};
use super::w3c::{Fields, onward};
use crate::carrier::{ReadCarrier, WriteCarrier};
use crate::codec::{Sampling, b3, xray};

/// Formats in the order in which a trace is looked for, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct List([Option<Format>; Format::ALL.len()]);

impl List {
    pub(super) fn new(formats: impl IntoIterator<Item = Format>) -> Self {
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
            match Found::of(format, carrier) {
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
