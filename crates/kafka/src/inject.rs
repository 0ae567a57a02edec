//! What goes out with a record.

use std::ffi::CString;

use http::HeaderName;
use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders};
use throughline_core::WriteCarrier;

use crate::{Headers, raw};

/// Room for the context, and for a few headers of the user's.
const CAPACITY: usize = 5;

/// The headers of a record, to write to.
pub(crate) struct RecordHeaders(Option<OwnedHeaders>);

impl RecordHeaders {
    pub(crate) fn new(headers: Option<OwnedHeaders>) -> Self {
        RecordHeaders(headers)
    }

    pub(crate) fn into_inner(self) -> Option<OwnedHeaders> {
        self.0
    }

    fn remove_named(&mut self, name: &str) {
        let Some(headers) = &mut self.0 else { return };
        // As it is written there, since librdkafka looks for exactly that.
        while let Some(key) = find(headers, name) {
            raw::remove(headers, &key);
        }
    }

    fn append(&mut self, key: &str, value: &str) {
        let headers = self.0.take().unwrap_or_else(|| OwnedHeaders::new_with_capacity(CAPACITY));
        self.0 = Some(headers.insert(Header { key, value: Some(value) }));
    }
}

/// A name that is there, and is `name` but for its case.
fn find(headers: &OwnedHeaders, name: &str) -> Option<CString> {
    let mut headers = Headers::new(Some(headers.as_borrowed())).iter();
    let header = headers.find(|header| header.key.eq_ignore_ascii_case(name.as_bytes()))?;
    CString::new(header.key).ok()
}

/// A copy of these headers, with others that replace those of the same name.
pub(crate) fn with(headers: Headers<'_>, more: &[(&str, String)]) -> Option<OwnedHeaders> {
    let mut copy = RecordHeaders(headers.as_borrowed().map(BorrowedHeaders::detach));
    for (key, value) in more {
        copy.remove_named(key);
        copy.append(key, value);
    }
    copy.0
}

impl WriteCarrier for RecordHeaders {
    fn replace(&mut self, name: &HeaderName, value: &str) {
        self.remove(name);
        self.append(name.as_str(), value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.remove_named(name.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(headers: &OwnedHeaders) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = Headers::new(Some(headers.as_borrowed()));
        let pairs = headers.iter().map(|header| (header.key, header.value.unwrap_or(b"null")));
        pairs.map(|(key, value)| (text(key), text(value))).collect()
    }

    #[test]
    fn what_is_there_is_replaced_however_often_and_in_whatever_case() {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "traceparent", value: Some("stale") })
            .insert(Header { key: "x-kept", value: Some("yes") })
            .insert(Header { key: "Traceparent", value: Some("stale") })
            .insert(Header { key: "traceparent", value: None::<&str> });
        let mut carrier = RecordHeaders::new(Some(headers));
        carrier.replace(&HeaderName::from_static("traceparent"), "new");
        carrier.remove(&HeaderName::from_static("baggage"));
        let headers = carrier.into_inner().unwrap_or_default();
        let wanted = [("x-kept", "yes"), ("traceparent", "new")];
        assert_eq!(pairs(&headers), wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_record_without_headers_gets_none_but_what_is_sent() {
        let mut carrier = RecordHeaders::new(None);
        carrier.remove(&HeaderName::from_static("baggage"));
        assert!(carrier.0.is_none());
        carrier.replace(&HeaderName::from_static("traceparent"), "new");
        assert_eq!(pairs(&carrier.into_inner().unwrap_or_default()).len(), 1);
    }
}
