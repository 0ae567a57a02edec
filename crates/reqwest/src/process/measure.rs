//! What is measured of a request, and by which labels.

use http::Extensions;
use reqwest::{Body, Request};
use throughline_core::http::method;
use throughline_core::metrics::{Measure, Operation};
use throughline_core::{BoundarySpan, Config, semconv};

use super::middleware::server;

/// In the extensions of a request: an outer middleware measures it.
#[derive(Clone)]
struct Sent(Measure);

#[cold]
#[inline(never)]
pub(super) fn measure(
    config: &Config,
    request: &Request,
    extensions: &mut Extensions,
    span: &mut BoundarySpan,
) {
    let is_measured = |Sent(outer): &Sent| outer.is_current();
    if extensions.get().is_some_and(is_measured) {
        return;
    }
    let measure = config.measure(Operation::HttpClient, |labels| {
        labels.set(semconv::HTTP_REQUEST_METHOD, method(request.method()).attribute);
        if let Some(host) = server(request.url()) {
            labels.set_server(&host);
        }
    });
    let Some(measure) = measure else { return };
    let size =
        request.body().map_or(Some(0), |body| Body::as_bytes(body).map(|it| it.len() as u64));
    measure.request_size(size);
    extensions.insert(Sent(measure.clone()));
    span.measured(measure);
}
