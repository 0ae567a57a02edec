//! Injection by hand, for clients that take no middleware.

use std::sync::LazyLock;

use http::HeaderMap;
use opentelemetry::Context;
use reqwest::{Request, RequestBuilder};
use throughline_core::Config;

use crate::inject::RequestHeaders;

static CONFIG: LazyLock<Config> =
    LazyLock::new(|| Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));

/// Puts the context that is current into a request; what stood there of another is replaced.
///
/// For a client whose requests no middleware sees, as that of generated code: the trace goes on, but
/// the request has no span of its own, and the span that is current becomes the parent of the
/// server's.
///
/// ```
/// # fn run(client: &reqwest::Client) -> reqwest::Result<()> {
/// let mut request = client.get("http://orders.internal/orders/42").build()?;
/// throughline_reqwest::inject(&mut request);
/// # Ok(()) }
/// ```
pub fn inject(request: &mut Request) {
    let mut headers = RequestHeaders(request.headers_mut());
    Context::map_current(|current| CONFIG.inject(current, &mut headers));
}

/// [`inject`] for a request that is still being built.
///
/// ```
/// use throughline_reqwest::InjectContext;
///
/// # async fn run(client: &reqwest::Client) -> reqwest::Result<()> {
/// let request = client.get("http://orders.internal/orders/42").inject_context();
/// # drop(request);
/// # Ok(()) }
/// ```
pub trait InjectContext: Sized {
    /// Puts the context that is current into the request.
    #[must_use]
    fn inject_context(self) -> Self;
}

impl InjectContext for RequestBuilder {
    fn inject_context(self) -> Self {
        // Built where it can be, since what another context has left there has to go as well.
        // (Without a body that can only be sent once.)
        let built = self.try_clone().map(RequestBuilder::build_split);
        if let Some((client, Ok(mut request))) = built {
            inject(&mut request);
            return RequestBuilder::from_parts(client, request);
        }
        let mut headers = HeaderMap::new();
        Context::map_current(|current| CONFIG.inject(current, &mut headers));
        // They take the place of those of the same name.
        self.headers(headers)
    }
}
