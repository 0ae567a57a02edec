//! Which headers a context travels by: W3C's, B3's and X-Ray's in our own codecs, or those of any
//! other [`TextMapPropagator`].

mod foreign;
mod formats;
mod w3c;

use std::any::Any;
use std::sync::{Arc, OnceLock};

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;

pub(crate) use foreign::{Reader, Writer};
use formats::List;
pub use formats::{Format, Formats, set_propagator};
pub use w3c::W3cPropagator;
pub(crate) use w3c::{Fields, Read};

/// How a boundary speaks: bound to the global propagator at the first message, unless it was
/// given one.
///
/// A global propagator whose fields are those of one of our formats (and baggage) is spoken by
/// Throughline's own codecs, which are stricter and cheaper than others; any other, and one that
/// the boundary was given, is called. While no global propagator is set, the boundary speaks W3C
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
    /// Formats of ours that aren't W3C's alone.
    Formats(List),
    /// Something else: it is asked at each message.
    Foreign,
}

impl Propagation {
    pub(crate) fn given<P: TextMapPropagator + Send + Sync + 'static>(propagator: P) -> Self {
        let any: &dyn Any = &propagator;
        let speaks = if any.is::<W3cPropagator>() {
            Speaks::W3c(Fields::ALL)
        } else if let Some(formats) = any.downcast_ref::<Formats>() {
            Speaks::list(formats.list)
        } else {
            Speaks::Foreign
        };
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
        if let Some(list) = formats::known(propagator) {
            return Some(Speaks::list(list));
        }
        propagator.fields().next()?;
        Some(List::of_fields(propagator.fields()).map_or(Speaks::Foreign, Speaks::list))
    }

    fn list(list: List) -> Speaks {
        list.as_w3c().map_or(Speaks::Formats(list), Speaks::W3c)
    }
}
