//! What came with a request.

use std::cell::Cell;

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use throughline_core::ReadCarrier;

/// The headers of a request, to read from. In the pass that finds the context, it remembers what
/// the description of the span will ask for.
pub(crate) struct RequestHeaders<'a> {
    headers: &'a HeaderMap,
    described: Cell<Option<Described<'a>>>,
}

/// The first of each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Described<'a> {
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
}

/// More headers than these aren't read through: as in the core, looking up a name costs less.
const FEW_HEADERS: usize = 10;

impl<'a> RequestHeaders<'a> {
    #[inline]
    pub(crate) fn new(headers: &'a HeaderMap) -> Self {
        RequestHeaders { headers, described: Cell::new(None) }
    }

    #[inline]
    pub(crate) fn described(&self) -> Described<'a> {
        let first = |name| self.headers.get(name).map(HeaderValue::as_bytes);
        self.described
            .get()
            .unwrap_or_else(|| Described { host: first(HOST), user_agent: first(USER_AGENT) })
    }
}

impl ReadCarrier for RequestHeaders<'_> {
    #[inline]
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        self.headers.visit(name, each);
    }

    #[inline]
    fn visit_each<'a, const N: usize>(
        &'a self,
        names: [&HeaderName; N],
        mut each: impl FnMut(usize, &'a [u8]),
    ) {
        if self.headers.len() > FEW_HEADERS {
            return self.headers.visit_each(names, each);
        }
        let mut described = Described::default();
        for (name, value) in self.headers {
            let value = value.as_bytes();
            if let Some(place) = names.iter().position(|wanted| *wanted == name) {
                each(place, value);
            } else if *name == HOST {
                described.host.get_or_insert(value);
            } else if *name == USER_AGENT {
                described.user_agent.get_or_insert(value);
            }
        }
        self.described.set(Some(described));
    }

    fn names(&self) -> Vec<&str> {
        self.headers.names()
    }
}
