//! The `baggage` header of [W3C Baggage](https://www.w3.org/TR/baggage/).
//!
//! Values are decoded on the way in and encoded on the way out; properties stay as they came,
//! never decoded, so that they can't turn into a member at the next hop. Both ways are bounded by
//! [`MAX_MEMBERS`] and [`MAX_BYTES`]: members beyond are dropped whole.

use std::borrow::Cow;

use opentelemetry::baggage::{Baggage, BaggageMetadata};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::trim;

/// How many members are read and written at the most.
pub const MAX_MEMBERS: usize = 64;

/// How many bytes are read and written at the most, over all headers of a message together.
pub const MAX_BYTES: usize = 8192;

/// Everything but `baggage-octet`, and the percent sign itself.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Parses the values of all `baggage` headers; `None` if no member is left to keep.
///
/// Members that the grammar forbids, and those beyond the bounds, are left out; the others stay.
/// Of two members with one key the later one holds.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Baggage> {
    let mut baggage = Baggage::new();
    let (mut bytes, mut members) = (0, 0);
    for member in values.into_iter().flat_map(|value| value.split(|byte| *byte == b',')) {
        // The comma counts as well; an attacker pays for empty members, too.
        bytes += member.len() + 1;
        if bytes > MAX_BYTES + 1 || members == MAX_MEMBERS {
            break;
        }
        if let Some((key, value, properties)) = parse_member(trim(member)) {
            members += 1;
            baggage.insert_with_metadata(key, value, properties);
        }
    }
    (!baggage.is_empty()).then_some(baggage)
}

fn parse_member(member: &[u8]) -> Option<(String, String, BaggageMetadata)> {
    let (member, properties) = split_once(member, b';').unwrap_or((member, b""));
    let (key, value) = split_once(member, b'=')?;
    let (key, value, properties) = (trim(key), trim(value), trim(properties));
    let is_valid =
        is_token(key) && value.iter().copied().all(is_octet) && is_properties(properties);
    is_valid.then(|| {
        let value = percent_decode(value).decode_utf8_lossy().into_owned();
        (ascii(key), value, ascii(properties).into())
    })
}

/// Prints the header, or `None` if it would be empty.
#[must_use]
pub fn print(baggage: &Baggage) -> Option<String> {
    let mut out = String::new();
    for (key, (value, properties)) in baggage.iter().take(MAX_MEMBERS) {
        // Programs may put anything there; what the grammar forbids stays at home.
        if !is_token(key.as_str().as_bytes()) {
            continue;
        }
        let before = out.len();
        if before > 0 {
            out.push(',');
        }
        out.push_str(key.as_str());
        out.push('=');
        out.extend(utf8_percent_encode(value.as_str(), ENCODED));
        let properties = properties.as_str().trim();
        if !properties.is_empty() && is_properties(properties.as_bytes()) {
            out.push(';');
            out.push_str(properties);
        }
        if out.len() > MAX_BYTES {
            out.truncate(before);
        }
    }
    (!out.is_empty()).then_some(out)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..position], &bytes[position + 1..]))
}

/// `token` of RFC 9110.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"(),/:;<=>?@[\\]{}\"".contains(byte))
}

/// `baggage-octet`, and bytes beyond ASCII, which become U+FFFD or what they encode.
fn is_octet(byte: u8) -> bool {
    !byte.is_ascii() || byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// `*( OWS ";" OWS property )` with the first semicolon gone: printable, and no way out of it.
fn is_properties(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b';') || byte.is_ascii() && is_octet(*byte))
}

fn ascii(bytes: &[u8]) -> String {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}
