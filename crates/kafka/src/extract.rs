//! What came with a record.

use http::HeaderName;
use throughline_core::ReadCarrier;

use crate::Headers;

/// The headers of a record, to read from. The last one of a name holds, as in Kafka's own clients:
/// whoever forwards a record appends.
pub(crate) struct RecordHeaders<'a>(pub(crate) Headers<'a>);

fn is_named(key: &[u8], name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    key.len() == name.len() && key.eq_ignore_ascii_case(name)
}

impl ReadCarrier for RecordHeaders<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        self.visit_each([name], |_, value| each(value));
    }

    #[inline]
    fn visit_each<'a, const N: usize>(
        &'a self,
        names: [&HeaderName; N],
        mut each: impl FnMut(usize, &'a [u8]),
    ) {
        let mut last = [None; N];
        for header in self.0.iter() {
            if let Some(place) = names.iter().position(|name| is_named(header.key, name)) {
                // One without a value says as little as one that is absent.
                last[place] = header.value.or(last[place]);
            }
        }
        for (place, value) in last.into_iter().enumerate() {
            if let Some(value) = value {
                each(place, value);
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().filter_map(|header| std::str::from_utf8(header.key).ok()).collect()
    }
}

/// The headers of a record that is about to be sent. Who puts a context there does it once: doubles
/// were left by somebody who appends, and say nothing.
pub(crate) struct Created<'a>(pub(crate) Headers<'a>);

impl ReadCarrier for Created<'_> {
    fn visit<'a>(&'a self, name: &HeaderName, mut each: impl FnMut(&'a [u8])) {
        let named = self.0.iter().filter(|header| is_named(header.key, name));
        named.filter_map(|header| header.value).for_each(&mut each);
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().filter_map(|header| std::str::from_utf8(header.key).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn the_last_value_holds_whatever_its_case() {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "traceparent", value: Some("first") })
            .insert(Header { key: "TraceParent", value: Some("second") })
            .insert(Header { key: "traceparent", value: None::<&str> })
            .insert(Header { key: "baggage", value: Some("a=1") });
        let carrier = RecordHeaders(Headers::new(Some(headers.as_borrowed())));
        let names = ["baggage", "tracestate", "traceparent"].map(HeaderName::from_static);
        let mut seen = Vec::new();
        carrier.visit_each([&names[0], &names[1], &names[2]], |place, value| {
            seen.push((place, value.to_vec()));
        });
        assert_eq!(seen, [(0, b"a=1".to_vec()), (2, b"second".to_vec())]);
        assert_eq!(carrier.names().len(), 4);
    }
}
