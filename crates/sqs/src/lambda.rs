//! Messages in an event of AWS Lambda.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName as Name,
};
use serde::{Deserialize, Serialize};

use crate::process::{Deliveries, Delivery, Message, tell_failure};

/// An event: what Lambda gives a function whose trigger is a queue, as
/// `LambdaEvent<throughline_sqs::lambda::Event>` for one.
///
/// ```
/// use throughline_sqs::{Deliveries, Message, lambda};
///
/// # async fn handle(_: Message<'_>) -> Result<(), std::io::Error> { Ok(()) }
/// async fn function(event: lambda::Event) -> lambda::Response {
///     event.process(&Deliveries::default(), async |message| handle(message).await).await
/// }
/// ```
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// A message of an event. What it holds is given up inside [`Delivery::process`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    message_id: String,
    receipt_handle: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    attributes: HashMap<String, String>,
    #[serde(default)]
    message_attributes: HashMap<String, Attribute>,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    string_value: Option<String>,
    binary_value: Option<String>,
    data_type: String,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What it holds may be personal, or large.
        f.debug_struct("Record")
            .field("message_id", &self.message_id)
            .field("event_source_arn", &self.event_source_arn)
            .finish_non_exhaustive()
    }
}

/// Which messages were not processed: those that Lambda gives out again, where the trigger has
/// `ReportBatchItemFailures`. Without that it deletes all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Response {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Failure {
    #[serde(rename = "itemIdentifier")]
    message_id: String,
}

impl Response {
    /// Adds a message that was not processed.
    pub fn add_failure(&mut self, message_id: impl Into<String>) {
        self.failures.push(Failure { message_id: message_id.into() });
    }

    /// The ids of the messages that were not processed.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.failures.iter().map(|failure| &*failure.message_id)
    }
}

impl Event {
    /// Handles the messages one after the other, each in its trace, and tells which have failed.
    ///
    /// In an event of a FIFO queue those of the same group behind a failure are not handled, and
    /// told as well: so they keep their order. Why a handler has failed the log says.
    ///
    /// A panic ends the function, and Lambda gives out all of the event again.
    pub async fn process<T, E, F>(self, deliveries: &Deliveries, handler: F) -> Response
    where
        F: AsyncFn(Message<'_>) -> Result<T, E>,
        E: Display,
    {
        let mut response = Response::default();
        let mut stopped = HashSet::new();
        for record in self.records {
            let group = record.fifo_group().map(str::to_owned);
            let message_id = record.message_id.clone();
            if group.as_ref().is_some_and(|group| stopped.contains(group)) {
                response.add_failure(message_id);
                continue;
            }
            let deliveries = record.deliveries(deliveries);
            let delivery = deliveries.delivery(record.into());
            let processed = delivery.process(async |message| {
                let handled = handler(message).await;
                if let Err(error) = &handled {
                    // To Lambda the answer tells which message it is, and not why.
                    tell_failure(&deliveries, message, &format!("{error:#}"));
                }
                handled
            });
            let processed = processed.await;
            if processed.is_err() {
                response.add_failure(message_id);
                stopped.extend(group);
            }
        }
        response
    }
}

impl Record {
    /// The id of the message.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    fn fifo_group(&self) -> Option<&str> {
        let is_fifo = self.event_source_arn.as_ref()?.ends_with(".fifo");
        self.attributes.get(Name::MessageGroupId.as_str()).filter(|_| is_fifo).map(String::as_str)
    }

    /// The message, to be processed; Lambda deletes it.
    pub fn into_delivery(self, deliveries: &Deliveries) -> Delivery {
        self.deliveries(deliveries).delivery(self.into())
    }

    fn deliveries(&self, deliveries: &Deliveries) -> Deliveries {
        deliveries.with_arn(self.event_source_arn.as_deref())
    }
}

impl From<Record> for SdkMessage {
    fn from(record: Record) -> Self {
        let attributes = record.attributes.into_iter();
        let attributes = attributes.map(|(name, value)| (Name::from(name.as_str()), value));
        let own = record.message_attributes.into_iter();
        let own = own.filter_map(|(name, value)| Some((name, value.into_sdk()?)));
        SdkMessage::builder()
            .message_id(record.message_id)
            .set_receipt_handle(record.receipt_handle)
            .set_body(record.body)
            .set_attributes(Some(attributes.collect()))
            .set_message_attributes(Some(own.collect()))
            .build()
    }
}

impl Attribute {
    fn into_sdk(self) -> Option<MessageAttributeValue> {
        let binary = self.binary_value.and_then(|it| aws_smithy_types::base64::decode(it).ok());
        MessageAttributeValue::builder()
            .data_type(self.data_type)
            .set_string_value(self.string_value)
            .set_binary_value(binary.map(Blob::new))
            .build()
            .ok()
    }
}
