use std::sync::LazyLock;

use ::http::Method as HttpMethod;

use crate::semconv::OTHER;

/// The methods that are known unless `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` says otherwise.
const KNOWN: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// A method as telemetry may name it: one of a bounded set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The value of `http.request.method`: the method, or `_OTHER`.
    pub attribute: &'static str,
    /// What a span's name begins with: the method, or `HTTP`.
    pub name: &'static str,
}

impl Method {
    const UNKNOWN: Method = Method { attribute: OTHER, name: "HTTP" };

    fn known(name: &'static str) -> Self {
        Method { attribute: name, name }
    }

    /// Whether the method itself has to be told in `http.request.method_original`.
    #[must_use]
    pub fn is_other(self) -> bool {
        self.attribute == OTHER
    }
}

/// Names a method: callers can make up as many as they like, so only known ones are named.
///
/// The known ones are those of RFC 9110, PATCH and QUERY, or the comma-separated,
/// case-sensitive list of the variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, read once.
#[must_use]
#[inline]
pub fn method(method: &HttpMethod) -> Method {
    static CONFIGURED: LazyLock<Option<Vec<&'static str>>> = LazyLock::new(|| {
        let list = std::env::var("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS").ok()?;
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(|name| &*String::leak(name.to_owned())).collect();
        (!names.is_empty()).then_some(names)
    });
    match &*CONFIGURED {
        None => standard(method),
        Some(names) => {
            let found = names.iter().find(|name| **name == method.as_str());
            found.map_or(Method::UNKNOWN, |name| Method::known(name))
        }
    }
}

#[inline]
fn standard(method: &HttpMethod) -> Method {
    // The standard methods are one byte inside `http`: a jump, and no comparison of text.
    match *method {
        HttpMethod::GET => Method::known("GET"),
        HttpMethod::POST => Method::known("POST"),
        HttpMethod::PUT => Method::known("PUT"),
        HttpMethod::DELETE => Method::known("DELETE"),
        HttpMethod::HEAD => Method::known("HEAD"),
        HttpMethod::OPTIONS => Method::known("OPTIONS"),
        HttpMethod::CONNECT => Method::known("CONNECT"),
        HttpMethod::PATCH => Method::known("PATCH"),
        HttpMethod::TRACE => Method::known("TRACE"),
        _ => KNOWN
            .into_iter()
            .find(|name| *name == method.as_str())
            .map_or(Method::UNKNOWN, Method::known),
    }
}
