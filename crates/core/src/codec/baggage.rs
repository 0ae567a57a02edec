//! The `baggage` header of [W3C Baggage](https://www.w3.org/TR/baggage/).
//!
//! Values are decoded on the way in and encoded on the way out; properties stay as they came,
//! never decoded, so that they can't turn into a member at the next hop. Both ways are bounded by
//! [`MAX_MEMBERS`] and [`MAX_BYTES`]: members beyond are dropped whole. What is refused is never
//! logged: baggage is where people put what is private.

use std::sync::Arc;

use opentelemetry::Key;
use opentelemetry::baggage::{Baggage, BaggageMetadata};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::trim;
use crate::cache::Table;

/// How many members are read and written at the most.
pub const MAX_MEMBERS: usize = 64;

/// How many bytes are read and written at the most, over all headers of a message together.
pub const MAX_BYTES: usize = 8192;

thread_local! {
    static KEYS: Table<Arc<str>, 32> = const { Table::new() };
}

/// Everything but `baggage-octet`, and the percent sign itself; and the plus sign, which may stand
/// there, but is a space to OpenTelemetry for Python.
const ENCODED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%').add(b'+');

/// Parses the values of all `baggage` headers; `None` if no member is left to keep.
///
/// Members that the grammar forbids, and those beyond the bounds, are left out; the others stay.
/// Of two members with one key the later one holds.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Baggage> {
    let mut parser = Parser::default();
    values.into_iter().for_each(|value| parser.feed(value));
    parser.finish()
}

/// Parses header after header, as they are found.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    baggage: Option<Baggage>,
    bytes: usize,
    members: usize,
}

impl Parser {
    pub(crate) fn feed(&mut self, mut value: &[u8]) {
        loop {
            let Member { member, rest, plain } = Member::first_of(value);
            // The comma counts as well; an attacker pays for empty members, too.
            self.bytes = self.bytes.saturating_add(member.len() + 1);
            if self.bytes > MAX_BYTES + 1 || self.members == MAX_MEMBERS {
                // Nor does what follows in another header count.
                self.bytes = usize::MAX;
                return;
            }
            let parsed = match plain {
                Some((key, value)) => Some((shared(key), text(value), BaggageMetadata::default())),
                None => parse_member(trim(member)),
            };
            if let Some((key, value, properties)) = parsed {
                self.members += 1;
                let baggage = self.baggage.get_or_insert_default();
                baggage.insert_with_metadata(key, value, properties);
            }
            match rest {
                Some(rest) => value = rest,
                None => return,
            }
        }
    }

    pub(crate) fn finish(self) -> Option<Baggage> {
        self.baggage.filter(|baggage| !baggage.is_empty())
    }
}

/// A member, as it stands between the commas.
struct Member<'a> {
    member: &'a [u8],
    rest: Option<&'a [u8]>,
    /// Its key and its value, if they are all there is of it, and as they are to be kept. Most are
    /// such, and are seen in one pass.
    plain: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Member<'a> {
    #[inline]
    fn first_of(list: &'a [u8]) -> Self {
        let of = |kinds: u8, from: usize| {
            let bytes = list.get(from..).unwrap_or_default();
            from + bytes.iter().take_while(|byte| KINDS[usize::from(**byte)] & kinds != 0).count()
        };
        let key = of(TOKEN, 0);
        if key > 0 && list.get(key) == Some(&b'=') {
            let end = of(PLAIN, key + 1);
            let rest = list.get(end + 1..);
            if matches!(list.get(end), None | Some(b',')) {
                let plain = Some((&list[..key], &list[key + 1..end]));
                return Member { member: &list[..end], rest, plain };
            }
        }
        let end = list.iter().position(|byte| *byte == b',');
        let member = end.map_or(list, |end| &list[..end]);
        Member { member, rest: end.map(|end| &list[end + 1..]), plain: None }
    }
}

fn parse_member(member: &[u8]) -> Option<(Key, String, BaggageMetadata)> {
    let (member, properties) = split_once(member, b';').unwrap_or((member, b""));
    let (key, value) = split_once(member, b'=')?;
    let (key, value, properties) = (trim(key), trim(value), trim(properties));
    let is_valid = is_token(key) && are(OCTET | BEYOND, value) && are_properties(properties);
    is_valid.then(|| (shared(key), decode(value), text(properties).into()))
}

/// A key, which is one of few.
fn shared(key: &[u8]) -> Key {
    let made = || Some(Arc::from(std::str::from_utf8(key).ok()?));
    Table::get(&KEYS, key, made).unwrap_or_default().into()
}

/// What is valid UTF-8 once it is decoded, and U+FFFD for what isn't.
fn decode(value: &[u8]) -> String {
    if are(PLAIN, value) {
        return text(value);
    }
    percent_decode(value).decode_utf8_lossy().into_owned()
}

/// Prints the header, or `None` if it would be empty.
///
/// Whatever a program put into the baggage, the header is one of the grammar: a property that
/// isn't is left out.
#[must_use]
pub fn print(baggage: &Baggage) -> Option<String> {
    let least = baggage.iter().map(|(key, (value, properties))| {
        key.as_str().len() + value.as_str().len() + properties.as_str().len() + 3
    });
    let mut out = String::with_capacity(least.sum::<usize>().min(MAX_BYTES));
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
        if are(VERBATIM, value.as_str().as_bytes()) {
            out.push_str(value.as_str());
        } else {
            out.extend(utf8_percent_encode(value.as_str(), ENCODED));
        }
        if !properties.as_str().is_empty() {
            print_properties(properties.as_str(), &mut out);
        }
        if out.len() > MAX_BYTES {
            out.truncate(before);
        }
    }
    (!out.is_empty()).then_some(out)
}

fn print_properties(properties: &str, out: &mut String) {
    if !are_properties(properties.as_bytes()) {
        return;
    }
    for property in properties.split(';') {
        let property = property.trim_matches([' ', '\t']);
        if !property.is_empty() {
            out.push(';');
            out.push_str(property);
        }
    }
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..position], &bytes[position + 1..]))
}

/// How long a header this makes, if nothing of it is left out.
pub(crate) fn len(baggage: &Baggage) -> usize {
    let members = baggage.iter().map(|(key, (value, properties))| {
        let value: usize = utf8_percent_encode(value.as_str(), ENCODED).map(str::len).sum();
        let properties = match properties.as_str() {
            "" => 0,
            properties => properties.len() + 1,
        };
        key.as_str().len() + 1 + value + properties
    });
    members.sum::<usize>() + baggage.len().saturating_sub(1)
}

/// `token` of RFC 9110.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && are(TOKEN, bytes)
}

/// `*( OWS ";" OWS property )` with the first semicolon gone, where a property is
/// `key [ OWS "=" OWS value ]` or, more leniently than the grammar, empty.
fn are_properties(bytes: &[u8]) -> bool {
    let is_property = |property: &[u8]| match split_once(property, b'=') {
        Some((key, value)) => is_token(trim(key)) && are(OCTET, trim(value)),
        None => property.is_empty() || is_token(property),
    };
    bytes.is_empty() || bytes.split(|byte| *byte == b';').map(trim).all(is_property)
}

const TOKEN: u8 = 1;
/// `baggage-octet`
const OCTET: u8 = 2;
/// The same without the percent sign: what is read as it stands there.
const PLAIN: u8 = 4;
/// Beyond ASCII, and not in the grammar: decoded like what is percent-encoded.
const BEYOND: u8 = 8;
/// What is written as it is.
const VERBATIM: u8 = 16;

/// Of which kinds each byte is.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'"' | b',' | b';' | b'\\' | 0..=b' ' | 0x7f => 0,
            b'%' => TOKEN | OCTET,
            b'+' => TOKEN | OCTET | PLAIN,
            b'(' | b')' | b'/' | b':' | b'<' | b'=' | b'>' | b'?' | b'@' | b'[' | b']' | b'{'
            | b'}' => OCTET | PLAIN | VERBATIM,
            0x80.. => BEYOND,
            _ => TOKEN | OCTET | PLAIN | VERBATIM,
        };
        byte += 1;
    }
    kinds
};

/// Whether each byte is of one of `kinds`.
#[inline]
fn are(kinds: u8, bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| KINDS[usize::from(*byte)] & kinds != 0)
}

/// The text of what is known to be ASCII.
fn text(ascii: &[u8]) -> String {
    std::str::from_utf8(ascii).unwrap_or_default().to_owned()
}
