//! How OTLP JSON writes what JSON cannot: 64-bit integers, bytes, enums, absent values.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use throughline_core::root::Kind;

use crate::id::SpanId;

/// Takes `null` for the default: protobuf's JSON mapping lets any field be written so.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether protobuf leaves this value out.
pub(crate) fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A number or the name of an enum's value, a number possibly in quotes, `null` for zero.
enum Number {
    Whole(i128),
    Fraction(f64),
    Word(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a number in quotes")
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number::Whole(value.into()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number::Whole(value.into()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Fraction(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
                Ok(value.parse().map_or_else(|_| Number::Word(value.to_owned()), Number::Whole))
            }
            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number::Whole(0))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// Reads an integer that may stand in quotes.
pub(crate) fn integer<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    match Number::deserialize(deserializer)? {
        Number::Whole(value) => T::try_from(value).map_err(|_| {
            D::Error::custom(format_args!("{value} does not fit {}", std::any::type_name::<T>()))
        }),
        Number::Fraction(value) => {
            Err(D::Error::invalid_value(Unexpected::Float(value), &"an integer"))
        }
        Number::Word(value) => Err(D::Error::invalid_value(Unexpected::Str(&value), &"an integer")),
    }
}

/// A signed integer, in quotes since JSON's numbers are doubles to most readers.
pub(crate) struct Int64(pub(crate) i64);

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        integer(deserializer).map(Self)
    }
}

/// A double; those that JSON has no number for are words in quotes.
pub(crate) struct Double(pub(crate) f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Number::deserialize(deserializer)? {
            Number::Whole(value) => value as f64,
            Number::Fraction(value) => value,
            Number::Word(value) => value
                .parse()
                .map_err(|_| D::Error::invalid_value(Unexpected::Str(&value), &"a double"))?,
        }))
    }
}

/// Nanoseconds since 1970.
pub(crate) mod nanos {
    use super::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        super::integer(d)
    }
}

/// The parent of a span: exporters write none as nothing, as `""`, as `null` or as zeros.
pub(crate) fn parent<'de, D>(deserializer: D) -> Result<Option<SpanId>, D::Error>
where
    D: Deserializer<'de>,
{
    let text: String = or_default(deserializer)?;
    if text.bytes().all(|byte| byte == b'0') && (text.is_empty() || text.len() == 16) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| D::Error::custom(format_args!("parent {error}")))
}

/// The kind of a span.
pub(crate) mod kind {
    use super::{Deserialize, Deserializer, Error, Kind, Number, Serializer};

    pub(crate) fn serialize<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
            Kind::Producer => 4,
            Kind::Consumer => 5,
        })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Kind, D::Error> {
        let unknown = |value: &dyn std::fmt::Display| {
            D::Error::custom(format_args!(
                "span kind `{value}` is none of 0 to 5 or SPAN_KIND_INTERNAL, _SERVER, _CLIENT, _PRODUCER, _CONSUMER"
            ))
        };
        match Number::deserialize(d)? {
            // The specification lets a reader take "unspecified" for internal.
            Number::Whole(0 | 1) => Ok(Kind::Internal),
            Number::Whole(2) => Ok(Kind::Server),
            Number::Whole(3) => Ok(Kind::Client),
            Number::Whole(4) => Ok(Kind::Producer),
            Number::Whole(5) => Ok(Kind::Consumer),
            Number::Word(name) => match name.as_str() {
                "SPAN_KIND_UNSPECIFIED" | "SPAN_KIND_INTERNAL" => Ok(Kind::Internal),
                "SPAN_KIND_SERVER" => Ok(Kind::Server),
                "SPAN_KIND_CLIENT" => Ok(Kind::Client),
                "SPAN_KIND_PRODUCER" => Ok(Kind::Producer),
                "SPAN_KIND_CONSUMER" => Ok(Kind::Consumer),
                _ => Err(unknown(&name)),
            },
            Number::Whole(value) => Err(unknown(&value)),
            Number::Fraction(value) => Err(unknown(&value)),
        }
    }
}

/// The code of a status: 0 unset, 1 ok, 2 error.
pub(crate) fn status_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let unknown = |value: &dyn fmt::Display| {
        D::Error::custom(format_args!(
            "status code `{value}` is none of 0 to 2 or STATUS_CODE_UNSET, _OK, _ERROR"
        ))
    };
    match Number::deserialize(deserializer)? {
        Number::Whole(0) => Ok(0),
        Number::Whole(1) => Ok(1),
        Number::Whole(2) => Ok(2),
        Number::Word(name) => match name.as_str() {
            "STATUS_CODE_UNSET" => Ok(0),
            "STATUS_CODE_OK" => Ok(1),
            "STATUS_CODE_ERROR" => Ok(2),
            _ => Err(unknown(&name)),
        },
        Number::Whole(value) => Err(unknown(&value)),
        Number::Fraction(value) => Err(unknown(&value)),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            text.push(if digit > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[bits >> (18 - 6 * digit) & 63])
            });
        }
    }
    text
}

/// Reads either alphabet, padded or not, as protobuf's JSON mapping asks; `None` if it is none.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'-' => 62,
            b'_' => 63,
            _ => ALPHABET.iter().position(|known| *known == digit)?,
        };
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // A lone digit left over holds no byte.
    (held < 6).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(to_base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(from_base64(text.trim_end_matches('=')).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(from_base64("-_-_"), from_base64("+/+/"));
        assert_eq!(from_base64("Z"), None);
        assert_eq!(from_base64("Zm9v!"), None);
    }
}
