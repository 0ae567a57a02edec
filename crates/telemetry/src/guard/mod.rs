//! The incident's query, asked all the time: which roots are none?

mod detail;
mod instruments;
mod warn;
mod watch;

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample, SpanProcessor};
use throughline_core::root::{Attribute, Declared, Facts, Kind, Verdict};
use throughline_core::semconv;

pub use detail::RootDetail;
pub use watch::{Lineage, LostRoot};

pub(crate) use warn::flush;
pub(crate) use watch::Watch;

/// A sampler that counts and names every root that should have had a parent, and leaves the
/// decision to the sampler inside.
///
/// It stands where every span of the process comes by, those that are dropped too: a processor
/// would only see the sampled ones. What is a root by right is judged by
/// [`throughline_core::root`], as in the verdict over received spans: requests and records that
/// came in, where no parent was expected; declared roots; the receiving and settling of messages.
/// Every other root has lost its context on the way, to a spawned task, a thread, a raw client. So has
/// a message that is linked to its sender in the midst of another trace, where one was expected.
///
/// [`init`](crate::init()) puts it in place. For a provider of one's own:
///
/// ```
/// use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider};
/// use throughline_telemetry::LineageGuard;
///
/// # let exporter = opentelemetry_sdk::trace::InMemorySpanExporter::default();
/// let guard = LineageGuard::new(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
/// let lineage = guard.lineage();
/// let processor = guard.detail(BatchSpanProcessor::builder(exporter).build());
/// let provider = SdkTracerProvider::builder()
///     .with_sampler(guard)
///     .with_span_processor(processor)
///     .build();
/// # drop(provider);
/// assert_eq!(lineage.orphans(), 0);
/// ```
#[derive(Clone)]
pub struct LineageGuard {
    inner: Arc<dyn ShouldSample>,
    watch: Arc<Watch>,
}

impl LineageGuard {
    /// Watches the roots, and asks `sampler` what is kept.
    pub fn new(sampler: impl ShouldSample + 'static) -> Self {
        LineageGuard { inner: Arc::new(sampler), watch: Arc::default() }
    }

    pub(crate) fn boxed(sampler: Box<dyn ShouldSample>) -> Self {
        LineageGuard { inner: Arc::from(sampler), watch: Arc::default() }
    }

    /// What was counted so far, now and later.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage::of(Arc::clone(&self.watch))
    }

    /// Puts a processor in front of `processor` that adds to the warnings what a sampler can't
    /// know: the scope that made the span, or the module of a `tracing` span, and its trace.
    #[must_use]
    pub fn detail<P: SpanProcessor>(&self, processor: P) -> RootDetail<P> {
        self.watch.expect_detail();
        RootDetail::new(processor)
    }
}

impl LineageGuard {
    /// A batch, or a message that is linked to its sender, stands in the midst of another trace: one
    /// whose sender is missing has lost him there.
    #[cold]
    fn look_for_sender(&self, trace: TraceId, name: &str, attributes: &[KeyValue]) {
        let pairs = attributes.iter();
        let pairs = pairs.map(|pair| (pair.key.as_str(), Attribute::from(&pair.value)));
        let facts = Facts::new(Kind::Consumer, pairs);
        if facts.lacks_sender() {
            // It is no root, of which details would come.
            self.watch.orphan(name, facts.class(), trace, false);
        }
    }
}

impl fmt::Debug for LineageGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineageGuard").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl ShouldSample for LineageGuard {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let ask = || self.inner.should_sample(parent, trace_id, name, kind, attributes, links);
        if parent.is_some_and(|parent| parent.span().span_context().is_valid()) {
            if *kind == SpanKind::Consumer {
                self.look_for_sender(trace_id, name, attributes);
            }
            return ask();
        }
        let declared = parent.and_then(Declared::of);
        let mut result = ask();
        if let Some(declared) = declared {
            // The verdict over received spans has to know it as well.
            result.attributes.push(KeyValue::new(semconv::THROUGHLINE_ROOT, declared.name()));
        }
        let pairs = attributes.iter().chain(&result.attributes);
        let facts = Facts::new(
            Kind::from(kind),
            pairs.map(|pair| (pair.key.as_str(), Attribute::from(&pair.value))),
        );
        match facts.judge() {
            Verdict::Allowed(why) => self.watch.allowed(why),
            Verdict::Orphan => {
                let is_recorded = !matches!(result.decision, SamplingDecision::Drop);
                self.watch.orphan(name, facts.class(), trace_id, is_recorded);
            }
        }
        result
    }
}
