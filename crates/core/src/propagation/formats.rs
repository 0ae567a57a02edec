//! Formats as a [`TextMapPropagator`], and the global one.

use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::{Context, global};

use super::format::Format;
use super::list::List;
use super::read::Baggages;
use super::w3c::{FromExtractor, ToInjector};

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
