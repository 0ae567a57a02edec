//! Last: what goes out with a frame.

use http::HeaderName;
use throughline_core::WriteCarrier;

use crate::frame::Header;

/// The headers of a frame, to write to.
pub(crate) struct FrameHeaders<'a>(pub(crate) &'a mut Vec<Header>);

impl WriteCarrier for FrameHeaders<'_> {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        // Never beside another: a frame that is sent again carries the context of its last sender.
        self.remove(name);
        self.0.push(Header { name: name.as_str().to_owned(), value: value.into() });
    }

    fn remove(&mut self, name: &HeaderName) {
        // In any case, since that is how the other side looks for it.
        self.0.retain(|header| !header.name.eq_ignore_ascii_case(name.as_str()));
    }
}
