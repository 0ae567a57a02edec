//! What a URL must not tell a tracing backend.
//!
//! User and password, and the values of the query keys that the semantic conventions list: they
//! are credentials. Keys are compared case-sensitively, as the conventions say.

use std::borrow::Cow;

use ::http::{HeaderName, header};

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

/// Headers that are never recorded, whoever asks.
const SECRET_HEADERS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    header::SEC_WEBSOCKET_KEY,
];

/// Parts of the names of other headers that hold credentials: `x-api-key`, `x-amz-security-token`.
const SECRET_PARTS: [&str; 11] = [
    "apikey",
    "auth",
    "credential",
    "jwt",
    "passwd",
    "password",
    "secret",
    "session",
    "signature",
    "token",
    "cookie",
];

/// Whether a header holds what must not be recorded, as far as its name tells.
///
/// Baggage is one of them: its members are recorded by name, or not at all.
#[must_use]
pub fn is_secret_header(name: &HeaderName) -> bool {
    let text = name.as_str();
    SECRET_HEADERS.contains(name)
        || text == "baggage"
        || SECRET_PARTS.iter().any(|part| text.contains(part))
        || text.split('-').any(|word| word == "key" || word == "keys")
}

/// A query with the values of sensitive keys replaced by `REDACTED`.
#[must_use]
pub fn redact_query(query: &str) -> Cow<'_, str> {
    if !has_sensitive(query) {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len());
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((key, _)) if is_sensitive(pair.as_bytes()) => out.extend([key, "=", REDACTED]),
            _ => out.push_str(pair),
        }
    }
    Cow::Owned(out)
}

fn has_sensitive(query: &str) -> bool {
    query.as_bytes().split(|byte| *byte == b'&').any(is_sensitive)
}

/// Whether a pair has a key that is listed, and a value to hide.
fn is_sensitive(pair: &[u8]) -> bool {
    // Nearly every key is told apart by its first byte.
    matches!(pair, [b'A' | b'S' | b'X' | b's', ..])
        && SENSITIVE.iter().any(|key| {
            let value = pair.strip_prefix(key.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            value.is_some_and(|value| !value.is_empty())
        })
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
    // Nearly every URL shows at a glance that it tells nothing, and isn't taken apart. What looks
    // like its query here may be part of the fragment.
    let maybe_query = url.split_once('?').map(|(_, query)| query);
    if !url.contains('@') && !maybe_query.is_some_and(has_sensitive) {
        return Cow::Borrowed(url);
    }
    let find = |byte: u8, from: usize, to: usize| {
        url.as_bytes()[from..to].iter().position(|found| *found == byte).map(|at| from + at)
    };
    let fragment = find(b'#', 0, url.len()).unwrap_or(url.len());
    let mark = find(b'?', 0, fragment);
    let (base, query) = (&url[..mark.unwrap_or(fragment)], mark.map(|at| &url[at + 1..fragment]));
    let colon = find(b':', 0, base.len()).filter(|at| base[*at..].starts_with("://"));
    let authority = colon.map_or(0, |at| at + 3);
    let end = find(b'/', authority, base.len()).unwrap_or(base.len());
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
    out.push_str(&url[fragment..]);
    Cow::Owned(out)
}

/// A text with every URL in it redacted, as [`redact_url`] does: errors of HTTP clients tell whole
/// URLs.
#[must_use]
pub fn redact_text(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(mark) = rest.find("://") {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let start = rest[..mark].trim_end_matches(is_scheme).len();
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | '`');
        // A password may hold what ends a URL in a sentence.
        let is_over =
            |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`' | '/' | '?' | '#');
        let authority = mark + "://".len();
        let over = rest[authority..].find(is_over).map_or(rest.len(), |at| authority + at);
        let from = rest[authority..over].rfind('@').map_or(mark, |at| authority + at);
        let end = rest[from..].find(is_end).map_or(rest.len(), |at| from + at);
        out.push_str(&rest[..start]);
        out.push_str(&redact_url(&rest[start..end]));
        rest = &rest[end..];
    }
    out.push_str(rest);
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}
