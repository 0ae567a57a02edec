//! How much room a message has: how many attributes it may have, and how long it may be.

use std::collections::HashMap;

use aws_sdk_sqs::types::MessageAttributeValue;

use crate::settings::{MAX_SIZE, Settings};

/// SQS refuses a message with more.
pub(crate) const MAX_ATTRIBUTES: usize = 10;

/// What queues allowed at the most until 2025, and many still do.
const OLD_MAX_SIZE: usize = 256 << 10;

pub(crate) const TEXT: &str = "String";

/// The value of an attribute, of SQS or of SNS.
pub(crate) trait Attribute: Sized {
    fn of_text(value: String) -> Option<Self>;
    fn bytes(&self) -> &[u8];
    fn data_type(&self) -> &str;
}

macro_rules! attribute {
    ($value:ty) => {
        impl Attribute for $value {
            fn of_text(value: String) -> Option<Self> {
                Self::builder().data_type(TEXT).string_value(value).build().ok()
            }

            fn bytes(&self) -> &[u8] {
                match (&self.string_value, &self.binary_value) {
                    (Some(text), _) => text.as_bytes(),
                    (None, Some(bytes)) => bytes.as_ref(),
                    (None, None) => &[],
                }
            }

            fn data_type(&self) -> &str {
                &self.data_type
            }
        }
    };
}
attribute!(MessageAttributeValue);
#[cfg(feature = "sns")]
attribute!(aws_sdk_sns::types::MessageAttributeValue);

/// How long a message is, or all of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    max: usize,
}

impl Size {
    pub(crate) fn of_message(bytes: usize, settings: &Settings) -> Self {
        Size { bytes, max: settings.max_message_size }
    }

    /// Of a batch, whatever the queue takes of one message.
    pub(crate) fn of_batch(bytes: usize) -> Self {
        Size { bytes, max: MAX_SIZE }
    }

    /// Whether more may be added: it never takes a message over a limit that it keeps by itself.
    pub(crate) fn has_room(self, more: usize) -> bool {
        let keeps = |max| self.bytes > max || self.bytes + more <= max;
        keeps(self.max) && keeps(OLD_MAX_SIZE)
    }
}

/// How many bytes SQS counts.
pub(crate) fn size_of<V: Attribute>(body: usize, attributes: Option<&HashMap<String, V>>) -> usize {
    let attributes = attributes.into_iter().flatten();
    body + attributes.map(|(name, value)| size_of_attribute(name, value)).sum::<usize>()
}

pub(crate) fn size_of_attribute<V: Attribute>(name: &str, value: &V) -> usize {
    name.len() + value.data_type().len() + value.bytes().len()
}
