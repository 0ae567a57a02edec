//! What is measured of a request that came in, and by which labels.

use std::borrow::Cow;
use std::sync::Arc;

use http::Request;
use opentelemetry::Value;
use throughline_core::http::{Route, method, protocol_version, route};
use throughline_core::metrics::Operation;
use throughline_core::{BoundarySpan, Config, rpc, semconv};

use super::describe::{called, is_call, scheme};
use super::exchange::{Aside, Exchange, content_length};
use super::{Framework, More};

/// Not inlined, so that requests that nobody measures stay as short as they look.
#[cold]
#[inline(never)]
pub(super) fn measure<F: Framework, B>(
    config: &Config,
    request: &Request<B>,
    more: Option<&Arc<More>>,
    exchange: &mut Exchange,
    aside: &mut Option<Box<Aside>>,
    span: &mut BoundarySpan,
) {
    if span.is_joined() {
        return;
    }
    let measure = if is_call(request) {
        let method = called::<F, B>(request, more, exchange, aside);
        config.measure(Operation::RpcServer, |labels| rpc::label(method, labels))
    } else {
        config.measure(Operation::HttpServer, |labels| {
            labels.set(semconv::HTTP_REQUEST_METHOD, method(request.method()).attribute);
            labels.set(semconv::URL_SCHEME, scheme(request.uri().scheme()));
        })
    };
    let Some(measure) = measure else { return };
    if !exchange.is_rpc() {
        measure.tell(semconv::NETWORK_PROTOCOL_VERSION, protocol_version(request.version()));
        measure.refine(semconv::HTTP_ROUTE, || bounded::<F, B>(request));
        if measure.is_sized() {
            measure.request_size(content_length(request.headers()));
        }
    }
    span.measured(measure);
}

/// The route, if it is one of a router's: somebody may take paths for routes.
fn bounded<F: Framework, B>(request: &Request<B>) -> Option<Value> {
    let found = F::route(request.extensions())?;
    let Route { name, route } = route(method(request.method()), found);
    matches!(name, Cow::Borrowed(_)).then_some(route)
}
