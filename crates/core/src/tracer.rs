//! Where spans come from: the provider a boundary was given, else the global one, bound late.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, global};

/// A tracer that starts a span right inside its context.
///
/// OpenTelemetry's own object-safe tracer boxes a span, which the context then boxes again; this
/// one leaves the boxing to the context.
trait StartSpan: Send + Sync {
    fn start(&self, builder: SpanBuilder, parent: &Context) -> Context;
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    #[inline]
    fn start(&self, builder: SpanBuilder, parent: &Context) -> Context {
        parent.with_span(self.build_with_context(builder, parent))
    }
}

trait MakeTracer: Send + Sync {
    fn tracer(&self, scope: InstrumentationScope) -> Arc<dyn StartSpan>;
}

impl<P> MakeTracer for P
where
    P: TracerProvider + Send + Sync,
    P::Tracer: Send + Sync + 'static,
    <P::Tracer as Tracer>::Span: Send + Sync + 'static,
{
    fn tracer(&self, scope: InstrumentationScope) -> Arc<dyn StartSpan> {
        Arc::new(self.tracer_with_scope(scope))
    }
}

static GLOBAL: RwLock<Option<Arc<dyn MakeTracer>>> = RwLock::new(None);

/// Makes `provider` the global one, for OpenTelemetry and for every boundary that was given none.
///
/// It does what [`opentelemetry::global::set_tracer_provider`] does, and more: boundaries keep the
/// provider's own type, which spares an allocation a span. They bind at their first span, so one
/// built before this call follows it too, and stay with what they are bound to. A provider that is
/// set later with OpenTelemetry's own function reaches other code, and no boundary.
pub fn set_tracer_provider<P>(provider: P)
where
    P: TracerProvider + Clone + Send + Sync + 'static,
    P::Tracer: Send + Sync + 'static,
    <P::Tracer as Tracer>::Span: Send + Sync + 'static,
{
    let ours: Arc<dyn MakeTracer> = Arc::new(provider.clone());
    *GLOBAL.write().unwrap_or_else(PoisonError::into_inner) = Some(ours);
    #[expect(clippy::disallowed_methods, reason = "what others are told to use instead")]
    global::set_tracer_provider(provider);
}

/// The tracer of one boundary.
#[derive(Clone)]
pub(crate) struct BoundTracer {
    scope: InstrumentationScope,
    bound: OnceLock<Arc<dyn StartSpan>>,
}

impl fmt::Debug for BoundTracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bound = self.bound.get().is_some();
        f.debug_struct("BoundTracer")
            .field("scope", &self.scope.name())
            .field("bound", &is_bound)
            .finish()
    }
}

impl BoundTracer {
    pub(crate) fn new(scope: InstrumentationScope) -> Self {
        BoundTracer { scope, bound: OnceLock::new() }
    }

    pub(crate) fn given<P>(&self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        let tracer: Arc<dyn StartSpan> = Arc::new(provider.tracer_with_scope(self.scope.clone()));
        BoundTracer { scope: self.scope.clone(), bound: OnceLock::from(tracer) }
    }

    /// `parent` with a new span in it.
    ///
    /// The span is invalid, or the parent's own, where there is no provider or it was shut down.
    #[inline]
    pub(crate) fn start(&self, builder: SpanBuilder, parent: &Context) -> Context {
        match self.bound.get() {
            Some(tracer) => tracer.start(builder, parent),
            None => self.bind(builder, parent),
        }
    }

    #[cold]
    fn bind(&self, builder: SpanBuilder, parent: &Context) -> Context {
        let ours = GLOBAL.read().unwrap_or_else(PoisonError::into_inner).clone();
        let tracer: Arc<dyn StartSpan> = match ours {
            Some(provider) => provider.tracer(self.scope.clone()),
            None => Arc::new(global::tracer_with_scope(self.scope.clone())),
        };
        let context = tracer.start(builder, parent);
        if is_new(&context, parent) {
            // Only now is it known that there is a provider behind the global.
            self.bound.get_or_init(|| tracer);
        }
        context
    }
}

/// Whether `context` holds a span of its own, and not nothing or `parent`'s.
#[inline]
pub(crate) fn is_new(context: &Context, parent: &Context) -> bool {
    let (span, above) = (context.span(), parent.span());
    let (span, above) = (span.span_context(), above.span_context());
    span.is_valid() && span.span_id() != above.span_id()
}
