//! What a format finds in a carrier.

use http::HeaderName;
use opentelemetry::trace::{SpanId, TraceId};

use super::beyond::Beyond;
use super::format::{B3, B3_FLAGS, B3_SAMPLED, B3_SPAN_ID, B3_TRACE_ID, Format, XRAY};
use super::read::{Baggages, Read};
use super::w3c::Fields;
use crate::carrier::ReadCarrier;
use crate::codec::traceparent::TraceParent;
use crate::codec::{Malformed, Sampling, b3, xray};

/// A carrier behind a pointer.
pub(super) struct Erased<'c>(pub(super) &'c dyn Visit);

pub(super) trait Visit {
    fn visit<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8]));
}

pub(super) struct Behind<'c, C: ?Sized>(pub(super) &'c C);

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
pub(super) enum Found {
    Nothing,
    Refused(Malformed),
    /// No trace, but the decision not to record one.
    Denied,
    Trace(Read),
}

impl Found {
    pub(super) fn of(format: Format, carrier: &Erased<'_>) -> Self {
        match format {
            Format::TraceContext => Found::of_w3c(Fields::TRACE.read(carrier, Baggages::Alone)),
            Format::Baggage => Found::Nothing,
            Format::B3 | Format::B3Multi => Found::of_b3(carrier),
            Format::XRay => Found::of_xray(carrier),
        }
    }

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
