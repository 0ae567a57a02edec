//! What goes out with a request.

use http::{HeaderMap, HeaderName};
use throughline_core::WriteCarrier;

/// The headers of a request, to write to.
pub(crate) struct OutgoingHeaders<'a>(pub(crate) &'a mut HeaderMap);

impl WriteCarrier for OutgoingHeaders<'_> {
    #[inline]
    fn replace(&mut self, name: &HeaderName, value: &str) {
        self.0.replace(name, value);
    }

    #[inline]
    fn replace_bytes(&mut self, name: &HeaderName, value: &[u8]) {
        self.0.replace_bytes(name, value);
    }

    #[inline]
    fn remove(&mut self, name: &HeaderName) {
        WriteCarrier::remove(self.0, name);
    }
}
