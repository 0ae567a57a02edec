//! What every boundary can be told, in one place.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};

use crate::carrier::{ReadCarrier, WriteCarrier};
use crate::extract::{self, Extraction, Sender};
use crate::inject;
use crate::metrics::{BoundMeter, Labels, Measure, Operation};
use crate::outcome::count_extraction;
use crate::propagation::Propagation;
use crate::semconv;
use crate::span::{BoundarySpan, Description};
use crate::tracer::BoundTracer;
use crate::trust::{Propagate, Trust};

/// The settings and the three verbs of one boundary: [`extract`](Self::extract), start
/// ([`receive`](Self::receive) or [`send`](Self::send)), [`inject`](Self::inject).
///
/// A boundary crate keeps one of these behind an `Arc`, offers its setters as its own, and writes
/// nothing but its carrier and the description of its span.
#[derive(Clone, Debug)]
pub struct Config {
    tracer: BoundTracer,
    meter: BoundMeter,
    propagation: Propagation,
    trust: Trust,
    admitted: Arc<[String]>,
    expect_parent: bool,
    ask_sampler: bool,
}

impl Config {
    /// The defaults, for the crate of this name and version:
    /// `Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))`.
    #[must_use]
    pub fn new(name: &'static str, version: &'static str) -> Self {
        let scope = InstrumentationScope::builder(name)
            .with_version(version)
            .with_schema_url(semconv::SCHEMA_URL)
            .build();
        Config {
            tracer: BoundTracer::new(scope.clone()),
            meter: BoundMeter::new(scope),
            propagation: Propagation::default(),
            trust: Trust::default(),
            admitted: Arc::default(),
            expect_parent: false,
            ask_sampler: false,
        }
    }

    /// Takes spans from `provider` instead of the global one.
    #[must_use]
    pub fn with_tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        self.tracer = self.tracer.given(provider);
        self
    }

    /// Measures with meters of `provider` instead of those of the global one.
    ///
    /// The global one is OpenTelemetry's own. A boundary may be built before that is set: it is
    /// looked for with the first message of each [outcome](crate::Outcome) and with every 256th, and
    /// then the boundary stays with it. A provider without any memory of its own is taken for
    /// OpenTelemetry's no-op one: give it to the boundary.
    #[must_use]
    pub fn with_meter_provider(mut self, provider: &dyn MeterProvider) -> Self {
        self.meter = self.meter.given(provider);
        self
    }

    /// Counts the messages that are being handled, too: an opt-in of the conventions, of HTTP only.
    #[must_use]
    pub fn measure_active(mut self, measure: bool) -> Self {
        self.meter = self.meter.opting(|opt_in| opt_in.active = measure);
        self
    }

    /// Measures the sizes of bodies, too: an opt-in of the conventions, of HTTP only.
    #[must_use]
    pub fn measure_body_sizes(mut self, measure: bool) -> Self {
        self.meter = self.meter.opting(|opt_in| opt_in.body_sizes = measure);
        self
    }

    /// Speaks `propagator` instead of the global one.
    ///
    /// [`W3cPropagator`](crate::W3cPropagator) and [`Formats`](crate::Formats) are spoken without a
    /// detour, and so is a global propagator whose fields are those of one of our formats, with or
    /// without baggage: to restrict such headers, give the propagator that does it to the boundary.
    #[must_use]
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagation = Propagation::given(propagator);
        self
    }

    /// How far senders are trusted; [`Trust::Continue`] unless told otherwise.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Lets members of baggage with these keys in from senders whose trace is not continued; none
    /// unless told otherwise.
    ///
    /// Their values are whatever a stranger wrote, and go on to every service below. It is no
    /// restriction of [`Trust::Continue`], under which all baggage holds.
    #[must_use]
    pub fn admit_baggage(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        self.admitted = self.admitted.iter().cloned().chain(keys).collect();
        self
    }

    /// Says that every message here comes from a service that sends its context, so that a
    /// message without one is a break. Its span is a root marked
    /// [`throughline.parent.expected`](semconv::THROUGHLINE_PARENT_EXPECTED).
    #[must_use]
    pub fn expect_parent(mut self, expect: bool) -> Self {
        self.expect_parent = expect;
        self
    }

    /// Asks the sampler even where the parent is not sampled.
    ///
    /// Off by default: a parent-based sampler, OpenTelemetry's default, would say no, and not
    /// asking makes an unsampled request almost free. A sampler that may decide against its
    /// parent needs this.
    #[must_use]
    pub fn ask_sampler(mut self, ask: bool) -> Self {
        self.ask_sampler = ask;
        self
    }

    /// Takes the context out of `carrier`: the first step of the law.
    #[inline]
    pub fn extract(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Extraction {
        Extraction::new(carrier, &self.propagation, self.trust, &self.admitted)
    }

    /// The same, for a sender who is trusted otherwise than the others: where a boundary looks at
    /// each message before it trusts.
    #[inline]
    pub fn extract_trusting(
        &self,
        carrier: &(impl ReadCarrier + ?Sized),
        trust: Trust,
    ) -> Extraction {
        Extraction::new(carrier, &self.propagation, trust, &self.admitted)
    }

    /// The same once more, for a further try of a message whose extraction was counted.
    pub fn extract_again(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Extraction {
        Extraction::uncounted(carrier, &self.propagation, self.trust, &self.admitted)
    }

    /// The sender of a message that is linked to and never continued, as those of a batch.
    pub fn extract_link(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Sender {
        let sender = self.extract_link_again(carrier);
        count_extraction(sender.outcome());
        sender
    }

    /// The same, and nothing is counted: for a further try of a message, or one that somebody else
    /// extracts.
    pub fn extract_link_again(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Sender {
        Sender::of(&self.propagation, carrier, self.trust)
    }

    /// The span that a message has a context of already, to see that it does. Nothing is judged or
    /// counted: that is for whoever [extracts](Self::extract) it to follow it, or
    /// [links](Self::extract_link) to it.
    #[must_use]
    pub fn peek(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Option<SpanContext> {
        extract::peek(&self.propagation, carrier)
    }

    /// The names that a context travels by, where a service has to be asked for each.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        self.propagation.fields()
    }

    /// Whether every message should bring its context, as [`expect_parent`](Self::expect_parent)
    /// has said.
    #[must_use]
    pub fn expects_parent(&self) -> bool {
        self.expect_parent
    }

    /// Starts the span of a message that came in. `describe` is only called for a span that may
    /// be recorded.
    #[inline]
    pub fn receive(
        &self,
        extraction: Extraction,
        kind: SpanKind,
        describe: impl FnOnce() -> Description,
    ) -> BoundarySpan {
        self.receive_expecting(extraction, self.expect_parent, kind, describe)
    }

    /// The same, for a message that is expected to bring its context, or excused from it, whatever
    /// is expected of the others.
    #[inline]
    pub fn receive_expecting(
        &self,
        extraction: Extraction,
        expect_parent: bool,
        kind: SpanKind,
        describe: impl FnOnce() -> Description,
    ) -> BoundarySpan {
        let lacks_parent = expect_parent && extraction.lacks_context();
        let Extraction { parent, link, .. } = extraction;
        BoundarySpan::start(&self.tracer, self.ask_sampler, parent, kind, describe, |description| {
            if lacks_parent {
                description.set(semconv::THROUGHLINE_PARENT_EXPECTED, true);
            }
            if let Some(link) = link {
                description.link(*link);
            }
        })
    }

    /// Starts a span under `parent`, whatever it is of: for messages that are linked to and not
    /// continued ([`Description::link`]), as those of a batch, of which none can be the parent.
    pub fn start_under(
        &self,
        parent: Context,
        kind: SpanKind,
        describe: impl FnOnce() -> Description,
    ) -> BoundarySpan {
        BoundarySpan::start(&self.tracer, self.ask_sampler, parent, kind, describe, |_| ())
    }

    /// Carries a message that is not to be recorded: a filtered one. The context that it brought
    /// is current all the same, and goes on. Where it brought none, whatever is done for it is in a
    /// trace that isn't sampled.
    pub fn pass(&self, extraction: Extraction) -> BoundarySpan {
        BoundarySpan::passing(extraction.parent)
    }

    /// Whether `carrier` holds the context of the outbound span that is current here: an outer
    /// layer of the same client has sent this message already, and a second one lets it pass.
    #[inline]
    pub fn is_sent(&self, carrier: &(impl ReadCarrier + ?Sized)) -> bool {
        inject::is_sent(&self.propagation, carrier)
    }

    /// The context that a message was created in which is about to be sent: somebody put it there on
    /// purpose, and there it stays. `None` where nothing valid is there, or the context that the
    /// message came with that is being handled here, continued or not: whoever copies headers has
    /// created nothing.
    #[must_use]
    pub fn creation_context(&self, carrier: &(impl ReadCarrier + ?Sized)) -> Option<Context> {
        inject::creation_context(&self.propagation, carrier)
    }

    /// Starts the span of a message that goes out, under the current context.
    #[inline]
    pub fn send(&self, kind: SpanKind, describe: impl FnOnce() -> Description) -> BoundarySpan {
        let parent = Context::current();
        BoundarySpan::start(&self.tracer, self.ask_sampler, parent, kind, describe, |_| ())
    }

    /// The same for one that began earlier, under the context that was current then: for what is
    /// worth a span only if something comes of it, as an empty poll is not.
    #[cold]
    pub fn send_since(
        &self,
        (parent, started): (Context, SystemTime),
        kind: SpanKind,
        describe: impl FnOnce() -> Description,
    ) -> BoundarySpan {
        BoundarySpan::start(&self.tracer, self.ask_sampler, parent, kind, describe, |_| started)
    }

    /// Whether messages are measured: only then is what labels them worth to be found.
    #[inline]
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.meter.instruments().is_some()
    }

    /// Starts to measure a message, for the span that it is [given](BoundarySpan::measured) to.
    /// `None` where nobody measures, or telemetry is suppressed.
    pub fn measure(
        &self,
        operation: Operation,
        describe: impl FnOnce(&mut Labels),
    ) -> Option<Measure> {
        let instruments = self.meter.instruments()?;
        (!Context::map_current(Context::is_telemetry_suppressed))
            .then(|| Measure::start(instruments, operation, describe))
    }

    /// Starts the root of a new trace, linked to the span that is current.
    ///
    /// It takes nothing else along: baggage stays with the caller.
    ///
    /// `name` is also the value of [`throughline.root`](semconv::THROUGHLINE_ROOT), which says
    /// that this root is one on purpose.
    pub fn root(&self, name: impl Into<Cow<'static, str>>) -> BoundarySpan {
        let name = name.into();
        let current = Context::current();
        let link = Some(current.span().span_context().clone()).filter(SpanContext::is_valid);
        let describe = || {
            let mut description = Description::new(name.clone(), 1);
            description.set(semconv::THROUGHLINE_ROOT, name);
            if let Some(link) = link {
                description.link(link);
            }
            description
        };
        let parent = Context::new();
        BoundarySpan::start(&self.tracer, false, parent, SpanKind::Internal, describe, |_| ())
    }

    /// Puts `context` into `carrier`: the last step of the law.
    #[inline]
    pub fn inject(&self, context: &Context, carrier: &mut (impl WriteCarrier + ?Sized)) {
        inject::inject(&self.propagation, context, carrier);
    }

    /// The same, with no more of it than `propagate` says; what stood in `carrier` of the rest is
    /// removed.
    pub fn inject_as(
        &self,
        context: &Context,
        carrier: &mut (impl WriteCarrier + ?Sized),
        propagate: Propagate,
    ) {
        inject::inject_as(&self.propagation, context, carrier, propagate);
    }

    /// Injects into a message that may have no room for it: `fit` is given the carrier as it was
    /// filled, puts as much of that into the message as it can, and says whether a trace that was to
    /// go along did. So does this, which counts one that didn't.
    pub fn inject_fitting<C: WriteCarrier>(
        &self,
        context: &Context,
        carrier: C,
        fit: impl FnOnce(C) -> bool,
    ) -> bool {
        inject::inject_fitting(&self.propagation, context, carrier, fit)
    }
}
