use std::borrow::Cow;

use opentelemetry::trace::{Link, SpanContext};
use opentelemetry::{Key, KeyValue, Value};

use crate::http::{Host, Method};
use crate::semconv;

/// What a span is started with: its name, and the attributes that its sampler may look at.
#[derive(Clone, Debug)]
pub struct Description {
    pub(crate) name: Cow<'static, str>,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) links: Option<Vec<Link>>,
    pub(crate) is_request: bool,
    pub(crate) has_route: bool,
}

impl Description {
    /// A span of this name, with room for `capacity` attributes: those set before the start and
    /// those set at the end, so that no attribute makes the list grow.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, capacity: usize) -> Self {
        Description {
            name: name.into(),
            attributes: Vec::with_capacity(capacity),
            links: None,
            is_request: false,
            has_route: false,
        }
    }

    /// Sets an attribute, one that isn't set yet: OpenTelemetry keeps doubles.
    #[inline]
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(Key::from_static_str(key), value));
    }

    /// The same, with a key that is made.
    pub fn add(&mut self, key: Key, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(key, value));
    }

    /// Sets `http.request.method`. The span is a request's: a
    /// [`HandledRequest`](crate::HandledRequest) tells of it, by its name, which is the method, and
    /// the route after a space.
    #[inline]
    pub fn set_method(&mut self, method: Method) {
        self.is_request = true;
        self.set(semconv::HTTP_REQUEST_METHOD, method.attribute);
    }

    /// Sets `http.route`, which an inner layer then won't set again, and which a
    /// [`HandledRequest`](crate::HandledRequest) tells.
    #[inline]
    pub fn set_route(&mut self, route: impl Into<Value>) {
        self.has_route = true;
        self.set(semconv::HTTP_ROUTE, route);
    }

    /// Sets `server.address`, and `server.port` where one was given.
    // Always: only there does the compiler see that the list has room.
    #[inline(always)]
    pub fn set_server(&mut self, Host { address, port }: Host) {
        self.set(semconv::SERVER_ADDRESS, address);
        if let Some(port) = port {
            self.set(semconv::SERVER_PORT, i64::from(port));
        }
    }

    /// Links the span to another, which its sampler is told, too.
    #[inline]
    pub fn link(&mut self, to: SpanContext) {
        self.link_with(to, Vec::new());
    }

    /// The same, with what is to be said of the other one alone.
    pub fn link_with(&mut self, to: SpanContext, attributes: Vec<KeyValue>) {
        self.links.get_or_insert_default().push(Link::new(to, attributes, 0));
    }

    /// Makes room for so many links more, where their number is known.
    pub fn reserve_links(&mut self, links: usize) {
        if links > 0 {
            self.links.get_or_insert_default().reserve(links);
        }
    }
}
