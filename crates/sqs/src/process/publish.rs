//! The spans of messages that are published to a topic of SNS.

use aws_sdk_sns::operation::publish::{PublishError, PublishInput, PublishOutput};
use aws_sdk_sns::operation::publish_batch::{
    PublishBatchError, PublishBatchInput, PublishBatchOutput,
};
use aws_sdk_sqs::config::ConfigBag;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Input, Output};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::end::{Refused, Said};
use super::send::{Answer, Entry, Sending};
use super::span::Place;
use crate::inject::Outgoing;
use crate::room::size_of;
use crate::settings::Settings;

/// `None` for another call, and for what goes to a phone: that is no message for a service.
pub(super) fn start(settings: &Settings, input: &mut Input, cfg: &ConfigBag) -> Option<Sending> {
    if let Some(input) = input.downcast_mut::<PublishInput>() {
        let arn = input.topic_arn.as_deref().or(input.target_arn.as_deref());
        let arn = arn.filter(|arn| is_topic(arn))?;
        let body = input.message.as_ref().map_or(0, String::len);
        let size = size_of(body, input.message_attributes.as_ref());
        let mut message = Outgoing { attributes: &mut input.message_attributes, headers: None };
        return Some(Sending::one(settings, &mut message, size, || Place::topic(arn, cfg)));
    }
    let input = input.downcast_mut::<PublishBatchInput>()?;
    let place = Place::topic(input.topic_arn.as_deref()?, cfg);
    let entries = input.publish_batch_request_entries.iter_mut().flatten();
    let entries = entries.map(|entry| Entry {
        id: &entry.id,
        size: size_of(entry.message.len(), entry.message_attributes.as_ref()),
        message: Outgoing { attributes: &mut entry.message_attributes, headers: None },
    });
    Some(Sending::batch(settings, entries.collect(), &place))
}

/// And not the `endpoint` of an application on a phone.
fn is_topic(arn: &str) -> bool {
    arn.rsplit(':').next().is_some_and(|name| !name.contains('/'))
}

pub(super) fn answer(output: &Output) -> Option<Answer<'_>> {
    if let Some(output) = output.downcast_ref::<PublishOutput>() {
        return Some(Answer::One(output.message_id()));
    }
    let output = output.downcast_ref::<PublishBatchOutput>()?;
    let sent = output.successful().iter();
    let refused = output.failed().iter();
    Some(Answer::Batch {
        sent: sent.map(|it| (it.id().unwrap_or_default(), it.message_id())).collect(),
        refused: refused
            .map(|it| Refused { id: it.id(), code: it.code(), message: it.message() })
            .collect(),
    })
}

pub(super) fn error(error: &Error) -> Option<Said<'_>> {
    let one = error.downcast_ref::<PublishError>().map(|it| (it.code(), it.message()));
    one.or_else(|| error.downcast_ref::<PublishBatchError>().map(|it| (it.code(), it.message())))
}
