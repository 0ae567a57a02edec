use std::fmt;
use std::sync::Arc;

use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, FromBytes, Message as _, OwnedHeaders};

use crate::Headers;

/// A record, as its handler sees it.
///
/// It borrows: a handler that needs something for longer copies it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Timestamp,
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> Message<'a> {
    pub(crate) fn borrowed(message: &'a BorrowedMessage<'_>, topic: &'a str) -> Self {
        Message {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp(),
            key: message.key(),
            payload: message.payload(),
            headers: Headers::new(message.headers()),
        }
    }

    fn owned(message: &'a rdkafka::message::OwnedMessage) -> Self {
        Message {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp(),
            key: message.key(),
            payload: message.payload(),
            headers: Headers::new(message.headers().map(OwnedHeaders::as_borrowed)),
        }
    }

    /// The topic it was read from.
    #[must_use]
    pub fn topic(self) -> &'a str {
        self.topic
    }

    /// The partition it was read from.
    #[must_use]
    pub fn partition(self) -> i32 {
        self.partition
    }

    /// Its offset in the partition.
    #[must_use]
    pub fn offset(self) -> i64 {
        self.offset
    }

    /// When it was sent or written, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.timestamp
    }

    /// Its key.
    #[must_use]
    pub fn key(self) -> Option<&'a [u8]> {
        self.key
    }

    /// Its payload; a record without one is a tombstone.
    #[must_use]
    pub fn payload(self) -> Option<&'a [u8]> {
        self.payload
    }

    /// Its headers.
    #[must_use]
    pub fn headers(self) -> Headers<'a> {
        self.headers
    }

    /// What it weighs, by what its sender chose.
    pub(crate) fn size(self) -> usize {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers: usize =
            self.headers.iter().map(|header| header.key.len() + len(header.value)).sum();
        len(self.key) + len(self.payload) + headers
    }

    /// The key as another type, a `str` for one; as in `rdkafka`.
    #[must_use]
    pub fn key_view<K: FromBytes + ?Sized>(self) -> Option<Result<&'a K, K::Error>> {
        self.key.map(K::from_bytes)
    }

    /// The payload as another type, a `str` for one; as in `rdkafka`.
    #[must_use]
    pub fn payload_view<P: FromBytes + ?Sized>(self) -> Option<Result<&'a P, P::Error>> {
        self.payload.map(P::from_bytes)
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it holds may be personal, or large.
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("payload_len", &self.payload.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}

/// A record that owns what it holds, for handlers that run in tasks of their own. Cheap to clone.
#[derive(Clone)]
pub struct OwnedMessage(Arc<rdkafka::message::OwnedMessage>);

impl OwnedMessage {
    pub(crate) fn new(message: rdkafka::message::OwnedMessage) -> Self {
        OwnedMessage(Arc::new(message))
    }

    /// The same, borrowed.
    #[must_use]
    pub fn as_message(&self) -> Message<'_> {
        Message::owned(&self.0)
    }

    /// The topic it was read from.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// The partition it was read from.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Its offset in the partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// When it was sent or written, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Its payload; a record without one is a tombstone.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        self.as_message().headers()
    }

    /// The key as another type, a `str` for one; as in `rdkafka`.
    #[must_use]
    pub fn key_view<K: FromBytes + ?Sized>(&self) -> Option<Result<&K, K::Error>> {
        self.key().map(K::from_bytes)
    }

    /// The payload as another type, a `str` for one; as in `rdkafka`.
    #[must_use]
    pub fn payload_view<P: FromBytes + ?Sized>(&self) -> Option<Result<&P, P::Error>> {
        self.payload().map(P::from_bytes)
    }

    /// The record as `rdkafka`'s own type, which knows nothing of its trace. Its headers panic
    /// where a name isn't UTF-8.
    #[must_use]
    pub fn into_untraced(self) -> rdkafka::message::OwnedMessage {
        Arc::unwrap_or_clone(self.0)
    }
}

impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_message().fmt(f)
    }
}
