//! Which headers a context travels by: W3C Trace Context and W3C Baggage, in our own codecs, or
//! any [`TextMapPropagator`].

mod foreign;
mod w3c;

use std::any::TypeId;
use std::sync::{Arc, OnceLock};

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;

pub(crate) use foreign::{Reader, Writer};
pub use w3c::W3cPropagator;
pub(crate) use w3c::{Fields, Read};

/// How a boundary speaks: bound to the global propagator at the first message, unless it was
/// given one.
///
/// A global propagator whose fields are W3C's is spoken by Throughline's own codecs, which are
/// stricter and cheaper than the SDK's; any other, and one that the boundary was given, is called.
/// While no global propagator is set, the boundary speaks W3C
/// and looks again at the next message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Propagation {
    given: Option<Arc<dyn TextMapPropagator + Send + Sync>>,
    bound: OnceLock<Speaks>,
}

/// What a propagator turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speaks {
    W3c(Fields),
    /// Something else: it is asked at each message.
    Foreign,
}

impl Propagation {
    pub(crate) fn given<P: TextMapPropagator + Send + Sync + 'static>(propagator: P) -> Self {
        let is_ours = TypeId::of::<P>() == TypeId::of::<W3cPropagator>();
        let speaks = if is_ours { Speaks::W3c(Fields::ALL) } else { Speaks::Foreign };
        Propagation { given: Some(Arc::new(propagator)), bound: OnceLock::from(speaks) }
    }

    #[inline]
    pub(crate) fn speaks(&self) -> Speaks {
        match self.bound.get() {
            Some(speaks) => *speaks,
            None => self.bind(),
        }
    }

    #[cold]
    fn bind(&self) -> Speaks {
        match global::get_text_map_propagator(|propagator| Speaks::of(propagator)) {
            Some(speaks) => *self.bound.get_or_init(|| speaks),
            None => Speaks::W3c(Fields::ALL),
        }
    }

    /// Calls `f` with the propagator that is spoken where it is [`Speaks::Foreign`].
    pub(crate) fn with_foreign<T>(&self, mut f: impl FnMut(&dyn TextMapPropagator) -> T) -> T {
        match &self.given {
            Some(propagator) => f(&**propagator),
            None => global::get_text_map_propagator(f),
        }
    }
}

impl Speaks {
    /// `None` for a propagator with no fields: the no-op one.
    fn of(propagator: &dyn TextMapPropagator) -> Option<Speaks> {
        let mut fields = Fields { trace: false, baggage: false };
        let mut names = propagator.fields().peekable();
        names.peek()?;
        for name in names {
            match name {
                "traceparent" | "tracestate" => fields.trace = true,
                "baggage" => fields.baggage = true,
                _ => return Some(Speaks::Foreign),
            }
        }
        Some(Speaks::W3c(fields))
    }
}
