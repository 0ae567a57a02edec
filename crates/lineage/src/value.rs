//! Attributes and their values.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use throughline_core::root::Attribute;

use crate::wire;

/// The attributes of a span, an event, a link, a scope or a resource, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(Vec<KeyValue>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeyValue {
    #[serde(default)]
    key: String,
    #[serde(default, deserialize_with = "wire::or_default")]
    value: AnyValue,
}

impl Attributes {
    /// Adds an attribute.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<AnyValue>) {
        self.0.push(KeyValue { key: key.into(), value: value.into() });
    }

    /// The value of an attribute; of the last one, should a sender have doubled it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&AnyValue> {
        self.0.iter().rfind(|pair| pair.key == key).map(|pair| &pair.value)
    }

    /// The value of an attribute that is a string.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(AnyValue::String(value)) => Some(value),
            _ => None,
        }
    }

    /// The value of an attribute that is an integer.
    #[must_use]
    pub fn get_int(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Some(AnyValue::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AnyValue)> {
        self.0.iter().map(|pair| (pair.key.as_str(), &pair.value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<AnyValue>> FromIterator<(K, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(pairs.map(|(key, value)| KeyValue { key: key.into(), value: value.into() }).collect())
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AnyValue {
    /// No value, or one of a type this version does not know.
    #[default]
    Empty,
    /// A string.
    String(String),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list of values.
    Array(Vec<AnyValue>),
    /// Attributes of the attribute.
    Map(Attributes),
}

impl<'a> From<&'a AnyValue> for Attribute<'a> {
    fn from(value: &'a AnyValue) -> Self {
        match value {
            AnyValue::Bool(value) => Self::Bool(*value),
            AnyValue::String(value) => Self::Str(value),
            AnyValue::Empty
            | AnyValue::Int(_)
            | AnyValue::Double(_)
            | AnyValue::Bytes(_)
            | AnyValue::Array(_)
            | AnyValue::Map(_) => Self::Other,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {$(
        impl From<$from> for AnyValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
from!(&str => String, String => String, bool => Bool, i64 => Int, f64 => Double, Vec<AnyValue> => Array);

/// A value on the wire: an object with one member, named by its type.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bool_value: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    int_value: Option<wire::Int64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    double_value: Option<wire::Double>,
    #[serde(skip_serializing_if = "Option::is_none")]
    array_value: Option<List<AnyValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kvlist_value: Option<List<KeyValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_value: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct List<T> {
    #[serde(default, deserialize_with = "wire::or_default")]
    values: Vec<T>,
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wire = Wire::default();
        match self.clone() {
            Self::Empty => {}
            Self::String(value) => wire.string_value = Some(value),
            Self::Bool(value) => wire.bool_value = Some(value),
            Self::Int(value) => wire.int_value = Some(wire::Int64(value)),
            Self::Double(value) => wire.double_value = Some(wire::Double(value)),
            Self::Bytes(value) => wire.bytes_value = Some(wire::to_base64(&value)),
            Self::Array(values) => wire.array_value = Some(List { values }),
            Self::Map(Attributes(values)) => wire.kvlist_value = Some(List { values }),
        }
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Ok(if let Some(value) = wire.string_value {
            Self::String(value)
        } else if let Some(value) = wire.bool_value {
            Self::Bool(value)
        } else if let Some(wire::Int64(value)) = wire.int_value {
            Self::Int(value)
        } else if let Some(wire::Double(value)) = wire.double_value {
            Self::Double(value)
        } else if let Some(List { values }) = wire.array_value {
            Self::Array(values)
        } else if let Some(List { values }) = wire.kvlist_value {
            Self::Map(Attributes(values))
        } else if let Some(text) = wire.bytes_value {
            Self::Bytes(wire::from_base64(&text).ok_or_else(|| {
                D::Error::custom(format_args!("bytesValue `{text}` is not base64"))
            })?)
        } else {
            Self::Empty
        })
    }
}
