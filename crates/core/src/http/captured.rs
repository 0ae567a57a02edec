use ::http::{HeaderMap, HeaderName};
use opentelemetry::{Array, Key, StringValue, Value};

use super::is_secret_header;
use crate::semconv::{self, replaced};
use crate::span::{BoundarySpan, Description};
use crate::stability;

/// What the names of headers are appended to, the older one too where that is wanted.
fn prefixes(prefix: &'static str) -> impl Iterator<Item = &'static str> {
    let older = match prefix {
        semconv::RPC_REQUEST_HEADER => Some(replaced::RPC_REQUEST_METADATA),
        semconv::RPC_RESPONSE_HEADER => Some(replaced::RPC_RESPONSE_METADATA),
        _ => None,
    };
    std::iter::once(prefix).chain(older.filter(|_| stability::tells_old_rpc()))
}

/// Headers that are recorded: those on this list, and no others.
#[derive(Clone, Debug, Default)]
pub struct Captured(Vec<HeaderName>);

impl Captured {
    /// Puts names on the list. Those that hold credentials are refused, with a warning.
    pub fn allow(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            if is_secret_header(&name) {
                tracing::warn!(
                    target: "throughline",
                    "the header {name} is not recorded: it holds what nobody may read in a trace"
                );
            } else if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }

    /// Tells those of a request with what its span is started with.
    pub fn describe(&self, prefix: &'static str, headers: &HeaderMap, span: &mut Description) {
        for prefix in prefixes(prefix) {
            for (key, value) in self.of(prefix, headers) {
                span.add(key, value);
            }
        }
    }

    /// Tells those of a response.
    pub fn tell(&self, prefix: &'static str, headers: &HeaderMap, span: &BoundarySpan) {
        for prefix in prefixes(prefix) {
            for (key, value) in self.of(prefix, headers) {
                span.add(key, value);
            }
        }
    }

    fn of<'a>(
        &'a self,
        prefix: &'a str,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = (Key, Value)> + 'a {
        self.0.iter().filter_map(move |name| {
            // A program may mark as sensitive what its name doesn't show.
            let values = headers.get_all(name).iter().filter(|value| !value.is_sensitive());
            let values = values.map(|value| {
                StringValue::from(String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            let values: Vec<_> = values.collect();
            let key = || Key::from(format!("{prefix}.{name}"));
            (!values.is_empty()).then(|| (key(), Value::Array(Array::String(values))))
        })
    }
}
