//! First: what came with a frame.

use http::HeaderName;
use throughline_core::ReadCarrier;

/// The headers of a frame, to read from.
pub(crate) struct FrameHeaders<'a>(pub(crate) &'a [(String, Vec<u8>)]);

impl ReadCarrier for FrameHeaders<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, each: impl FnMut(&'a [u8])) {
        self.0.visit(name, each);
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }
}
