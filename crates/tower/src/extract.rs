//! What came with a request.

use http::{HeaderMap, HeaderName};
use throughline_core::ReadCarrier;

/// The headers of a request, to read from.
pub(crate) struct RequestHeaders<'a>(pub(crate) &'a HeaderMap);

impl ReadCarrier for RequestHeaders<'_> {
    #[inline]
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        self.0.visit(name, each);
    }

    #[inline]
    fn visit_each<'a, const N: usize>(
        &'a self,
        names: [&HeaderName; N],
        each: impl FnMut(usize, &'a [u8]),
    ) {
        self.0.visit_each(names, each);
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }
}
