use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_util::future::BoxFuture;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Context, KeyValue};
use throughline_core::{Config, InContext, Trust, W3cPropagator};

use super::{Foreign, Headers, Outcome};
use crate::Provider;

/// How a boundary is to be built for a case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// For `.with_tracer_provider(&setup.provider)`.
    pub provider: Provider,
    /// For `.with_propagator(setup.propagator)`: what is global doesn't matter then.
    pub propagator: W3cPropagator,
    /// For `.with_propagator(foreign)` in its place, in the case that has one; outbound boundaries
    /// have none.
    pub foreign: Option<Foreign>,
    /// For `.trust(setup.trust)`; outbound boundaries have none.
    pub trust: Trust,
    /// For `.expect_parent(setup.expect_parent)`; outbound boundaries don't.
    pub expect_parent: bool,
    /// How often the boundary's layer is to be applied, one inside the other: 1 or 2. Of two, this
    /// is the outer one, and [`inner`](Self::inner) the other. A boundary that isn't built from
    /// layers says so by `LAYERED`.
    pub layers: usize,
    /// Whether the message is to fail, for an outbound boundary whose peer doesn't decide: a broker
    /// answers before any consumer has the message. It is built on a broker that refuses. Where the
    /// peer's answer decides, nothing is to be done: it is a failure in this case.
    pub refused: bool,
    /// How far the inner of two layers trusts.
    pub(super) inner_trust: Option<Trust>,
    layering: Arc<Layering>,
}

/// What a driver has done with two layers.
#[derive(Debug, Default)]
struct Layering {
    inner: AtomicBool,
    between: AtomicBool,
}

impl Setup {
    pub(super) fn new(provider: Provider) -> Self {
        Setup {
            provider,
            propagator: W3cPropagator::new(),
            foreign: None,
            trust: Trust::Continue,
            expect_parent: false,
            layers: 1,
            refused: false,
            inner_trust: None,
            layering: Arc::default(),
        }
    }

    /// How the inner of two layers is to be built: an inbound one may trust otherwise, as one that
    /// was added behind a public edge does.
    #[must_use]
    pub fn inner(&self) -> Setup {
        self.layering.inner.store(true, Relaxed);
        Setup { trust: self.inner_trust.unwrap_or(self.trust), ..self.clone() }
    }

    /// Runs what an inbound boundary has inside the outer of its two layers: the inner one, called
    /// by this future. It stands for a middleware between them that sets baggage.
    ///
    /// ```text
    /// let between = service_fn(move |request| {
    ///     let (setup, inner) = (setup.clone(), inner.clone());
    ///     async move { setup.between(inner.oneshot(request)).await }
    /// });
    /// ```
    pub async fn between<F: Future>(&self, inner: F) -> F::Output {
        self.layering.between.store(true, Relaxed);
        let current = Context::current();
        let pairs = current.baggage().iter();
        let pairs = pairs.map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()));
        let context = current.with_baggage(pairs.chain([KeyValue::new("between", "layers")]));
        InContext::new(inner, context).await
    }

    /// Without these a driver's layers prove nothing.
    pub(super) fn was_layered(&self) -> Outcome {
        let Layering { inner, between } = &*self.layering;
        ensure!(inner.load(Relaxed), "the driver doesn't build its inner layer by Setup::inner");
        ensure!(between.load(Relaxed), "the driver doesn't run its inner layer in Setup::between");
        Ok(())
    }

    /// A core configuration as this case wants it.
    #[must_use]
    pub fn configure(&self, config: Config) -> Config {
        let config = config
            .with_tracer_provider(&self.provider)
            .with_propagator(self.propagator)
            .trust(self.trust)
            .expect_parent(self.expect_parent);
        match &self.foreign {
            Some(foreign) => config.with_propagator(foreign.clone()),
            None => config,
        }
    }
}

/// What a handler or a peer fails with, when a case wants it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the battery wanted a failure")]
pub struct Failed;

/// The handler of one message, run by an inbound boundary with the message's context current.
///
/// It succeeds, fails, panics, or never ends, as the case wants it.
#[derive(Clone)]
pub struct Handler(Arc<dyn Fn() -> BoxFuture<'static, Result<(), Failed>> + Send + Sync>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl Handler {
    pub(super) fn new(
        run: impl Fn() -> BoxFuture<'static, Result<(), Failed>> + Send + Sync + 'static,
    ) -> Self {
        Handler(Arc::new(run))
    }

    /// Handles the message; to be called once.
    ///
    /// # Errors
    ///
    /// When the case wants it. The boundary takes it for the failure of the message.
    pub async fn run(&self) -> Result<(), Failed> {
        (self.0)().await
    }
}

/// The other end of an outbound boundary: what would be a server or a broker.
#[derive(Clone)]
pub struct Peer(Arc<dyn Fn(Headers) -> BoxFuture<'static, Result<(), Failed>> + Send + Sync>);

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer")
    }
}

impl Peer {
    pub(super) fn new(
        receive: impl Fn(Headers) -> BoxFuture<'static, Result<(), Failed>> + Send + Sync + 'static,
    ) -> Self {
        Peer(Arc::new(receive))
    }

    /// Takes the headers as they left the boundary, and answers as the case wants it; to be called
    /// once.
    ///
    /// # Errors
    ///
    /// When the case wants it: the driver makes it a failure of its protocol.
    pub async fn receive(&self, headers: Headers) -> Result<(), Failed> {
        (self.0)(headers).await
    }
}
