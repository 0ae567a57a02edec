//! What is measured of a request that goes out, and by which labels.

use std::borrow::Cow;
use std::sync::Arc;

use http::Request;
use throughline_core::http::method;
use throughline_core::metrics::{Measure, Operation};
use throughline_core::{BoundarySpan, Config, rpc, semconv};

use super::describe::{called, server};
use super::layer::Target;
use crate::process::More;
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
    more: Option<&Arc<More>>,
    exchange: &mut Exchange,
    span: &mut BoundarySpan,
) {
    let is_measured = |Sent(outer): &Sent| outer.is_current();
    if request.extensions().get().is_some_and(is_measured) {
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
            let method = called(request.uri().path(), more);
            rpc::label(Some(method.unwrap_or(Cow::Borrowed(semconv::OTHER))), labels);
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
