//! The attributes of a client span, as the semantic conventions for HTTP and gRPC name them.

use http::{Request, Uri};
use throughline_core::Description;
use throughline_core::http::{Host, UrlTemplate, describe_sent, host};
use throughline_core::rpc::{self, Side};

use super::layer::Target;
use crate::process::describe::is_call;
use crate::process::exchange::Exchange;

/// Room for the attributes below, and for those at the end.
const CAPACITY: usize = 9;

pub(super) fn describe<B>(
    request: &Request<B>,
    target: Option<&Target>,
    exchange: &mut Exchange,
) -> Description {
    let uri = request.uri();
    let mut span = if is_call(request) {
        *exchange = Exchange::Called;
        // Which methods a client calls is written in its program.
        rpc::describe(Some(rpc::keep(uri.path(), Side::Client)), CAPACITY)
    } else {
        of_request(request, target)
    };
    if let Some(host) = server(uri).or_else(|| target.map(|target| target.host.clone())) {
        span.set_server(host);
    }
    span
}

fn of_request<B>(request: &Request<B>, target: Option<&Target>) -> Description {
    let template = request.extensions().get::<UrlTemplate>();
    describe_sent(request.method(), &full(request.uri(), target), template, CAPACITY)
}

/// A client of one host may leave that out of its URIs.
fn full(uri: &Uri, target: Option<&Target>) -> String {
    match (uri.host(), target) {
        (None, Some(Target { origin, .. })) => format!("{origin}{uri}"),
        _ => uri.to_string(),
    }
}

pub(super) fn server(uri: &Uri) -> Option<Host> {
    let found = host(uri.host()?.as_bytes())?;
    let port = uri.port_u16().or(match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    Some(Host { port, ..found })
}
