//! What every gRPC boundary says of a call, as the
//! [semantic conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/) have it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry::{StringValue, Value};
use percent_encoding::percent_decode;

use crate::cache::Table;
use crate::http::redact_text;
use crate::semconv;
use crate::span::{BoundarySpan, Description, End};

/// The value of [`semconv::RPC_SYSTEM_NAME`].
pub const GRPC: &str = "grpc";

/// Where the status of a call stands: in the trailers, or in the headers of a response that has
/// nothing else.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The name of a span whose method isn't known.
const UNKNOWN_METHOD: &str = "grpc";

/// How many methods are kept for ever. A server has fewer, and only those are kept that it has
/// answered.
const MAX_KNOWN: usize = 4096;

/// A longer name is no method of anybody's.
const MAX_NAME: usize = 256;

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
    const ALL: [(Code, &str); 17] = [
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

    /// The value of [`semconv::RPC_STATUS_CODE`].
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

/// The name of a method as it was called: `orders.v1.Orders/Place` of the path
/// `/orders.v1.Orders/Place`.
#[must_use]
pub fn called(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// A method as telemetry may name it: one that is known, by a name that costs no allocation.
///
/// Anybody can call what there isn't, and make up its name: that is neither the name of a span nor
/// the value of an attribute that has few.
#[must_use]
pub fn method(path: &str, side: Side) -> Option<&'static str> {
    side.known(called(path))
}

/// Who knows a method: what a process calls it doesn't serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It knows the methods that it has answered itself, and not somebody before it.
    Server,
    /// It knows what it calls, which is written in its program.
    Client,
}

/// Keeps the name of a method that is known to this side; what it is called from now on.
#[must_use]
pub fn keep(path: &str, side: Side) -> Cow<'static, str> {
    let called = called(path);
    match side.known(called).or_else(|| side.keep(called)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(called.to_owned()),
    }
}

type Names = Mutex<Option<HashSet<&'static str>>>;

static SERVED: Names = Mutex::new(None);
static CALLED: Names = Mutex::new(None);

thread_local! {
    static RECENTLY_SERVED: Table<&'static str, 32> = const { Table::new() };
    static RECENTLY_CALLED: Table<&'static str, 32> = const { Table::new() };
}

impl Side {
    fn known(self, called: &str) -> Option<&'static str> {
        let (names, recent) = match self {
            Side::Server => (&SERVED, &RECENTLY_SERVED),
            Side::Client => (&CALLED, &RECENTLY_CALLED),
        };
        Table::get(recent, called.as_bytes(), || {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner);
            names.as_ref()?.get(called).copied()
        })
    }

    #[cold]
    fn keep(self, called: &str) -> Option<&'static str> {
        let names = match self {
            Side::Server => &SERVED,
            Side::Client => &CALLED,
        };
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_default();
        let is_few = names.len() < MAX_KNOWN && called.len() <= MAX_NAME;
        if let Some(name) = names.get(called) {
            return Some(name);
        }
        is_few.then(|| {
            let name: &'static str = String::leak(called.to_owned());
            names.insert(name);
            name
        })
    }
}

/// The span of a call, with room for `capacity` attributes: of a method, or of one that isn't known
/// yet, which [`told`] or [`untold`] names later.
#[must_use]
pub fn describe(method: Option<Cow<'static, str>>, capacity: usize) -> Description {
    let name = method.clone().unwrap_or(Cow::Borrowed(UNKNOWN_METHOD));
    let mut span = Description::new(name, capacity);
    span.set(semconv::RPC_SYSTEM_NAME, GRPC);
    if let Some(method) = method {
        span.set(semconv::RPC_METHOD, value(method));
    }
    span
}

/// Tells of which method a call was, once that is known.
pub fn told(method: Cow<'static, str>, span: &BoundarySpan) {
    span.set_name(method.clone());
    span.set_attribute(semconv::RPC_METHOD, value(method));
}

/// Tells that a call was of a method that isn't one of the server's, or may be none.
pub fn untold(path: &str, span: &BoundarySpan) {
    let called = called(path);
    let called = &called[..called.floor_char_boundary(MAX_NAME)];
    span.set_attribute(semconv::RPC_METHOD, semconv::OTHER);
    span.set_attribute(semconv::RPC_METHOD_ORIGINAL, called.to_owned());
}

fn value(name: Cow<'static, str>) -> Value {
    match name {
        Cow::Borrowed(name) => Value::String(StringValue::from(name)),
        Cow::Owned(name) => Value::from(name),
    }
}
