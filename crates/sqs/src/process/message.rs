use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::types::{
    Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName as Name,
};

/// A message, as its handler sees it.
///
/// It borrows: a handler that needs something for longer copies it. It has no receipt: what a
/// [`Queue`](crate::Queue) received is deleted when its handler has succeeded, and in no other way.
#[derive(Clone, Copy)]
pub struct Message<'a>(&'a SdkMessage);

impl<'a> Message<'a> {
    pub(crate) fn new(message: &'a SdkMessage) -> Self {
        Message(message)
    }

    /// The id that SQS gave it.
    #[must_use]
    pub fn message_id(self) -> &'a str {
        self.0.message_id().unwrap_or_default()
    }

    /// Its body.
    #[must_use]
    pub fn body(self) -> &'a str {
        self.0.body().unwrap_or_default()
    }

    /// Its attributes, those in which its trace came as well.
    #[must_use]
    pub fn attributes(self) -> Option<&'a HashMap<String, MessageAttributeValue>> {
        self.0.message_attributes()
    }

    /// The attribute of this name, where that is text.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.attributes()?.get(name)?.string_value()
    }

    /// What SQS itself tells of it.
    #[must_use]
    pub fn system_attribute(self, name: &Name) -> Option<&'a str> {
        self.0.attributes()?.get(name).map(String::as_str)
    }

    /// The group in which it has its order.
    #[must_use]
    pub fn group_id(self) -> Option<&'a str> {
        self.system_attribute(&Name::MessageGroupId)
    }

    /// How often it was received, this time included.
    #[must_use]
    pub fn receive_count(self) -> Option<u32> {
        self.system_attribute(&Name::ApproximateReceiveCount)?.parse().ok()
    }

    /// When it was sent, by the clock of SQS.
    #[must_use]
    pub fn sent_at(self) -> Option<SystemTime> {
        let millis = self.system_attribute(&Name::SentTimestamp)?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it holds may be personal, or large.
        f.debug_struct("Message")
            .field("message_id", &self.message_id())
            .field("group_id", &self.group_id())
            .field("body_len", &self.body().len())
            .finish_non_exhaustive()
    }
}

/// A message that owns what it holds, for handlers that run in tasks of their own. Cheap to clone.
#[derive(Clone)]
pub struct OwnedMessage(Arc<SdkMessage>);

impl OwnedMessage {
    pub(crate) fn new(message: SdkMessage) -> Self {
        OwnedMessage(Arc::new(message))
    }

    /// The same, borrowed.
    #[must_use]
    pub fn as_message(&self) -> Message<'_> {
        Message(&self.0)
    }

    /// The id that SQS gave it.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.as_message().message_id()
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &str {
        self.as_message().body()
    }

    /// Its attributes, those in which its trace came as well.
    #[must_use]
    pub fn attributes(&self) -> Option<&HashMap<String, MessageAttributeValue>> {
        self.as_message().attributes()
    }

    /// The attribute of this name, where that is text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.as_message().attribute(name)
    }

    /// What SQS itself tells of it.
    #[must_use]
    pub fn system_attribute(&self, name: &Name) -> Option<&str> {
        self.as_message().system_attribute(name)
    }

    /// The group in which it has its order.
    #[must_use]
    pub fn group_id(&self) -> Option<&str> {
        self.as_message().group_id()
    }

    /// How often it was received, this time included.
    #[must_use]
    pub fn receive_count(&self) -> Option<u32> {
        self.as_message().receive_count()
    }

    /// When it was sent, by the clock of SQS.
    #[must_use]
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.as_message().sent_at()
    }

    /// The message as the SDK's own type, which knows nothing of its trace. It has no receipt, as
    /// [`Message`] has none.
    #[must_use]
    pub fn into_untraced(self) -> SdkMessage {
        Arc::unwrap_or_clone(self.0)
    }
}

impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_message().fmt(f)
    }
}
