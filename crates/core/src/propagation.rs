//! Which headers a context travels by: W3C's, B3's and X-Ray's in our own codecs, or those of any
//! other [`TextMapPropagator`].

mod beyond;
mod foreign;
mod format;
mod formats;
mod found;
pub(crate) mod fresh;
mod list;
mod read;
mod w3c;

use std::any::Any;
use std::sync::{Arc, OnceLock};

use opentelemetry::Context;
use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;

use crate::carrier::ReadCarrier;

pub(crate) use foreign::{Reader, Writer};
pub use format::Format;
pub use formats::{Formats, set_propagator};
use list::List;
pub(crate) use list::clear_b3;
pub(crate) use read::{Baggages, Read};
pub(crate) use w3c::Fields;
pub use w3c::W3cPropagator;

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
    /// Of [`Speaks::Formats`]; apart from it, so that what each message looks at stays small.
    list: OnceLock<List>,
}

/// What a propagator turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speaks {
    W3c(Fields),
    /// Formats of ours that aren't W3C's alone.
    Formats,
    /// Something else: it is asked at each message.
    Foreign,
}

impl Propagation {
    pub(crate) fn given<P: TextMapPropagator + Send + Sync + 'static>(propagator: P) -> Self {
        let any: &dyn Any = &propagator;
        let list = any.downcast_ref::<Formats>().map(|formats| formats.list);
        let speaks = if any.is::<W3cPropagator>() {
            Speaks::W3c(Fields::ALL)
        } else {
            list.map_or(Speaks::Foreign, Speaks::list)
        };
        Propagation {
            given: Some(Arc::new(propagator)),
            bound: OnceLock::from(speaks),
            list: list.map(OnceLock::from).unwrap_or_default(),
        }
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
        let bound = global::get_text_map_propagator(|propagator| {
            // The no-op one has no fields either.
            let known = formats::known(propagator);
            let list = known.or_else(|| List::of_fields(propagator.fields()));
            let is_set = known.is_some() || propagator.fields().next().is_some();
            is_set.then_some(list)
        });
        let Some(list) = bound else { return Speaks::W3c(Fields::ALL) };
        *self.bound.get_or_init(|| {
            // Once for both: whoever finds the one finds the other.
            list.map_or(Speaks::Foreign, |list| Speaks::list(*self.list.get_or_init(|| list)))
        })
    }

    /// The formats, where it is them that are spoken.
    pub(crate) fn list(&self) -> List {
        self.list.get().copied().unwrap_or_default()
    }

    /// The names that are spoken.
    pub(crate) fn fields(&self) -> Vec<String> {
        let owned =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        match self.speaks() {
            Speaks::W3c(fields) => {
                let trace = fields.trace.then_some(Format::TraceContext);
                let baggage = fields.baggage.then_some(Format::Baggage);
                trace.into_iter().chain(baggage).flat_map(|it| owned(it.fields())).collect()
            }
            Speaks::Formats => self.list().iter().flat_map(|it| owned(it.fields())).collect(),
            Speaks::Foreign => {
                self.with_foreign(|propagator| propagator.fields().map(str::to_owned).collect())
            }
        }
    }

    /// What stands in `carrier`, in an empty context and unjudged.
    #[cold]
    pub(crate) fn read(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Context {
        match self.speaks() {
            Speaks::W3c(fields) => fields.read(carrier, Baggages::Shared).into_context(),
            Speaks::Formats => self.list().read(carrier, Baggages::Shared).into_context(),
            Speaks::Foreign => self.with_foreign(|propagator| {
                propagator.extract_with_context(&Context::new(), &Reader(carrier))
            }),
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
    fn list(list: List) -> Speaks {
        list.as_w3c().map_or(Speaks::Formats, Speaks::W3c)
    }
}
