//! Recording what goes to OpenTelemetry's global provider, test by test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, ThreadId};

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt};
use opentelemetry::{KeyValue, trace};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};
use throughline_core::InContext;
use throughline_lineage::{Span, SpanId, TraceId};
use tokio::runtime;

use super::provider::{Provider, Sink};
use super::{Recorder, Store};
use crate::convert::ids;

impl Recorder {
    /// Runs a future whose spans come from OpenTelemetry's *global* provider, and keeps them here.
    ///
    /// The first call in a process installs a global provider of its own, which gives each span
    /// to the scope it belongs to; so tests of one process may do this side by side:
    ///
    /// - a span started in the future, or in a context that descends from it;
    /// - a span that continues a trace which the scope has seen, wherever it is started: in a
    ///   server behind a real socket, say;
    /// - a span that has lost its context in a task of the same tokio runtime, or on the thread of
    ///   [`scope_blocking`](Self::scope_blocking). It is kept so that assertions can name it.
    ///   `#[tokio::test]` gives each test a runtime; two scopes in one runtime at the same time
    ///   don't;
    /// - a span that has lost its context on any other thread, while no other test of the process
    ///   has a recorder with a scope.
    ///
    /// # Strays
    ///
    /// Of any other span nobody can tell whose it is: where several scopes are open, or where it
    /// was started too late, when its own was over. It is kept nowhere; but all who may have lost
    /// it are told its name, and their assertions on traces fail by it. These are the recorders
    /// with a scope in its runtime, open or over; or else all that ever had one, and still live.
    ///
    /// So a context that is lost fails the test that lost it in every run, and now and then one
    /// beside it as well, whose failure says so. That is fair only where all that belongs to
    /// nobody was lost: in a process where tests have scopes, a test that makes spans by the global
    /// provider needs one, too.
    ///
    /// Code that was given a provider doesn't use the global one.
    ///
    /// ```
    /// use opentelemetry::{global, trace::Tracer};
    /// use throughline_testing::Recorder;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let recorder = Recorder::new();
    /// recorder
    ///     .scope(async {
    ///         drop(global::tracer("anything").start("work"));
    ///     })
    ///     .await;
    /// recorder.assert_tree("INTERNAL work");
    /// # }
    /// ```
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        let _open = registry().open(&self.store, None);
        let context = Context::current_with_value(InScope(Arc::downgrade(&self.store)));
        InContext::new(future, context).await
    }

    /// [`scope`](Self::scope) for code that isn't asynchronous.
    pub fn scope_blocking<T>(&self, f: impl FnOnce() -> T) -> T {
        let _open = registry().open(&self.store, Some(thread::current().id()));
        let context = Context::current_with_value(InScope(Arc::downgrade(&self.store)));
        let _attached = context.attach();
        f()
    }
}

/// In the context of everything a scope polls.
#[derive(Debug)]
struct InScope(Weak<Store>);

fn registry() -> &'static Arc<Registry> {
    static REGISTRY: OnceLock<Arc<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = Arc::new(Registry::default());
        let sampler = Routed(Arc::clone(&registry));
        let sink = Arc::clone(&registry) as Arc<dyn Sink>;
        throughline_core::set_tracer_provider(Provider::new(sink, sampler, []));
        registry
    })
}

/// Which scope a span belongs to.
#[derive(Debug, Default)]
struct Registry {
    routes: Mutex<Routes>,
}

#[derive(Debug, Default)]
struct Routes {
    spans: HashMap<(TraceId, SpanId), Weak<Store>>,
    /// The last scope that saw a trace: tests like to use the same id.
    traces: HashMap<TraceId, Weak<Store>>,
    open: Vec<Place>,
    /// The scopes that are over, in which runtime, while somebody may still assert.
    over: Vec<(Option<runtime::Id>, Weak<Store>)>,
}

/// Where a scope is open.
#[derive(Debug)]
struct Place {
    runtime: Option<runtime::Id>,
    /// The one that it holds until it is over.
    thread: Option<ThreadId>,
    store: Arc<Store>,
}

/// One more scope is open while it lives.
struct Open<'a> {
    registry: &'a Registry,
    store: &'a Arc<Store>,
    runtime: Option<runtime::Id>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut routes = self.registry.routes();
        // The last one: of two on one thread, the inner ends first.
        let this = routes.open.iter().rposition(|place| {
            place.runtime == self.runtime && Arc::ptr_eq(&place.store, self.store)
        });
        if let Some(this) = this {
            routes.open.remove(this);
        }
        let over = (self.runtime, Arc::downgrade(self.store));
        let is_known =
            routes.over.iter().any(|(runtime, store)| *runtime == over.0 && store.ptr_eq(&over.1));
        if !is_known {
            routes.over.push(over);
        }
    }
}

impl Registry {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open<'a>(&'a self, store: &'a Arc<Store>, thread: Option<ThreadId>) -> Open<'a> {
        let runtime = current_runtime();
        let mut routes = self.routes();
        routes.spans.retain(|_, store| store.strong_count() > 0);
        routes.traces.retain(|_, store| store.strong_count() > 0);
        routes.over.retain(|(_, store)| store.strong_count() > 0);
        routes.open.push(Place { runtime, thread, store: Arc::clone(store) });
        Open { registry: self, store, runtime }
    }

    /// The scope of a span that is about to start.
    fn route(&self, parent: &Context) -> Option<Arc<Store>> {
        let scope =
            |context: &Context| context.get::<InScope>().and_then(|scope| scope.0.upgrade());
        // Boundaries start from an empty context: what is current still tells where they are.
        if let Some(store) = scope(parent).or_else(|| Context::map_current(scope)) {
            return Some(store);
        }
        let routes = self.routes();
        let seen = |context: &Context| {
            let (trace, span) = ids(context.span().span_context())?;
            let store = routes.spans.get(&(trace, span)).or_else(|| routes.traces.get(&trace));
            store.and_then(Weak::upgrade)
        };
        seen(parent).or_else(|| Context::map_current(seen)).or_else(|| routes.only())
    }

    fn of_span(&self, id: (TraceId, SpanId)) -> Option<Arc<Store>> {
        self.routes().spans.get(&id).and_then(Weak::upgrade)
    }
}

impl Routes {
    /// Who may have lost a span that says nothing of its scope, by where it is started.
    fn suspects(&self) -> Vec<Arc<Store>> {
        let runtime = current_runtime();
        let open = self.open.iter().map(|place| (place.runtime, Arc::clone(&place.store)));
        let over = self.over.iter().filter_map(|(at, store)| Some((*at, store.upgrade()?)));
        let mut everybody: Vec<_> = open.chain(over).collect();
        let here = |at: &Option<runtime::Id>| runtime.is_some() && *at == runtime;
        if everybody.iter().any(|(at, _)| here(at)) {
            everybody.retain(|(at, _)| here(at));
            // In a runtime that was entered on the thread of another scope.
            if let [(_, store)] = &everybody[..]
                && self.is_open(store)
            {
                return vec![Arc::clone(store)];
            }
        }
        let thread = Some(thread::current().id());
        if let Some(place) = self.open.iter().rfind(|place| place.thread == thread) {
            return vec![Arc::clone(&place.store)];
        }
        let mut suspects: Vec<Arc<Store>> = Vec::new();
        for (_, store) in everybody {
            if !suspects.iter().any(|known| Arc::ptr_eq(known, &store)) {
                suspects.push(store);
            }
        }
        suspects
    }

    /// The scope that has lost it, if there is no other.
    fn only(&self) -> Option<Arc<Store>> {
        let [store] = <[_; 1]>::try_from(self.suspects()).ok()?;
        self.is_open(&store).then_some(store)
    }

    fn is_open(&self, store: &Arc<Store>) -> bool {
        self.open.iter().any(|place| Arc::ptr_eq(&place.store, store))
    }
}

fn current_runtime() -> Option<runtime::Id> {
    runtime::Handle::try_current().ok().map(|handle| handle.id())
}

impl Sink for Registry {
    fn started(&self, span: Span, parent: &Context) {
        let Some(store) = self.route(parent) else {
            let suspects = self.routes().suspects();
            return suspects.iter().for_each(|store| store.stray(&span.name));
        };
        let mut routes = self.routes();
        routes.spans.insert((span.trace_id, span.span_id), Arc::downgrade(&store));
        routes.traces.insert(span.trace_id, Arc::downgrade(&store));
        drop(routes);
        store.started(span, parent);
    }

    fn end_called(&self, span: &SpanContext) {
        if let Some(store) = ids(span).and_then(|id| self.of_span(id)) {
            store.end_called(span);
        }
    }

    fn ended(&self, span: Span) {
        if let Some(store) = self.of_span((span.trace_id, span.span_id)) {
            store.ended(span);
        }
    }
}

/// Samples as the scope's recorder does; outside of all scopes, as OpenTelemetry does by default.
#[derive(Clone, Debug)]
struct Routed(Arc<Registry>);

impl ShouldSample for Routed {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: trace::TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let store = self.0.route(parent.unwrap_or(&Context::new()));
        let default = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        match store {
            Some(store) => {
                store.sampler().should_sample(parent, trace_id, name, kind, attributes, links)
            }
            None => default().should_sample(parent, trace_id, name, kind, attributes, links),
        }
    }
}
