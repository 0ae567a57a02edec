use std::fmt;

use rdkafka::message::{BorrowedHeaders, OwnedHeaders};

use crate::raw;

/// A header of a record: names and values are bytes, since nobody promises that they are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name. Kafka tells upper from lower case, and lets a name come more than once.
    pub key: &'a [u8],
    /// Its value; `None` where the sender gave it none, which isn't the same as an empty one.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, in their order.
///
/// Read without a copy, and without the panic that a name that isn't UTF-8 causes in `rdkafka`.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a>(Option<&'a BorrowedHeaders>);

impl<'a> Headers<'a> {
    pub(crate) fn new(headers: Option<&'a BorrowedHeaders>) -> Self {
        Headers(headers)
    }

    pub(crate) fn as_borrowed(self) -> Option<&'a BorrowedHeaders> {
        self.0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Header<'a>> {
        let pairs = (0..).map_while(move |index| raw::get(self.0?, index));
        pairs.map(|(key, value)| Header { key, value })
    }

    /// The value of the last header of this name, which is the one that holds in Kafka; `None`
    /// where there is none, or it has no value.
    #[must_use]
    pub fn get(self, key: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        let key = key.as_ref();
        self.iter().filter(|header| header.key == key).last()?.value
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.map_or(0, rdkafka::message::Headers::count)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets, and there may be thousands: only how many there are is told.
        f.debug_struct("Headers").field("len", &self.len()).finish()
    }
}

/// Appends a header to those of a record that is to be sent. `rdkafka`'s own
/// [`insert`](OwnedHeaders::insert) takes names that are text; this one takes any bytes without a
/// NUL, as other clients do.
#[must_use]
pub fn append_header(
    mut headers: OwnedHeaders,
    key: impl AsRef<[u8]>,
    value: Option<&[u8]>,
) -> OwnedHeaders {
    raw::append(&mut headers, key.as_ref(), value);
    headers
}
