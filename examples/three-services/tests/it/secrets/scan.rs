//! Looks for what was planted, however it is written.

use std::collections::BTreeMap;

use serde_json::Value;
use throughline_testing::lineage::{Span, otlp};

/// What all that is planted begins with; the rest of a name says where it was planted.
const MARK: &str = "planted-";

/// Whatever was found, with the first place where it was.
pub(super) type Found = BTreeMap<String, String>;

/// All that is planted in a text: as it is, percent-encoded, in base64 or in hex digits, in either
/// case, and one of these in another.
pub(super) fn planted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut views = vec![text.to_owned()];
    // As it is, decoded, and decoded twice.
    for _ in 0..3 {
        for view in &views {
            let view = view.to_lowercase();
            for (at, _) in view.match_indices(MARK) {
                let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                let end = view[at..].find(|c| !is_name(c)).map_or(view.len(), |end| at + end);
                found.push(view[at..end].to_owned());
            }
        }
        views = views.iter().flat_map(|view| decoded(view)).collect();
    }
    found
}

/// Every reading of what may be encoded in a text.
fn decoded(text: &str) -> Vec<String> {
    let text_of = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut views = vec![text_of(percent_decoded(text.as_bytes()))];
    let runs = |is_digit: fn(char) -> bool| {
        text.split(move |c| !is_digit(c)).filter(|run| run.len() >= MARK.len())
    };
    for run in runs(|c| c.is_ascii_alphanumeric() || "+/-_".contains(c)) {
        // It may begin anywhere in the run, and in what was encoded.
        views.extend((0..4).filter_map(|skip| Some(text_of(of_digits(run.get(skip..)?, 6)))));
    }
    for run in runs(|c| c.is_ascii_hexdigit()) {
        views.extend((0..2).filter_map(|skip| Some(text_of(of_digits(run.get(skip..)?, 4)))));
    }
    views
}

fn percent_decoded(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let [first, rest @ ..] = text {
        let code = rest.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.filter(|_| *first == b'%').and_then(|c| u8::from_str_radix(c, 16).ok());
        bytes.push(code.unwrap_or(*first));
        text = if code.is_some() { &rest[2..] } else { rest };
    }
    bytes
}

/// The bytes of digits that hold six bits each (base64, of either alphabet), or four (hex).
fn of_digits(digits: &str, bits: u32) -> Vec<u8> {
    let (mut bytes, mut held, mut number) = (Vec::new(), 0, 0_u32);
    for digit in digits.bytes() {
        let value = match (bits, digit) {
            (4, _) => char::from(digit).to_digit(16).unwrap_or(0),
            (_, b'A'..=b'Z') => u32::from(digit - b'A'),
            (_, b'a'..=b'z') => u32::from(digit - b'a') + 26,
            (_, b'0'..=b'9') => u32::from(digit - b'0') + 52,
            (_, b'+' | b'-') => 62,
            _ => 63,
        };
        number = number << bits | value;
        held += bits;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(number >> held & 0xff).expect("a byte"));
        }
    }
    bytes
}

/// Looks through all that a collector is told of these spans.
pub(super) fn scan_spans(spans: &[Span], found: &mut Found) {
    for span in spans {
        let mut json = Vec::new();
        otlp::write(&mut json, [span]).expect("written");
        let json: Value = serde_json::from_slice(&json).expect("JSON");
        let service = span.service().unwrap_or_default();
        let place = format!("the span `{}` of {service}", span.name);
        walk(&json, &mut |path, text| {
            for planted in planted(text) {
                found.entry(planted).or_insert_with(|| format!("{place}, {path}: {text}"));
            }
        });
    }
}

pub(super) fn scan_lines(service: &str, lines: &[String], found: &mut Found) {
    for line in lines {
        for planted in planted(line) {
            found.entry(planted).or_insert_with(|| format!("a line of {service}: {line}"));
        }
    }
}

/// Tells every string, and every key, with the way to it.
fn walk(value: &Value, tell: &mut impl FnMut(&str, &str)) {
    fn at(path: &str, value: &Value, tell: &mut impl FnMut(&str, &str)) {
        match value {
            Value::String(text) => tell(path, text),
            Value::Array(values) => values.iter().for_each(|value| at(path, value, tell)),
            Value::Object(members) => {
                // An attribute is called by its name.
                let path = match members.get("key").and_then(Value::as_str) {
                    Some(key) => format!("{path}.{key}"),
                    None => path.to_owned(),
                };
                for (key, value) in members {
                    tell(&path, key);
                    at(&format!("{path}.{key}"), value, tell);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    at("", value, tell);
}

#[test]
fn it_finds_what_is_planted_however_it_is_written() {
    // "planted-x1" in base64, begun at each of its three places, and in hex digits.
    for text in [
        "a planted-x1, in a sentence",
        "PLANTED-X1",
        "%70lanted%2Dx1",
        "%2570lanted-x1",
        "cGxhbnRlZC14MQ==",
        "OnBsYW50ZWQteDE6",
        "Basic dTpwbGFudGVkLXgx",
        "authorization=Basic%20dTpwbGFudGVkLXgx",
        "706c616e7465642d7831",
        "{\"a\":\"706C616E7465642D7831\"}",
    ] {
        let found = planted(text);
        assert!(found.iter().any(|name| name.starts_with("planted-x1")), "{text}: {found:?}");
    }
    for text in ["plante-d", "an order", "cGxhbnQ=", ""] {
        assert_eq!(planted(text), [""; 0], "{text}");
    }
}

/// In each place that a span has.
#[test]
fn it_looks_everywhere_in_a_span() {
    use std::sync::Arc;
    use throughline_testing::lineage::{AnyValue, Event, Link, Resource, Scope, Status};

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse().expect("an id");
    let id = "00f067aa0ba902b7".parse().expect("an id");
    let mut span = Span::new(trace, id, "planted-name");
    span.trace_state = "vendor=planted-state".to_owned();
    span.attributes.push("planted-key", "x");
    span.attributes.push("text", "planted-text");
    span.attributes.push("list", AnyValue::Array(vec!["planted-list".into()]));
    span.attributes.push("bytes", AnyValue::Bytes(b"a planted-bytes".to_vec()));
    span.events.push(Event {
        time_unix_nano: 1,
        name: "planted-event".to_owned(),
        attributes: [("text", "planted-event-text")].into_iter().collect(),
        dropped_attributes_count: 0,
    });
    let mut link = Link::new(trace, id);
    link.attributes.push("text", "planted-link");
    link.trace_state = "vendor=planted-link-state".to_owned();
    span.links.push(link);
    span.status = Status::Error("it is planted-status".to_owned());
    let mut resource = Resource::default();
    resource.attributes.push("text", "planted-resource");
    span.resource = Arc::new(resource);
    span.scope = Arc::new(Scope { name: "planted-scope".to_owned(), ..Scope::default() });

    let mut found = Found::new();
    scan_spans(&[span], &mut found);
    let names: Vec<_> = found.keys().map(|name| name.trim_start_matches(MARK)).collect();
    assert_eq!(
        names,
        [
            "bytes",
            "event",
            "event-text",
            "key",
            "link",
            "link-state",
            "list",
            "name",
            "resource",
            "scope",
            "state",
            "status",
            "text"
        ]
    );
    assert!(found["planted-text"].contains("attributes.text"), "{found:?}");
}
