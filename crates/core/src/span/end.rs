use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanRef, Status};

use super::handle::error_type;
use crate::http::redact_text;
use crate::semconv;

/// How a boundary span ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// As it should: the status stays unset.
    Completed,
    /// With an error: the status is Error.
    Failed {
        /// The value of `error.type`: a status code, or the type of an error. Of low cardinality.
        error_type: Cow<'static, str>,
        /// The description of the status; empty where `error.type` says it all.
        description: Cow<'static, str>,
    },
    /// Whoever waited for it gave up. No error: the status stays unset, `error.type` is
    /// `cancelled`.
    Cancelled,
    /// The handler panicked: the status is Error, `error.type` is `panic`.
    Panicked,
}

impl End {
    /// [`End::Failed`], with an `error.type` that says it all.
    #[must_use]
    pub fn failed(error_type: impl Into<Cow<'static, str>>) -> Self {
        End::Failed { error_type: error_type.into(), description: Cow::Borrowed("") }
    }

    // Most messages have nothing to say, which is seen without a call.
    #[inline]
    pub(super) fn say(self, span: &SpanRef<'_>) {
        if !matches!(self, End::Completed) {
            self.say_why(span);
        }
    }

    fn say_why(self, span: &SpanRef<'_>) {
        let Some(error_type) = self.error_type() else { return };
        span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error_type));
        match self {
            End::Completed | End::Cancelled => {}
            End::Failed { description, .. } => span.set_status(Status::Error { description }),
            End::Panicked => span.set_status(Status::error("the handler panicked")),
        }
    }

    /// The value of `error.type`; `None` where there is none.
    pub(crate) fn error_type(&self) -> Option<Cow<'static, str>> {
        match self {
            End::Completed => None,
            End::Failed { error_type, .. } => Some(error_type.clone()),
            End::Cancelled => Some(Cow::Borrowed(semconv::CANCELLED)),
            End::Panicked => Some(Cow::Borrowed(semconv::PANIC)),
        }
    }

    /// [`End::Failed`], with the type of an error, `_OTHER` for one behind `dyn Error`.
    #[must_use]
    pub fn failed_with<E>() -> Self {
        End::failed(error_type::<E>())
    }

    /// The same, with what the error says (in its alternate form, in which many tell their causes)
    /// as the description of the status. Secrets in URLs are redacted.
    #[must_use]
    pub fn failed_saying<E: ?Sized>(error: &dyn fmt::Display) -> Self {
        let text = format!("{error:#}");
        let description = match redact_text(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(redacted) => Cow::Owned(redacted),
        };
        End::Failed { error_type: Cow::Borrowed(error_type::<E>()), description }
    }
}

/// What a panic said, for a line in the log: its payload, where that is text.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
