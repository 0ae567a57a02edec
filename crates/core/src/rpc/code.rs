use std::borrow::Cow;
use std::fmt;

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode;

use crate::http::redact_text;
use crate::span::End;

/// Where the status of a call stands: in the trailers, or in the headers of a response that has
/// nothing else.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The status of a call, one of [the seventeen](https://grpc.io/docs/guides/status-codes/).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// It went well.
    Ok,
    /// Whoever called gave up.
    Cancelled,
    /// Nobody says why it failed.
    Unknown,
    /// What was asked for makes no sense.
    InvalidArgument,
    /// It took too long.
    DeadlineExceeded,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// The caller may not.
    PermissionDenied,
    /// Something is used up.
    ResourceExhausted,
    /// Something else has to be done first.
    FailedPrecondition,
    /// Somebody else was quicker.
    Aborted,
    /// Past the end.
    OutOfRange,
    /// There is no such method.
    Unimplemented,
    /// Something is broken inside.
    Internal,
    /// Try again later.
    Unavailable,
    /// Data are gone.
    DataLoss,
    /// Nobody knows who calls.
    Unauthenticated,
}

impl Code {
    pub(super) const ALL: [(Code, &str); 17] = [
        (Code::Ok, "OK"),
        (Code::Cancelled, "CANCELLED"),
        (Code::Unknown, "UNKNOWN"),
        (Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (Code::NotFound, "NOT_FOUND"),
        (Code::AlreadyExists, "ALREADY_EXISTS"),
        (Code::PermissionDenied, "PERMISSION_DENIED"),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
        (Code::FailedPrecondition, "FAILED_PRECONDITION"),
        (Code::Aborted, "ABORTED"),
        (Code::OutOfRange, "OUT_OF_RANGE"),
        (Code::Unimplemented, "UNIMPLEMENTED"),
        (Code::Internal, "INTERNAL"),
        (Code::Unavailable, "UNAVAILABLE"),
        (Code::DataLoss, "DATA_LOSS"),
        (Code::Unauthenticated, "UNAUTHENTICATED"),
    ];

    /// The status in headers or trailers; `None` where there is none. One that is no number of a
    /// status is [`Code::Unknown`], as every client takes it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(GRPC_STATUS).map(|value| Code::parse(value).unwrap_or(Code::Unknown))
    }

    fn parse(value: &HeaderValue) -> Option<Self> {
        let number: usize = value.to_str().ok()?.parse().ok()?;
        Code::ALL.get(number).map(|(code, _)| *code)
    }

    /// What a client makes of a response without a status, as
    /// [gRPC says](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
    #[must_use]
    pub fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// The value of [`RPC_STATUS_CODE`](crate::semconv::RPC_STATUS_CODE).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Code::ALL[self as usize].1
    }

    /// How the span of a call ends that ended so. To a client everything is an error that isn't
    /// [`Code::Ok`]; to a server only what it has to answer for. The message, where one stands in
    /// `headers`, is the description of its status, with secrets in URLs redacted.
    #[must_use]
    pub fn end(self, is_client: bool, headers: Option<&HeaderMap>) -> End {
        let is_servers_fault = matches!(
            self,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        if !(is_servers_fault || is_client && self != Code::Ok) {
            return End::Completed;
        }
        let description = headers.and_then(|headers| headers.get(GRPC_MESSAGE)).map(message);
        End::Failed {
            error_type: Cow::Borrowed(self.as_str()),
            description: description.unwrap_or_default().into(),
        }
    }
}

fn message(value: &HeaderValue) -> String {
    let text = percent_decode(value.as_bytes()).decode_utf8_lossy();
    redact_text(&text).into_owned()
}

impl Code {
    /// Whether an answer with this status comes from the method, and not maybe from who stands in
    /// front of it: a router, or an interceptor that lets nobody in.
    #[must_use]
    pub fn is_of_method(self) -> bool {
        matches!(
            self,
            Code::Ok
                | Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::DataLoss
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
