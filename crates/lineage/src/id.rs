//! The ids of traces and spans.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An id that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not as many hexadecimal digits as it takes, or something else among them.
    #[error(
        "{what} `{value}` is not {digits} hexadecimal digits; OTLP JSON writes ids in hex, not in base64"
    )]
    NotHex {
        /// `trace id` or `span id`.
        what: &'static str,
        /// How many digits it takes.
        digits: usize,
        /// What was there.
        value: String,
    },
    /// All zeros, which the specification keeps for "no id".
    #[error("{0} is all zeros, which means that there is none; a span needs one of its own")]
    Zero(&'static str),
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($int);

        impl $name {
            const DIGITS: usize = size_of::<$int>() * 2;

            /// The id of these bytes, most significant first.
            ///
            /// # Errors
            /// When all of them are zero.
            pub fn from_bytes(bytes: [u8; size_of::<$int>()]) -> Result<Self, IdError> {
                match <$int>::from_be_bytes(bytes) {
                    0 => Err(IdError::Zero($what)),
                    id => Ok(Self(id)),
                }
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads hexadecimal digits of either case, as OTLP JSON allows.
            fn from_str(value: &str) -> Result<Self, IdError> {
                // `from_str_radix` alone would take a sign.
                let hex = value.len() == Self::DIGITS
                    && value.bytes().all(|byte| byte.is_ascii_hexdigit());
                match <$int>::from_str_radix(value, 16) {
                    Ok(0) if hex => Err(IdError::Zero($what)),
                    Ok(id) if hex => Ok(Self(id)),
                    _ => Err(IdError::NotHex {
                        what: $what,
                        digits: Self::DIGITS,
                        value: value.to_owned(),
                    }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Padded as text, so that `{:.8}` shows the beginning of an id.
                f.pad(&format!("{:0width$x}", self.0, width = Self::DIGITS))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// The id all spans of one trace share: 32 hexadecimal digits.
    TraceId,
    u128,
    "trace id"
);
id!(
    /// The id of one span within its trace: 16 hexadecimal digits.
    SpanId,
    u64,
    "span id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly() {
        let id: SpanId = "00F067aa0ba902b7".parse().unwrap();
        assert_eq!(id.to_string(), "00f067aa0ba902b7");
        assert_eq!(id, SpanId::from_bytes([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]).unwrap());
        for bad in ["", "00f067aa0ba902b", "+0f067aa0ba902b7", "00f067aa0ba902bg", "APBnqgupArc="] {
            assert!(
                matches!(bad.parse::<SpanId>(), Err(IdError::NotHex { .. })),
                "`{bad}` was taken for a span id"
            );
        }
        assert_eq!("0".repeat(32).parse::<TraceId>(), Err(IdError::Zero("trace id")));
        assert!(TraceId::from_bytes([0; 16]).is_err());
    }
}
