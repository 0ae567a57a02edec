//! What the targets share: a way through the codecs and back, judged by the grammar of the tests.

#[path = "../../crates/core/tests/it/grammar.rs"]
mod grammar;

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use throughline_core::{Config, Format, Formats, ReadCarrier};

/// Whether a receiver has to take it.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    grammar::is_traceparent(text)
}

/// Whether a receiver has to take it.
#[must_use]
pub fn is_tracestate(text: &str) -> bool {
    grammar::is_tracestate(text)
}

/// Whether a receiver has to take it.
#[must_use]
pub fn is_baggage(text: &str) -> bool {
    grammar::is_baggage(text)
}

/// Whether a receiver has to take it.
#[must_use]
pub fn is_b3(text: &str) -> bool {
    grammar::is_b3(text)
}

/// Whether a receiver has to take it.
#[must_use]
pub fn is_xray(text: &str) -> bool {
    grammar::is_xray(text)
}

/// Every format, in the order in which they are looked for.
pub const ALL: [Format; 5] =
    [Format::TraceContext, Format::B3, Format::XRay, Format::B3Multi, Format::Baggage];

type Headers = Vec<(String, String)>;

/// Sends on what `carrier` brings, as a boundary does and, twice, as a propagator. Panics if what is
/// sent isn't of its grammar, or if it isn't what a receiver sends on in turn.
pub fn send_on(carrier: &impl ReadCarrier, formats: impl IntoIterator<Item = Format>) {
    let formats = Formats::new(formats);
    let config = Config::new("fuzz", "0").with_propagator(formats.clone());
    let mut left = Headers::new();
    // A message of an unsampled trace has an id of its own each time.
    config.inject(config.extract(carrier).context(), &mut left);
    check(&left);
    let once = printed(&formats, &config, carrier);
    check(&once);
    let twice = printed(&formats, &config, &once);
    assert_eq!(sorted(once), sorted(twice));
}

fn check(headers: &Headers) {
    for (name, value) in headers {
        let is_valid = match name.as_str() {
            "traceparent" => is_traceparent(value),
            "tracestate" => is_tracestate(value),
            "baggage" => is_baggage(value),
            "b3" => is_b3(value),
            "x-amzn-trace-id" => is_xray(value),
            _ => value.bytes().all(|byte| byte.is_ascii_hexdigit()),
        };
        assert!(is_valid && !value.is_empty(), "{name}: {value:?}");
    }
}

fn printed(formats: &Formats, config: &Config, carrier: &impl ReadCarrier) -> Headers {
    let mut left = HashMap::<String, String>::new();
    formats.inject_context(config.extract(carrier).context(), &mut left);
    left.into_iter().collect()
}

/// Baggage has no order.
fn sorted(headers: Headers) -> Headers {
    let sort = |(name, value): (String, String)| {
        let mut members: Vec<&str> = value.split(',').collect();
        if name == "baggage" {
            members.sort_unstable();
        }
        (name, members.join(","))
    };
    let mut headers: Headers = headers.into_iter().map(sort).collect();
    headers.sort();
    headers
}

/// The lines of the input: as values of one header, say.
pub fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}
