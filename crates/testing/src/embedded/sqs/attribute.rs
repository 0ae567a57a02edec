//! The attributes of a message: what they may be, how large they are, and their digest.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::wire::{AttributeValue, Map};

/// The only one that can be sent.
pub(super) const TRACE_HEADER: &str = "AWSTraceHeader";
const MOST: usize = 10;
const LONGEST: usize = 256;

pub(super) type Attributes = BTreeMap<String, Attribute>;

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, maybe with a label: `Number.int`.
    pub data_type: String,
    /// Its value, that of strings and numbers in UTF-8.
    pub value: Vec<u8>,
}

impl Attribute {
    fn is_binary(&self) -> bool {
        self.data_type.starts_with("Binary")
    }

    /// As it is written in an answer.
    pub(super) fn json(&self) -> Value {
        if self.is_binary() {
            json!({ "DataType": self.data_type, "BinaryValue": STANDARD.encode(&self.value) })
        } else {
            let text = String::from_utf8_lossy(&self.value);
            json!({ "DataType": self.data_type, "StringValue": text })
        }
    }
}

/// Reads the attributes that a sender chose.
pub(super) fn read(sent: Option<Map<AttributeValue>>) -> Result<Attributes, Refusal> {
    let sent = sent.unwrap_or_default();
    if sent.len() > MOST {
        let message = format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MOST}].",
            sent.len()
        );
        return Err(Refusal::invalid(message));
    }
    let read = |(name, value): (String, AttributeValue)| {
        check_name(&name)?;
        let attribute = attribute(&name, value)?;
        Ok((name, attribute))
    };
    sent.into_iter().map(read).collect()
}

/// Reads the attributes that SQS knows by name, of which there is one.
pub(super) fn read_system(sent: Option<Map<AttributeValue>>) -> Result<Attributes, Refusal> {
    let read = |(name, value): (String, AttributeValue)| {
        if name != TRACE_HEADER {
            let message = format!("Message system attribute name '{name}' is invalid.");
            return Err(Refusal::invalid(message));
        }
        let attribute = attribute(&name, value)?;
        if attribute.data_type != "String" {
            let message = format!("Message system attribute '{name}' must be of type String.");
            return Err(Refusal::invalid(message));
        }
        if !is_trace_header(&String::from_utf8_lossy(&attribute.value)) {
            let message =
                format!("Message system attribute '{name}' must be a valid X-Ray trace header.");
            return Err(Refusal::invalid(message));
        }
        Ok((name, attribute))
    };
    sent.unwrap_or_default().into_iter().map(read).collect()
}

/// The trace header of a request, which is that of its messages; what is none is left out.
pub(super) fn of_request(header: &str) -> Option<Attribute> {
    let attribute = || Attribute { data_type: "String".to_owned(), value: header.into() };
    is_trace_header(header).then(attribute)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let refuse = |reason| {
        let message = format!("Message (user) attribute name '{name}' {reason}.");
        Err(Refusal::invalid(message))
    };
    let lower = name.to_ascii_lowercase();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > LONGEST {
        refuse("must have 1 to 256 characters")
    } else if !name.bytes().all(is_allowed) {
        refuse("can contain letters, digits, underscores, hyphens and periods only")
    } else if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        refuse("starts with a prefix that is reserved")
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        refuse("starts or ends with a period, or has two in succession")
    } else {
        Ok(())
    }
}

fn attribute(name: &str, sent: AttributeValue) -> Result<Attribute, Refusal> {
    let refuse = |reason: &str| {
        Err(Refusal::invalid(format!("Message (user) attribute '{name}' {reason}.")))
    };
    let lists = [sent.string_list_values, sent.binary_list_values];
    if lists.into_iter().flatten().any(|list| !list.is_empty()) {
        return Err(Refusal::unsupported("Message attribute list values are not supported."));
    }
    let data_type = sent.data_type.unwrap_or_default();
    if data_type.is_empty() || data_type.len() > LONGEST {
        return refuse("must have a type of 1 to 256 bytes");
    }
    let kind = data_type.split_once('.').map_or(data_type.as_str(), |(kind, _)| kind);
    let value = match (kind, sent.string_value, sent.binary_value) {
        ("String" | "Number", Some(text), None) => {
            if !text.chars().all(is_character) {
                return Err(Refusal::contents());
            }
            if kind == "Number" && !is_number(&text) {
                return refuse("is no number of at most 38 digits, from 10^-128 to 10^126");
            }
            text.into_bytes()
        }
        ("Binary", None, Some(text)) => match STANDARD.decode(text) {
            Ok(bytes) => bytes,
            Err(error) => return Err(Refusal::serialization(error.to_string())),
        },
        ("String" | "Number" | "Binary", _, _) => {
            return refuse("must contain a value of its type, and no other");
        }
        _ => return refuse("has an invalid type: it must be String, Number or Binary"),
    };
    if value.is_empty() {
        return refuse("must contain a non-empty value");
    }
    Ok(Attribute { data_type, value })
}

/// What may be in a body, and in an attribute of text: the characters of XML 1.0.
pub(super) fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

fn is_number(text: &str) -> bool {
    // Rust reads what AWS does, and names beside.
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let significant = digits.skip_while(|digit| *digit == b'0').count();
    let is_within = |number: f64| number == 0.0 || (1e-128..=1e126).contains(&number.abs());
    is_plain && significant <= 38 && text.parse().is_ok_and(is_within)
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, where the rest may
/// be missing.
fn is_trace_header(text: &str) -> bool {
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_root = |root: &str| match *root.split('-').collect::<Vec<_>>().as_slice() {
        ["1", time, rest] => is_hex(time, 8) && is_hex(rest, 24),
        _ => false,
    };
    let mut fields = text.split(';').map(|field| field.trim().split_once('='));
    let mut rooted = false;
    fields.all(|field| match field {
        Some(("Root", root)) => {
            rooted = true;
            is_root(root)
        }
        Some(("Parent", parent)) => is_hex(parent, 16),
        Some(("Sampled", sampled)) => matches!(sampled, "0" | "1" | "?"),
        Some((key, _)) => !key.is_empty(),
        None => false,
    }) && rooted
}

/// What they count toward the size of a message.
pub(super) fn size(attributes: &Attributes) -> usize {
    let size = |(name, attribute): (&String, &Attribute)| {
        name.len() + attribute.data_type.len() + attribute.value.len()
    };
    attributes.iter().map(size).sum()
}

/// MD5 as AWS computes it, in order of the names; none of none.
pub(super) fn digest<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>,
) -> Option<String> {
    let mut all = Vec::new();
    let mut add = |bytes: &[u8], mark: &[u8]| {
        all.extend_from_slice(mark);
        all.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        all.extend_from_slice(bytes);
    };
    for (name, attribute) in attributes {
        add(name.as_bytes(), &[]);
        add(attribute.data_type.as_bytes(), &[]);
        // What a value is: text, or bytes.
        add(&attribute.value, if attribute.is_binary() { &[2] } else { &[1] });
    }
    (!all.is_empty()).then(|| md5(&all))
}

/// MD5 of a body.
pub(super) fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which attributes a receiver asked for: by name, `All`, `.*` or `prefix.*`.
pub(super) fn is_asked_for(name: &str, asked: &[String]) -> bool {
    asked.iter().any(|asked| match asked.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => asked == "All" || asked == name,
    })
}
