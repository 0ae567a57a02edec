//! Where to send spans, checked before the first one is lost.

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use crate::env::Env;
use crate::error::InitError;

const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const DEFAULT: &str = "http://localhost:4318";

pub(super) struct Target {
    /// The whole URL, `/v1/traces` included.
    pub(super) url: String,
    /// The same for messages: no user, password or query.
    pub(super) shown: String,
}

/// The environment beats the code. The variable for traces is a whole URL; the general one and
/// the code's are bases. (The OTLP crate has it the other way round: its setter beats both.)
pub(super) fn resolve(env: &mut Env, from_code: Option<String>) -> Result<Target, InitError> {
    let (origin, text, is_base) = if let Some(url) = env.text(TRACES_ENDPOINT) {
        (TRACES_ENDPOINT, url, false)
    } else if let Some(base) = env.text(ENDPOINT) {
        (ENDPOINT, base, true)
    } else if let Some(base) = from_code {
        ("Builder::endpoint", base, true)
    } else {
        ("the default", DEFAULT.to_owned(), true)
    };

    parse(origin, &text, is_base)
}

fn parse(origin: &'static str, text: &str, is_base: bool) -> Result<Target, InitError> {
    let wrong = |reason: String| InitError::Endpoint { origin, value: shown_text(text), reason };
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err(InitError::TlsNotBuiltIn { origin, value: shown_text(text) }),
        _ => return Err(wrong("it begins with neither http:// nor https://".to_owned())),
    }
    if is_base {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    Ok(Target { shown: shown_text(bare.as_str()), url: url.into() })
}

/// An endpoint may hold a password or a token; what we print may end in a ticket. The text may be
/// no URL at all: what could be a secret in any reading of it is left out.
fn shown_text(text: &str) -> String {
    let is_scheme =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (&text[..scheme.len() + 3], rest),
        _ => ("", text),
    };
    match (rest.rfind('@'), rest.find(['?', '#'])) {
        // A password with a `?` in it, or a query with an `@`: there is no telling.
        (Some(at), Some(end)) if end < at => format!("{scheme}***"),
        (at, end) => {
            let hidden = if at.is_some() { "***" } else { "" };
            format!("{scheme}{hidden}{}", &rest[at.unwrap_or(0)..end.unwrap_or(rest.len())])
        }
    }
}

/// Whether the protocol is the one we speak. Any other would be sent to a port that doesn't
/// understand it, and clusters set it for all their services: it costs the spans, not the service.
pub(super) fn check_protocol(env: &mut Env) -> bool {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    match env.first(&names) {
        Some((name, value)) if !value.eq_ignore_ascii_case("http/protobuf") => {
            env.error(format!(
                "no span is exported: {name} is {value:?}, which is not supported; set it to \
                 http/protobuf, and the endpoint to the collector's port for OTLP over HTTP (4318 \
                 by default, where gRPC has 4317)"
            ));
            false
        }
        _ => true,
    }
}

/// The OTLP crate tells it only to its own log, which most builds leave out.
pub(super) fn check_compression(env: &mut Env) {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
    if let Some((name, value)) = env.first(&names)
        && !value.eq_ignore_ascii_case("none")
    {
        env.warn(format!("{name}={value:?}: compression is not built in; spans go uncompressed"));
    }
}

/// The OTLP crate leaves out what it can't send, without a word, and then the collector refuses
/// every export. What stands there is likely a secret: only its place is told.
pub(super) fn check_headers(env: &mut Env) {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let Some((name, list)) = env.first(&names) else { return };
    for (index, member) in list.split_terminator(',').enumerate() {
        if !is_header(member) {
            env.warn(format!(
                "{name}: header {} of the list is not sent: it is not of the form \
                 name=value, percent-encoded",
                index + 1
            ));
        }
    }
}

fn is_header(member: &str) -> bool {
    let Some((name, value)) = member.split_once('=') else { return false };
    let value = percent_decode_str(value.trim()).decode_utf8();
    HeaderName::try_from(name.trim()).is_ok()
        && value.is_ok_and(|value| HeaderValue::from_str(&value).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_secret() {
        for (text, shown) in [
            ("http://collector:4318", "http://collector:4318"),
            ("collector:4318", "collector:4318"),
            ("user:secret@collector:4318", "***@collector:4318"),
            ("http://user:secret@collector:4318/a", "http://***@collector:4318/a"),
            ("user:secret://@collector", "***@collector"),
            ("ftp://h/?token=secret", "ftp://h/"),
            ("h/#secret", "h/"),
            ("http://user:se?cret@h", "http://***"),
            ("http://h/?a@secret", "http://***"),
            ("http://user:a@secret@h", "http://***@h"),
            ("", ""),
        ] {
            assert_eq!(shown_text(text), shown, "{text}");
        }
    }

    #[test]
    fn headers_are_names_with_values() {
        for member in ["a=b", " authorization = Basic%20eA== ", "a="] {
            assert!(is_header(member), "{member:?}");
        }
        for member in ["", "a", "=b", "a b=c", "a=%0a", "a=%ff"] {
            assert!(!is_header(member), "{member:?}");
        }
    }

    #[test]
    fn a_query_is_sent_and_not_shown() {
        let endpoint = "http://me:secret@collector:4318/?key=secret#secret";
        let target = parse("the test", endpoint, true).unwrap();
        assert_eq!(target.shown, "http://***@collector:4318/v1/traces");
        assert!(target.url.contains("?key=secret"), "{}", target.url);
    }
}
