//! How a request ends.

use std::borrow::Cow;
use std::error::Error as StdError;

use http::StatusCode;
use reqwest_middleware::Error;
use throughline_core::{End, error_chain, semconv};

/// What a status says of the end.
pub(super) fn of_status(status: StatusCode) -> End {
    if status.is_client_error() || status.is_server_error() {
        End::failed(status.as_str().to_owned())
    } else {
        End::Completed
    }
}

pub(super) fn of_failed(error: &Error) -> End {
    match error {
        Error::Reqwest(error) => of_error(error),
        Error::Middleware(_) => End::failed(semconv::OTHER),
    }
}

/// Names the kind of an error. Its own text is left out, because it tells the whole URL; what
/// caused it is told.
pub(super) fn of_error(error: &reqwest::Error) -> End {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else if error.is_redirect() {
        "redirect"
    } else if error.is_body() {
        "body"
    } else if error.is_decode() {
        "decode"
    } else if error.is_builder() {
        "builder"
    } else if error.is_request() {
        "request"
    } else {
        semconv::OTHER
    };
    let description = error.source().map(|cause| error_chain(cause).into());
    End::Failed { error_type: Cow::Borrowed(kind), description: description.unwrap_or_default() }
}
