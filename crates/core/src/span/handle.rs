use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use opentelemetry::trace::{SpanContext, SpanId, SpanRef, Status, TraceContextExt};
use opentelemetry::{Context, Key, KeyValue, Value};

use crate::http::redact_text;
use crate::metrics::{Direction, Measure};
use crate::semconv;

/// What the owner of a boundary span and its handles share, as a value in the span's context.
#[derive(Debug)]
pub(crate) struct State {
    /// The context that holds the span, and not this state: no cycle.
    span: Context,
    /// The span's parent; invalid if it has none.
    parent: SpanId,
    /// Whether it was said how the message ended: by its handler, or by its end.
    settled: Mutex<bool>,
    /// The name of a request's span: its method and, where that was known at the start, its route.
    request: Option<&'static str>,
    has_route: bool,
    /// The route, where it was found later.
    refined: OnceLock<Value>,
    ended: AtomicBool,
}

impl State {
    pub(crate) fn new(
        span: Context,
        parent: SpanId,
        request: Option<&'static str>,
        has_route: bool,
    ) -> Self {
        State {
            span,
            parent,
            settled: Mutex::new(false),
            request,
            has_route,
            refined: OnceLock::new(),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// Whether `other` is what the message came with that this span is of.
    pub(crate) fn continues(&self, other: &SpanContext) -> bool {
        let trace = self.span.span().span_context().trace_id();
        (other.trace_id(), other.span_id()) == (trace, self.parent)
    }

    /// Calls `say` if nobody has settled how the message ended. The lock is held meanwhile, so
    /// that an end that comes just then can't close the span half told. Whether it was called.
    pub(crate) fn settle(&self, say: impl FnOnce(&SpanRef<'_>)) -> bool {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !std::mem::replace(&mut *settled, true);
        if is_first {
            say(&self.span.span());
        }
        is_first
    }
}

/// Why a message failed, kept from an error: its type, and what it and its causes say.
///
/// For a handler that turns its errors into responses: put into the extensions of the response, it
/// tells the span what the status alone doesn't.
///
/// ```
/// use std::io::Error;
///
/// use http::{Response, StatusCode};
/// use throughline_core::Failure;
///
/// fn answer(error: &Error) -> Response<&'static str> {
///     let mut response = Response::new("sorry");
///     *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
///     response.extensions_mut().insert(Failure::new(error));
///     response
/// }
/// # drop(answer(&Error::other("the disk is full")));
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    error_type: &'static str,
    chain: String,
}

impl Failure {
    /// What `error` says. Secrets in URLs are redacted.
    #[must_use]
    pub fn new<E: Error + ?Sized>(error: &E) -> Self {
        Failure { error_type: error_type::<E>(), chain: error_chain(error) }
    }
}

/// A handle to the span of the message that is being handled, for the handler's own facts.
///
/// Cheap to clone, and good after a spawn. It never ends the span; once the span has ended, or
/// where nothing is recorded, it does nothing.
#[derive(Clone, Debug, Default)]
pub struct Boundary {
    context: Context,
}

/// The span of the message that is being handled here, as its boundary started it.
///
/// Not the innermost span: inside an `#[instrument]`ed function this is still the request's, so
/// an id set here is found on the span that people look for. Outside every boundary, and in an
/// unsampled trace, the handle does nothing.
///
/// ```
/// async fn place_order(id: u64) {
///     throughline_core::boundary().set_attribute("order.id", id as i64);
/// }
/// ```
#[must_use]
pub fn boundary() -> Boundary {
    // The handle may live long; the span that happens to be current must not. The ids of the
    // message's own take its place, so that whoever attaches the context keeps the trace.
    let context = Context::map_current(|current| match current.get::<State>() {
        Some(state) => current.with_remote_span_context(state.span.span().span_context().clone()),
        // Of an unsampled message, or of none.
        None if current.span().is_recording() => {
            current.with_remote_span_context(current.span().span_context().clone())
        }
        None => current.clone(),
    });
    Boundary { context }
}

impl Boundary {
    pub(crate) fn of(context: Context) -> Self {
        Boundary { context }
    }

    /// The context the message is handled in, sampled or not; outside every boundary, what was
    /// current.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn state(&self) -> Option<&State> {
        self.context.get()
    }

    fn measure(&self) -> Option<&Measure> {
        Measure::of(&self.context, Direction::Inbound)
    }

    /// The ids of the span, `None` where the handle does nothing.
    #[must_use]
    pub fn span_context(&self) -> Option<SpanContext> {
        self.state().map(|state| state.span.span().span_context().clone())
    }

    /// Whether what is set here will be seen by anyone.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.state().is_some_and(|state| state.span.span().is_recording())
    }

    /// Whether the span has ended: a message that brings such a handle is handled once more, and
    /// has a span of its own.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.state() {
            Some(state) => state.ended.load(Relaxed),
            None => self.measure().is_some_and(Measure::has_ended),
        }
    }

    /// Sets an attribute of the span.
    ///
    /// Set each key once: OpenTelemetry's SDK keeps doubles.
    pub fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>) {
        if let Some(state) = self.state() {
            state.span.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Says why the message failed: `error` and its causes become the description of the span's
    /// status, its type `error.type`, and one log record at the level ERROR is written. Secrets in
    /// URLs that they tell of are redacted.
    ///
    /// The first call holds, and later ones say nothing. The span goes on, and ends when its
    /// message does; whatever its boundary would say about the end, a panic too, gives way to this.
    pub fn fail<E: Error + ?Sized>(&self, error: &E) {
        self.fail_as(&Failure::new(error));
    }

    /// The same, for an error that is gone by now.
    pub fn fail_as(&self, failure: &Failure) {
        let Failure { error_type: name, chain } = failure;
        let is_news = self.measure().is_none_or(|measure| measure.fail(name));
        let is_first = match self.state() {
            None => is_news,
            Some(state) => state.settle(|span| {
                span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, *name));
                span.set_status(Status::error(chain.clone()));
            }),
        };
        if is_first {
            tracing::event!(
                target: "throughline",
                tracing::Level::ERROR,
                { semconv::ERROR_TYPE } = *name,
                "{chain}"
            );
        }
    }

    /// Names the span after the route of its request, which only an inner layer may know; the
    /// first call holds. What is measured of the request is told it as well, where the name is one
    /// that is written in the program: of others there may be any number.
    ///
    /// For boundary crates. `describe` yields the name and the route.
    pub fn refine_route<N, R>(&self, describe: impl Fn() -> (N, R))
    where
        N: Into<Cow<'static, str>>,
        R: Into<Value>,
    {
        if let Some(measure) = self.measure() {
            measure.refine(semconv::HTTP_ROUTE, || {
                let (name, route) = describe();
                matches!(name.into(), Cow::Borrowed(_)).then(|| route.into())
            });
        }
        let Some(state) = self.state().filter(|state| !state.has_route) else { return };
        let mut name = None;
        let route = state.refined.get_or_init(|| {
            let (told, route) = describe();
            name = Some(told);
            route.into()
        });
        // There is a name only where nobody had told the route.
        if let Some(name) = name {
            let span = state.span.span();
            span.update_name(name);
            span.set_attribute(KeyValue::new(semconv::HTTP_ROUTE, route.clone()));
        }
    }
}

/// What is known of the HTTP request that is handled in a context, for log lines and the like.
///
/// It is read from the boundary span's own memory, and only when asked for. So it is known where
/// that span is recorded, and to whatever runs in its context, after the response, too; never of a
/// request that isn't sampled.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HandledRequest {
    /// `http.request.method`
    pub method: &'static str,
    /// `http.route`, if a router has told it.
    pub route: Option<Cow<'static, str>>,
}

impl HandledRequest {
    /// The one of `context`, if there is a recorded one.
    #[must_use]
    pub fn of(context: &Context) -> Option<Self> {
        let state: &State = context.get()?;
        let name = state.request?;
        let (method, route) = match name.split_once(' ').filter(|_| state.has_route) {
            Some((method, route)) => (method, Some(Cow::Borrowed(route))),
            None => (name, state.refined.get().map(|route| Cow::Owned(route.to_string()))),
        };
        // As a name says it that has no method to tell.
        let method = if method == "HTTP" { semconv::OTHER } else { method };
        Some(HandledRequest { method, route })
    }
}

/// The type of an error as it is written, `_OTHER` for one behind `dyn Error`.
pub(crate) fn error_type<E: ?Sized>() -> &'static str {
    match type_name::<E>() {
        name if name.contains("dyn ") => semconv::OTHER,
        name => name,
    }
}

/// An error and its causes, outermost first, joined by colons. URLs in them are redacted.
#[must_use]
pub fn error_chain<E: Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Bounded, since nothing keeps an error from being its own cause.
    for _ in 0..16 {
        let Some(error) = cause else { break };
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    match redact_text(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(redacted) => redacted,
    }
}
