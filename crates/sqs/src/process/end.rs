//! How a call ends.

use std::borrow::Cow;

use aws_sdk_sqs::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sqs::error::{ConnectorError, ProvideErrorMetadata};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use throughline_core::{BoundarySpan, End, error_chain, semconv};

/// What the operations here fail with.
macro_rules! codes {
    ($error:ident, $($type:ty),+ $(,)?) => {
        None$(.or_else(|| $error.downcast_ref::<$type>().map(|it| (it.code(), it.message()))))+
    };
}

/// What an error of the service says: its code, and its message.
pub(super) type Said<'a> = (Option<&'a str>, Option<&'a str>);

fn of_service(error: &Error) -> Option<Said<'_>> {
    use aws_sdk_sqs::operation as op;
    let said = codes!(
        error,
        op::send_message::SendMessageError,
        op::send_message_batch::SendMessageBatchError,
        op::receive_message::ReceiveMessageError,
        op::delete_message::DeleteMessageError,
        op::delete_message_batch::DeleteMessageBatchError,
        op::change_message_visibility::ChangeMessageVisibilityError,
        op::change_message_visibility_batch::ChangeMessageVisibilityBatchError,
    );
    #[cfg(feature = "sns")]
    let said = said.or_else(|| super::publish::error(error));
    said
}

fn of_error(error: &OrchestratorError<Error>) -> End {
    if let Some(error) = error.as_operation_error() {
        let (code, message) = of_service(error).unwrap_or_default();
        let error_type = code.map_or(Cow::Borrowed(semconv::OTHER), |it| it.to_owned().into());
        return End::Failed {
            error_type,
            description: message.unwrap_or_default().to_owned().into(),
        };
    }
    let is_late = error.as_connector_error().is_some_and(ConnectorError::is_timeout);
    let kind = if is_late || error.is_timeout_error() {
        "timeout"
    } else if error.is_connector_error() {
        "connect"
    } else if error.is_response_error() {
        "response"
    } else if error.is_interceptor_error() {
        "interceptor"
    } else {
        semconv::OTHER
    };
    End::Failed { error_type: kind.into(), description: error_chain(error).into() }
}

/// How it went: what the service answered, or how that failed.
pub(super) fn result<'a>(
    context: &'a FinalizerInterceptorContextRef<'_>,
) -> Result<&'a Output, End> {
    match context.output_or_error() {
        Some(Ok(output)) => Ok(output),
        Some(Err(error)) => Err(of_error(error)),
        None => Err(End::failed(semconv::OTHER)),
    }
}

/// Says which request it was, as AWS has named it.
pub(super) fn tell_request(span: &BoundarySpan, context: &FinalizerInterceptorContextRef<'_>) {
    if !span.is_recording() {
        return;
    }
    let headers = context.response().map(HttpResponse::headers);
    let id = headers.and_then(|headers| headers.get("x-amzn-requestid"));
    if let Some(id) = id {
        span.set_attribute(semconv::AWS_REQUEST_ID, id.to_owned());
    }
}

/// An entry of a batch that was refused.
pub(super) struct Refused<'a> {
    pub(super) id: &'a str,
    pub(super) code: &'a str,
    pub(super) message: Option<&'a str>,
}

impl Refused<'_> {
    pub(super) fn end(&self) -> End {
        End::Failed {
            error_type: self.code.to_owned().into(),
            description: self.message.unwrap_or_default().to_owned().into(),
        }
    }
}

/// How a batch ends whose entries may have been refused: an answer of 200 says nothing.
pub(super) fn of_batch(refused: &[Refused<'_>], entries: usize) -> End {
    let Some(first) = refused.first() else { return End::Completed };
    let is_same = refused.iter().all(|it| it.code == first.code);
    let error_type = if is_same { first.code.to_owned().into() } else { semconv::OTHER.into() };
    let told: Vec<_> = refused.iter().map(|it| format!("{}: {}", it.id, it.code)).collect();
    let description = format!("{} of {entries} refused: {}", refused.len(), told.join(", "));
    End::Failed { error_type, description: description.into() }
}
