use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::types::{
    Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName as Name,
};

/// A message, as its handler sees it.
///
/// It owns what it holds, and is cheap to clone. It has no receipt: a message is deleted when its
/// handler has succeeded, and in no other way.
#[derive(Clone)]
pub struct Message(Arc<SdkMessage>);

impl Message {
    pub(crate) fn new(message: SdkMessage) -> Self {
        Message(Arc::new(message))
    }

    pub(crate) fn inner(&self) -> &SdkMessage {
        &self.0
    }

    /// The id that SQS gave it.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.0.message_id().unwrap_or_default()
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &str {
        self.0.body().unwrap_or_default()
    }

    /// Its attributes, those in which its trace came as well.
    #[must_use]
    pub fn attributes(&self) -> Option<&HashMap<String, MessageAttributeValue>> {
        self.0.message_attributes()
    }

    /// The attribute of this name, where that is text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes()?.get(name)?.string_value()
    }

    /// What SQS itself tells of it.
    #[must_use]
    pub fn system_attribute(&self, name: &Name) -> Option<&str> {
        self.0.attributes()?.get(name).map(String::as_str)
    }

    /// The group in which it has its order.
    #[must_use]
    pub fn group_id(&self) -> Option<&str> {
        self.system_attribute(&Name::MessageGroupId)
    }

    /// How often it was received, this time included.
    #[must_use]
    pub fn receive_count(&self) -> Option<u32> {
        self.system_attribute(&Name::ApproximateReceiveCount)?.parse().ok()
    }

    /// When it was sent, by the clock of SQS.
    #[must_use]
    pub fn sent_at(&self) -> Option<SystemTime> {
        let millis = self.system_attribute(&Name::SentTimestamp)?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }

    /// The message as the SDK's own type, which knows nothing of its trace and has the receipt.
    #[must_use]
    pub fn into_untraced(self) -> SdkMessage {
        Arc::unwrap_or_clone(self.0)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it holds may be personal, or large.
        f.debug_struct("Message")
            .field("message_id", &self.message_id())
            .field("group_id", &self.group_id())
            .field("body_len", &self.body().len())
            .finish_non_exhaustive()
    }
}
