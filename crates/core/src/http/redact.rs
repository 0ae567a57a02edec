//! What a URL must not tell a tracing backend.
//!
//! User and password, and the values of the query keys that the semantic conventions list: they
//! are credentials. Keys are compared case-sensitively, as the conventions say.

use std::borrow::Cow;

const REDACTED: &str = "REDACTED";

const SENSITIVE: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "sig",
];

/// A query with the values of sensitive keys replaced by `REDACTED`.
#[must_use]
pub fn redact_query(query: &str) -> Cow<'_, str> {
    let is_sensitive = |pair: &str| match pair.split_once('=') {
        Some((key, value)) => SENSITIVE.contains(&key) && !value.is_empty(),
        None => false,
    };
    if !query.split('&').any(is_sensitive) {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len());
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((key, _)) if is_sensitive(pair) => out.extend([key, "=", REDACTED]),
            _ => out.push_str(pair),
        }
    }
    Cow::Owned(out)
}

/// An absolute URL with user and password, and the values of sensitive keys, replaced by
/// `REDACTED`.
///
/// ```
/// use throughline_core::http::redact_url;
/// let url = "https://user:pw@shop.example/orders?sig=ab12&page=2#top";
/// assert_eq!(
///     redact_url(url),
///     "https://REDACTED:REDACTED@shop.example/orders?sig=REDACTED&page=2#top"
/// );
/// ```
#[must_use]
pub fn redact_url(url: &str) -> Cow<'_, str> {
    let (before, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let (base, query) = before.split_once('?').map_or((before, None), |(b, q)| (b, Some(q)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    let user = base[authority..end].rfind('@').map(|at| authority + at);
    let redacted = query.map(redact_query);
    if user.is_none() && !matches!(redacted, Some(Cow::Owned(_))) {
        return Cow::Borrowed(url);
    }
    let mut out = String::with_capacity(url.len() + 2 * REDACTED.len());
    out.push_str(&base[..authority]);
    match user {
        Some(at) => {
            let has_password = base[authority..at].contains(':');
            out.push_str(if has_password { "REDACTED:REDACTED" } else { REDACTED });
            out.push_str(&base[at..]);
        }
        None => out.push_str(&base[authority..]),
    }
    if let Some(query) = redacted {
        out.push('?');
        out.push_str(&query);
    }
    out.push_str(fragment);
    Cow::Owned(out)
}
