//! What SNS writes around a message that it delivers to a queue, unless delivery is raw.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// How many attributes are kept: more than SNS delivers in earnest.
const MAX_ATTRIBUTES: usize = 32;

/// A body, as far as it is looked at. What is doubled, missing or of another type is no envelope.
#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "TopicArn")]
    _topic: IgnoredAny,
    #[serde(rename = "MessageAttributes", borrow)]
    attributes: Envelope<'a>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "Value", borrow)]
    value: Cow<'a, str>,
}

/// The attributes of a message, as they stand in its body.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Envelope<'a> {
    /// Whatever isn't an envelope has no attributes.
    pub(crate) fn read(body: &'a str) -> Self {
        // Most bodies are none, which is seen without taking them apart.
        let may_be = body.trim_start().starts_with('{') && body.contains("\"MessageAttributes\"");
        let read = if may_be { serde_json::from_str(body).ok() } else { None };
        match read {
            Some(Notification { kind, attributes, .. }) if kind == "Notification" => attributes,
            _ => Envelope::default(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Attributes;

        impl<'de> Visitor<'de> for Attributes {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the attributes of a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
                let mut kept = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    let Attribute { kind, value } = map.next_value()?;
                    if kind == "String" && kept.len() < MAX_ATTRIBUTES {
                        kept.push((name, value));
                    }
                }
                Ok(Envelope(kept))
            }
        }

        deserializer.deserialize_map(Attributes)
    }
}

/// A name that is borrowed where it can be.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Vec<(String, String)> {
        let envelope = Envelope::read(body);
        envelope.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_attributes_of_a_notification_are_read() {
        let body = r#" { "Type" : "Notification", "MessageId" : "1", "TopicArn" : "arn:aws:sns:x:1:t",
            "Message" : "{\"MessageAttributes\":{}}", "Timestamp" : "2026-11-21T00:00:00.000Z",
            "MessageAttributes" : {
                "traceparent" : {"Type":"String","Value":"00-\u0061"},
                "picture" : {"Type":"Binary","Value":"AAAA"}
            } }"#;
        assert_eq!(read(body), [("traceparent".to_owned(), "00-a".to_owned())]);
    }

    #[test]
    fn whatever_else_a_body_is_it_has_none() {
        let attributes = r#""MessageAttributes":{"traceparent":{"Type":"String","Value":"a"}}"#;
        let topic = r#""TopicArn":"arn""#;
        let deep = "[".repeat(100_000);
        for body in [
            String::new(),
            "plain".to_owned(),
            format!(r#"{{"Type":"Notification",{topic},{attributes}"#),
            format!(r#"{{"Type":"Notification",{topic},{attributes}}} more"#),
            format!(r#"{{"Type":"Confirmation",{topic},{attributes}}}"#),
            format!(r#"{{"Type":7,{topic},{attributes}}}"#),
            format!("{{{topic},{attributes}}}"),
            format!(r#"{{"Type":"Notification",{attributes}}}"#),
            format!(r#"{{"Type":"Notification",{topic},{attributes},{attributes}}}"#),
            format!(r#"{{"Type":"Notification",{topic},"MessageAttributes":["traceparent"]}}"#),
            format!(
                r#"{{"Type":"Notification",{topic},"MessageAttributes":{{"traceparent":"a"}}}}"#
            ),
            format!(r#"{{"Type":"Notification",{topic},{attributes},"Message":{deep}"#),
        ] {
            assert_eq!(read(&body), [], "{}", &body[..body.len().min(100)]);
        }
    }

    #[test]
    fn no_more_than_enough_are_kept() {
        let many: Vec<_> = (0..1_000)
            .map(|number| format!(r#""a{number}":{{"Type":"String","Value":"v"}}"#))
            .collect();
        let body = format!(
            r#"{{"Type":"Notification","TopicArn":"a","MessageAttributes":{{{}}}}}"#,
            many.join(",")
        );
        assert_eq!(read(&body).len(), MAX_ATTRIBUTES);
    }
}
