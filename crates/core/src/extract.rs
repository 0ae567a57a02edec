//! The first step of the law: what came with a message, and what becomes of it here.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId, TraceState};

use crate::carrier::ReadCarrier;
use crate::codec::Malformed;
use crate::outcome::{Outcome, count_extraction};
use crate::propagation::{Baggages, Fields, Propagation, Read, Reader, Speaks};
use crate::trust::Trust;

/// A context taken from a carrier, judged: the parent to start a span under.
///
/// It always begins with an empty context. Whatever is current on this thread belongs to
/// somebody else.
#[derive(Debug)]
#[must_use = "an extracted context that nothing is started under ends the trace"]
pub struct Extraction {
    pub(crate) parent: Context,
    // Boxed, since it is rare: what is moved at each message stays small.
    pub(crate) link: Option<Box<SpanContext>>,
    outcome: Outcome,
}

impl Extraction {
    #[inline]
    pub(crate) fn new(
        carrier: &(impl ReadCarrier + ?Sized),
        propagation: &Propagation,
        trust: Trust,
        admitted: &Arc<[String]>,
    ) -> Self {
        let extraction = Extraction::uncounted(carrier, propagation, trust, admitted);
        count_extraction(extraction.outcome);
        extraction
    }

    #[inline]
    pub(crate) fn uncounted(
        carrier: &(impl ReadCarrier + ?Sized),
        propagation: &Propagation,
        trust: Trust,
        admitted: &Arc<[String]>,
    ) -> Self {
        match propagation.speaks() {
            Speaks::W3c(fields) => {
                Extraction::judge(fields.read(carrier, Baggages::Shared), trust, admitted)
            }
            Speaks::Formats => Extraction::of_formats(carrier, propagation, trust, admitted),
            Speaks::Foreign => Extraction::foreign(carrier, propagation, trust, admitted),
        }
    }

    // Always: it is called from two places, and hands back what is large.
    #[inline(always)]
    fn judge(read: Read, trust: Trust, admitted: &Arc<[String]>) -> Self {
        let outcome = Extraction::found(&read);
        match trust {
            Trust::Continue => Extraction { parent: read.into_context(), link: None, outcome },
            Trust::Link | Trust::Ignore => Extraction::restarted(read, trust, admitted, outcome),
        }
    }

    #[inline(always)]
    fn found(read: &Read) -> Outcome {
        match &read.parent {
            Some(Ok(_)) => Outcome::Continued,
            Some(Err(reason)) => Extraction::refused(*reason),
            None => Outcome::Absent,
        }
    }

    #[cold]
    fn refused(reason: Malformed) -> Outcome {
        tracing::debug!(%reason, "a trace context was refused, the trace restarts");
        Outcome::Malformed(reason)
    }

    #[cold]
    fn restarted(mut read: Read, trust: Trust, admitted: &Arc<[String]>, found: Outcome) -> Self {
        // Its tracestate stays outside: nobody there decides what is stored here.
        let remote = read.parent.take().and_then(Result::ok);
        let remote = remote.map(|parent| parent.into_span_context(TraceState::NONE));
        let outcome = if remote.is_some() { Outcome::Untrusted } else { found };
        let parent = kept_out(admit(&read.into_context(), admitted), remote.as_ref());
        let link = remote.filter(|_| trust == Trust::Link).map(Box::new);
        Extraction { parent, link, outcome }
    }

    #[cold]
    fn of_formats(
        carrier: &(impl ReadCarrier + ?Sized),
        propagation: &Propagation,
        trust: Trust,
        admitted: &Arc<[String]>,
    ) -> Self {
        let read = propagation.list().read(carrier, Baggages::Shared);
        Extraction::judge_formats(read, trust, admitted)
    }

    #[inline(never)]
    fn judge_formats(read: Read, trust: Trust, admitted: &Arc<[String]>) -> Self {
        Extraction::judge(read, trust, admitted)
    }

    #[cold]
    fn foreign(
        carrier: &(impl ReadCarrier + ?Sized),
        propagation: &Propagation,
        trust: Trust,
        admitted: &Arc<[String]>,
    ) -> Self {
        let parent = propagation.with_foreign(|propagator| {
            propagator.extract_with_context(&Context::new(), &Reader(carrier))
        });
        let remote = parent.span().span_context().clone();
        match (remote.is_valid(), trust) {
            (true, Trust::Continue) => {
                Extraction { parent, link: None, outcome: Outcome::Continued }
            }
            (false, Trust::Continue) => Extraction { parent, link: None, outcome: Outcome::Absent },
            (valid, Trust::Link | Trust::Ignore) => Extraction {
                parent: kept_out(admit(&parent, admitted), valid.then_some(&remote)),
                link: (valid && trust == Trust::Link).then(|| Box::new(stateless(&remote))),
                outcome: if valid { Outcome::Untrusted } else { Outcome::Absent },
            },
        }
    }

    /// What was found.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether nothing came that could be read, which is a break where a context was expected.
    #[must_use]
    pub fn lacks_context(&self) -> bool {
        self.outcome.lacks_context()
    }

    /// The sender's span, for whoever links to it instead of continuing it; `None` where none came
    /// that is valid, or its sender is ignored.
    #[must_use]
    pub fn to_link(&self) -> Option<SpanContext> {
        match &self.link {
            Some(link) => Some(SpanContext::clone(link)),
            None => {
                let parent = self.parent.span();
                let parent = parent.span_context();
                parent.is_valid().then(|| parent.clone())
            }
        }
    }

    /// The context to continue in: the sender's, or an empty one where the trace restarts.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.parent
    }
}

/// The sender of a message that is linked to and never continued, as those of a batch: what an
/// [`Extraction`] would find of him, without a context to continue in.
#[derive(Debug)]
pub struct Sender {
    outcome: Outcome,
    link: Option<SpanContext>,
    /// His span, trusted or not; invalid if none came.
    came: (TraceId, SpanId),
}

impl Sender {
    pub(crate) fn of(
        propagation: &Propagation,
        carrier: &(impl ReadCarrier + ?Sized),
        trust: Trust,
    ) -> Self {
        // Of what is ours no context has to be made for it.
        if let (Speaks::W3c(Fields { trace, .. }), Trust::Continue) = (propagation.speaks(), trust)
        {
            let read = Fields { trace, baggage: false }.read(carrier, Baggages::Shared);
            let (outcome, link) = (Extraction::found(&read), read.into_span_context());
            let came = link.as_ref().map_or(NOBODY, ids);
            return Sender { outcome, link, came };
        }
        let none = Arc::default();
        Sender::found(&Extraction::uncounted(carrier, propagation, trust, &none))
    }

    #[cold]
    pub(crate) fn found(message: &Extraction) -> Self {
        let parent = message.parent.span();
        let parent = parent.span_context();
        let came = match parent.is_valid() {
            true => ids(parent),
            false => message.parent.get().and_then(KeptOut::first).unwrap_or(NOBODY),
        };
        Sender { outcome: message.outcome, link: message.to_link(), came }
    }

    /// What was found.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether nothing came that could be read, which is a break where a context was expected.
    #[must_use]
    pub fn lacks_context(&self) -> bool {
        self.outcome.lacks_context()
    }

    /// His span, to link to; `None` where none came that is valid, or he is ignored.
    #[must_use]
    pub fn link(&self) -> Option<&SpanContext> {
        self.link.as_ref()
    }

    /// `context`, with what these senders sent kept out of it, followed or not.
    pub(crate) fn keep_out<'a>(
        context: Context,
        senders: impl IntoIterator<Item = &'a Sender>,
    ) -> Context {
        let came = senders.into_iter().map(|sender| sender.came);
        let came: Vec<_> = came.filter(|came| *came != NOBODY).collect();
        if came.is_empty() { context } else { context.with_value(KeptOut(came)) }
    }
}

const NOBODY: (TraceId, SpanId) = (TraceId::INVALID, SpanId::INVALID);

fn ids(span: &SpanContext) -> (TraceId, SpanId) {
    (span.trace_id(), span.span_id())
}

/// The valid span context in `carrier`.
#[cold]
pub(crate) fn peek(
    propagation: &Propagation,
    carrier: &(impl ReadCarrier + ?Sized),
) -> Option<SpanContext> {
    if let Speaks::W3c(Fields { trace, .. }) = propagation.speaks() {
        return Fields { trace, baggage: false }
            .read(carrier, Baggages::Shared)
            .into_span_context();
    }
    let found = propagation.read(carrier).span().span_context().clone();
    found.is_valid().then_some(found)
}

/// The spans that messages came from which aren't their parent here, as a value of the context:
/// whoever copies what came into what is sent on must not let it in by that.
#[derive(Debug)]
pub(crate) struct KeptOut(Vec<(TraceId, SpanId)>);

impl KeptOut {
    pub(crate) fn holds(&self, found: &SpanContext) -> bool {
        self.0.contains(&ids(found))
    }

    fn first(&self) -> Option<(TraceId, SpanId)> {
        self.0.first().copied()
    }
}

fn kept_out(context: Context, sender: Option<&SpanContext>) -> Context {
    match sender {
        Some(sender) => context.with_value(KeptOut(vec![ids(sender)])),
        None => context,
    }
}

/// An empty context with the members of `came`'s baggage that have these keys.
#[cold]
fn admit(came: &Context, keys: &[String]) -> Context {
    let mut baggage = Baggage::new();
    for key in keys {
        if let Some((value, properties)) = came.baggage().get_with_metadata(key) {
            baggage.insert_with_metadata(key.clone(), value.clone(), properties.clone());
        }
    }
    if baggage.is_empty() { Context::new() } else { Context::new().with_baggage(baggage) }
}

fn stateless(remote: &SpanContext) -> SpanContext {
    let (trace, span, flags) = (remote.trace_id(), remote.span_id(), remote.trace_flags());
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}
