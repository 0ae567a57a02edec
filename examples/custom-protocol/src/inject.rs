//! Last: what goes out with a frame.

use http::HeaderName;
use throughline_core::WriteCarrier;

/// The headers of a frame, to write to.
pub(crate) struct FrameHeaders<'a>(pub(crate) &'a mut Vec<(String, Vec<u8>)>);

impl WriteCarrier for FrameHeaders<'_> {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        WriteCarrier::replace(self.0, name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        WriteCarrier::remove(self.0, name);
    }
}
