use std::borrow::Cow;

use super::{UrlTemplate, method, redact_url, route};
use crate::semconv;
use crate::span::Description;

/// What becomes of a URL, or of its query, before it is told: `None` where it may be told as it is,
/// secrets redacted; an empty text is not told.
pub type Rewrite = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What every client tells of a request that goes out: its method and its URL, and the template
/// of that, after which the span is named where there is one.
///
/// Secrets in `url` are redacted, and what is left is rewritten. There is room for `capacity` attributes, as in
/// [`Description::new`]. It follows the semantic conventions for
/// [HTTP client spans](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span).
#[must_use]
#[inline]
pub fn describe_sent(
    original: &http::Method,
    url: &str,
    template: Option<&UrlTemplate>,
    rewrite: Option<&Rewrite>,
    capacity: usize,
) -> Description {
    let method = method(original);
    let name = template
        .map_or(Cow::Borrowed(method.name), |UrlTemplate(template)| route(method, template).name);
    let mut span = Description::new(name, capacity);
    span.set(semconv::HTTP_REQUEST_METHOD, method.attribute);
    if method.is_other() {
        span.set(semconv::HTTP_REQUEST_METHOD_ORIGINAL, original.as_str().to_owned());
    }
    let url = redact_url(url);
    match rewrite.and_then(|rewrite| rewrite(&url)) {
        None => span.set(semconv::URL_FULL, url.into_owned()),
        Some(rewritten) if rewritten.is_empty() => {}
        Some(rewritten) => span.set(semconv::URL_FULL, rewritten),
    }
    if let Some(UrlTemplate(template)) = template {
        span.set(semconv::URL_TEMPLATE, template.clone());
    }
    span
}
