//! First: what came with a frame.

use http::HeaderName;
use throughline_core::ReadCarrier;

use crate::frame::Header;

/// The headers of a frame, to read from.
pub(crate) struct FrameHeaders<'a>(pub(crate) &'a [Header]);

impl ReadCarrier for FrameHeaders<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        // All of them: a list may come in several headers, and a doubled `traceparent` is none.
        for header in self.0 {
            // A `HeaderName` is in lower case. Who sent this may write it otherwise.
            if header.name.eq_ignore_ascii_case(name.as_str()) {
                each(&header.value);
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|header| header.name.as_str()).collect()
    }
}
