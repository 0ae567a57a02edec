//! The interceptors that ours is compared with.

use crate::{PARENT_SPAN_ID, TRACE_ID};
use aws_sdk_sqs::config::interceptors::BeforeSerializationInterceptorContextMut;
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageInput;
use aws_sdk_sqs::operation::send_message::SendMessageInput;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchInput;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};
use std::collections::HashMap;

/// Does nothing.
#[derive(Debug)]
pub struct Noop;

impl Intercept for Noop {
    fn name(&self) -> &'static str {
        "noop"
    }
}

/// Traces nothing, and has the SDK carry what a trace takes: an attribute of each message that is
/// sent, and what a poll has to ask for.
#[derive(Debug)]
pub struct Carrier;

fn put(attributes: &mut Option<HashMap<String, MessageAttributeValue>>) -> Result<(), BoxError> {
    let value = format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-01");
    let value = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
    attributes.get_or_insert_default().insert("traceparent".to_owned(), value);
    Ok(())
}

impl Intercept for Carrier {
    fn name(&self) -> &'static str {
        "carrier"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        if let Some(input) = input.downcast_mut::<SendMessageInput>() {
            return put(&mut input.message_attributes);
        }
        if let Some(input) = input.downcast_mut::<SendMessageBatchInput>() {
            let mut entries = input.entries.iter_mut().flatten();
            return entries.try_for_each(|entry| put(&mut entry.message_attributes));
        }
        if let Some(input) = input.downcast_mut::<ReceiveMessageInput>() {
            let names = input.message_attribute_names.get_or_insert_default();
            names.extend(["traceparent", "tracestate", "baggage"].map(str::to_owned));
            let names = input.message_system_attribute_names.get_or_insert_default();
            names.push(MessageSystemAttributeName::AwsTraceHeader);
        }
        Ok(())
    }
}
