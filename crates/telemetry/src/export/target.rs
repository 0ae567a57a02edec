//! Where to send spans, checked before the first one is lost.

use reqwest::Url;

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

    let wrong = |reason: String| InitError::Endpoint { origin, value: shown_text(&text), reason };
    let mut url = Url::parse(&text).map_err(|error| wrong(error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err(InitError::TlsNotBuiltIn { origin, value: shown_text(&text) }),
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

/// An endpoint may hold a password; what we print may end in a ticket.
fn shown_text(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://***{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// Anything but protobuf over HTTP would be sent to a port that doesn't understand it, and every
/// span would be lost without a word: better an error before the first one.
pub(super) fn check_protocol(env: &mut Env) -> Result<(), InitError> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    match env.first(&names) {
        Some((origin, value)) if !value.eq_ignore_ascii_case("http/protobuf") => {
            Err(InitError::Protocol { origin, value })
        }
        _ => Ok(()),
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
