//! What is measured of a request that goes out, and by which labels.

use std::borrow::Cow;

use http::Request;
use throughline_core::http::method;
use throughline_core::metrics::{Measure, Operation};
use throughline_core::rpc::{self, Side};
use throughline_core::{BoundarySpan, Config, semconv};

use super::describe::server;
use super::layer::Target;
use crate::process::describe::is_call;
use crate::process::exchange::{Exchange, content_length};

/// In the extensions of a request: an outer layer of the same client measures it.
#[derive(Clone, Debug)]
struct Sent(Measure);

#[cold]
#[inline(never)]
pub(super) fn measure<B>(
    config: &Config,
    request: &mut Request<B>,
    target: Option<&Target>,
    exchange: &mut Exchange,
    span: &mut BoundarySpan,
) {
    let is_measured = |Sent(outer): &Sent| !outer.has_ended();
    if span.is_joined() || request.extensions().get().is_some_and(is_measured) {
        return;
    }
    let host = server(request.uri()).or_else(|| target.map(|target| target.host.clone()));
    let operation = if is_call(request) {
        *exchange = Exchange::Called;
        Operation::RpcClient
    } else {
        Operation::HttpClient
    };
    let measure = config.measure(operation, |labels| {
        if exchange.is_rpc() {
            let method: Cow<'static, str> = rpc::keep(request.uri().path(), Side::Client);
            rpc::label(Some(method), labels);
        } else {
            labels.set(semconv::HTTP_REQUEST_METHOD, method(request.method()).attribute);
        }
        if let Some(host) = &host {
            labels.set_server(host);
        }
    });
    let Some(measure) = measure else { return };
    if measure.is_sized() {
        measure.request_size(content_length(request.headers()));
    }
    request.extensions_mut().insert(Sent(measure.clone()));
    span.measured(measure);
}
