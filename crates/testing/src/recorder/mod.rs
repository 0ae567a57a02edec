//! Spans of one test, kept in memory.

mod provider;
mod scope;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::{Sampler, ShouldSample};
use throughline_lineage::{Forest, Span};

pub use provider::{Provider, RecordedSpan, RecordedTracer};
pub(crate) use store::Store;

use crate::wait::{TimedOut, wait};

/// Keeps the spans of one test, and knows which of them were ended, how often, and which never.
///
/// Nothing global is touched, except by [`scope`](Self::scope). Clones share what they keep.
#[derive(Clone)]
pub struct Recorder {
    store: Arc<Store>,
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::new()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("ended", &self.spans().len())
            .field("open", &self.open_spans().len())
            .finish()
    }
}

impl Recorder {
    /// A recorder that samples as OpenTelemetry does by default: as the parent, and every root.
    #[must_use]
    pub fn new() -> Self {
        Recorder::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    /// A recorder with a sampler of its own.
    ///
    /// ```
    /// use opentelemetry_sdk::trace::Sampler;
    /// use throughline_testing::Recorder;
    ///
    /// let recorder = Recorder::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    /// # let _ = recorder;
    /// ```
    #[must_use]
    pub fn with_sampler(sampler: impl ShouldSample + 'static) -> Self {
        Recorder { store: Arc::new(Store::new(sampler)) }
    }

    /// A provider whose spans are kept here, for `.with_tracer_provider(&recorder.provider())`.
    ///
    /// For spans of the `tracing` crate, hand a tracer of it to `tracing-opentelemetry`:
    ///
    /// ```
    /// use opentelemetry::trace::TracerProvider;
    /// use throughline_testing::Recorder;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let recorder = Recorder::new();
    /// let layer = tracing_opentelemetry::layer().with_tracer(recorder.provider().tracer("test"));
    /// let subscriber = tracing_subscriber::registry().with(layer);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     tracing::info_span!("work").in_scope(|| ());
    /// });
    /// recorder.assert_tree("INTERNAL work");
    /// ```
    #[must_use]
    pub fn provider(&self) -> Provider {
        Provider::build(&self.store, None)
    }

    /// A provider for a service of this name: several of them let several services run in one
    /// test, and their trace be seen as one.
    #[must_use]
    pub fn provider_for(&self, service: &str) -> Provider {
        Provider::build(&self.store, Some(service))
    }

    /// The spans that have ended, in the order of their ends.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.store.ended_spans()
    }

    /// The spans that have not ended yet, as they were when they started.
    #[must_use]
    pub fn open_spans(&self) -> Vec<Span> {
        self.store.open_spans()
    }

    /// The name of each span that was ended more than once, and how often. OpenTelemetry's SDK
    /// swallows every end but the first; a boundary that does it twice has lost count.
    #[must_use]
    pub fn ended_twice(&self) -> Vec<(String, u32)> {
        self.store.ended_twice()
    }

    /// The names of spans that no [`scope`](Self::scope) owns, and that one of this recorder may
    /// have lost: they were started while it was open beside others, or after it was over.
    #[must_use]
    pub fn strays(&self) -> Vec<String> {
        self.store.strays()
    }

    /// The traces of the spans that have ended.
    #[must_use]
    pub fn forest(&self) -> Forest {
        Forest::new(self.spans())
    }

    /// Those that have ended, and those that have not.
    pub(crate) fn started(&self) -> Vec<Span> {
        self.store.all_spans()
    }

    /// Forgets all spans kept so far.
    pub fn clear(&self) {
        self.store.clear();
    }

    /// Waits until this many spans have ended, and returns them.
    ///
    /// # Errors
    ///
    /// When they have not after `deadline`; the error tells which have.
    pub async fn wait_for(&self, spans: usize, deadline: Duration) -> Result<Vec<Span>, TimedOut> {
        let wanted = format!("{spans} span{}", if spans == 1 { "" } else { "s" });
        self.wait(&wanted, deadline, |ended| ended.len() >= spans).await
    }

    /// Waits until the spans that have ended satisfy `condition`, and returns them.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn f(recorder: throughline_testing::Recorder) -> Result<(), throughline_testing::TimedOut> {
    /// recorder
    ///     .wait_until(Duration::from_secs(5), |spans| spans.iter().any(|span| span.name == "audit"))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When they don't after `deadline`; the error tells which spans have ended.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        condition: impl FnMut(&[Span]) -> bool,
    ) -> Result<Vec<Span>, TimedOut> {
        self.wait("a condition", deadline, condition).await
    }

    /// Waits until every span that was started has ended, and returns them.
    ///
    /// # Errors
    ///
    /// When one is still open after `deadline`.
    pub async fn wait_all_ended(&self, deadline: Duration) -> Result<Vec<Span>, TimedOut> {
        self.wait("all spans to end", deadline, |_| self.store.open_spans().is_empty()).await
    }

    async fn wait(
        &self,
        wanted: &str,
        deadline: Duration,
        mut condition: impl FnMut(&[Span]) -> bool,
    ) -> Result<Vec<Span>, TimedOut> {
        let check = || Some(self.spans()).filter(|spans| condition(spans));
        wait(self.store.changed(), deadline, check)
            .await
            .ok_or_else(|| TimedOut::new(deadline, wanted.to_owned(), self.spans()))
    }
}
