//! What every gRPC boundary says of a call, as the
//! [semantic conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/) have it.

mod code;
mod names;

use std::borrow::Cow;

use opentelemetry::{KeyValue, StringValue, Value};

pub use code::Code;
use names::MAX_NAME;
pub use names::{Side, called, keep, method};

use crate::metrics::Labels;
use crate::semconv::{self, replaced};
use crate::span::{BoundarySpan, Description};
use crate::stability;

/// The value of [`semconv::RPC_SYSTEM_NAME`].
pub const GRPC: &str = "grpc";

/// The name of a span whose method isn't known.
const UNKNOWN_METHOD: &str = "grpc";

/// The span of a call, with room for `capacity` attributes: of a method, or of one that isn't known
/// yet, which [`told`] or [`untold`] names later.
#[must_use]
pub fn describe(method: Option<Cow<'static, str>>, capacity: usize) -> Description {
    let name = method.clone().unwrap_or(Cow::Borrowed(UNKNOWN_METHOD));
    let mut span = Description::new(name, capacity);
    span.set(semconv::RPC_SYSTEM_NAME, GRPC);
    if stability::tells_old_rpc() {
        span.set(replaced::RPC_SYSTEM, GRPC);
        if let Some(service) = method.as_ref().and_then(service) {
            span.set(replaced::RPC_SERVICE, service);
        }
    }
    if let Some(method) = method {
        span.set(semconv::RPC_METHOD, value(method));
    }
    span
}

/// The span of a call of a method that isn't one of those that there are.
#[must_use]
pub fn describe_other(path: &str, capacity: usize) -> Description {
    let mut span = describe(None, capacity);
    span.set(semconv::RPC_METHOD, semconv::OTHER);
    span.set(semconv::RPC_METHOD_ORIGINAL, original(path));
    span
}

/// Labels what is measured of a call: of a method, or of one that isn't known yet.
pub fn label(method: Option<Cow<'static, str>>, labels: &mut Labels) {
    labels.set(semconv::RPC_SYSTEM_NAME, GRPC);
    match method {
        Some(Cow::Borrowed(name)) => labels.set(semconv::RPC_METHOD, name),
        // Of these there may be any number.
        Some(Cow::Owned(_)) => labels.set(semconv::RPC_METHOD, semconv::OTHER),
        None => {}
    }
}

/// Tells of which method a call was, once that is known.
pub fn told(method: Cow<'static, str>, span: &BoundarySpan) {
    span.set_name(method.clone());
    if stability::tells_old_rpc()
        && let Some(service) = service(&method)
    {
        span.set_attribute(replaced::RPC_SERVICE, service);
    }
    match method {
        Cow::Borrowed(name) => span.tell(semconv::RPC_METHOD, name),
        Cow::Owned(name) => {
            span.set_attribute(semconv::RPC_METHOD, name);
            if let Some(measure) = span.measure() {
                measure.tell(semconv::RPC_METHOD, semconv::OTHER);
            }
        }
    }
}

/// Tells how a call ended.
pub fn tell_code(code: Code, span: &BoundarySpan) {
    span.tell(semconv::RPC_STATUS_CODE, code.as_str());
    if stability::tells_old_rpc() {
        span.set_attribute(replaced::RPC_GRPC_STATUS_CODE, i64::from(code as u8));
    }
}

/// The service of `orders.v1.Orders/Place`, which costs nothing where the method does.
#[expect(clippy::ptr_arg, reason = "whether it is borrowed decides what it costs")]
fn service(method: &Cow<'static, str>) -> Option<Value> {
    match method {
        Cow::Borrowed(name) => Some(name.rsplit_once('/')?.0.into()),
        Cow::Owned(name) => Some(name.rsplit_once('/')?.0.to_owned().into()),
    }
}

/// The labels of a call as they were before, made of the present ones.
pub(crate) fn older(get: impl Fn(&str) -> Option<Value>) -> Vec<KeyValue> {
    let mut labels = vec![KeyValue::new(replaced::RPC_SYSTEM, GRPC)];
    let method = get(semconv::RPC_METHOD).map(|method| method.to_string());
    if let Some((service, method)) = method.as_ref().and_then(|method| method.rsplit_once('/')) {
        labels.push(KeyValue::new(replaced::RPC_SERVICE, service.to_owned()));
        labels.push(KeyValue::new(semconv::RPC_METHOD, method.to_owned()));
    }
    let code = get(semconv::RPC_STATUS_CODE).map(|code| code.to_string());
    let number = |code: String| Code::ALL.iter().position(|(_, name)| *name == code);
    if let Some(number) = code.and_then(number).and_then(|number| i64::try_from(number).ok()) {
        labels.push(KeyValue::new(replaced::RPC_GRPC_STATUS_CODE, number));
    }
    for key in [semconv::SERVER_ADDRESS, semconv::SERVER_PORT] {
        labels.extend(get(key).map(|value| KeyValue::new(key, value)));
    }
    labels
}

/// Tells that a call was of a method that isn't one of the server's, or may be none.
pub fn untold(path: &str, span: &BoundarySpan) {
    span.tell(semconv::RPC_METHOD, semconv::OTHER);
    span.set_attribute(semconv::RPC_METHOD_ORIGINAL, original(path));
}

fn original(path: &str) -> String {
    let called = called(path);
    called[..called.floor_char_boundary(MAX_NAME)].to_owned()
}

fn value(name: Cow<'static, str>) -> Value {
    match name {
        Cow::Borrowed(name) => Value::String(StringValue::from(name)),
        Cow::Owned(name) => Value::from(name),
    }
}
