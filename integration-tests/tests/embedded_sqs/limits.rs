//! What is refused, and what just isn't.

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};

use crate::common::{Rig, refused, text, typed};

const MIB: usize = 1024 * 1024;
const INVALID: &str = "InvalidParameterValue";
/// What ElasticMQ calls most of what it refuses.
const ELASTICMQ: &str = "InvalidAttributeValue";

struct Cases {
    rig: Rig,
    queue: String,
}

impl Cases {
    async fn new() -> Self {
        let rig = Rig::new();
        let queue = rig.queue(&[]).await;
        Cases { rig, queue }
    }

    async fn with(&self, name: &str, value: MessageAttributeValue) -> String {
        let sent = self.rig.client.send_message().queue_url(&self.queue).message_body("one book");
        refused(sent.message_attributes(name, value).send().await)
    }

    async fn body(&self, body: &str) -> String {
        let sent = self.rig.client.send_message().queue_url(&self.queue).message_body(body);
        refused(sent.send().await)
    }
}

#[tokio::test]
async fn ten_attributes_are_taken_and_the_eleventh_is_not() {
    let cases = Cases::new().await;
    let send = async |count| {
        let mut sent = cases.rig.client.send_message().queue_url(&cases.queue).message_body("x");
        for number in 0..count {
            sent = sent.message_attributes(format!("attribute-{number}"), text("value"));
        }
        refused(sent.send().await)
    };
    assert_eq!(send(10).await, "nothing");
    assert_eq!(send(11).await, cases.rig.differs("codes of refused messages", INVALID, ELASTICMQ));
}

#[tokio::test]
async fn no_attribute_is_empty() {
    let cases = Cases::new().await;
    let expected = cases.rig.differs("codes of refused messages", INVALID, ELASTICMQ);
    assert_eq!(cases.with("tracestate", text("")).await, expected);
    let empty = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([]));
    let expected = cases.rig.differs("an empty binary value", INVALID, "nothing");
    assert_eq!(cases.with("a", empty.build().expect("an attribute")).await, expected);
    let none = MessageAttributeValue::builder().data_type("String").build();
    let expected = cases.rig.differs("codes of refused messages", INVALID, "MissingParameter");
    assert_eq!(cases.with("a", none.expect("an attribute")).await, expected);
}

#[tokio::test]
async fn an_attribute_has_one_value_of_its_type() {
    let cases = Cases::new().await;
    let value = || MessageAttributeValue::builder().string_value("x");
    let both = value().data_type("String").binary_value(Blob::new("x")).build();
    let expected = cases.rig.differs("two values in one attribute", INVALID, "nothing");
    assert_eq!(cases.with("a", both.expect("an attribute")).await, expected);
    let wrong = value().data_type("Binary").build().expect("an attribute");
    let expected = cases.rig.differs("codes of refused messages", INVALID, "MissingParameter");
    assert_eq!(cases.with("a", wrong).await, expected);
    let list = value().data_type("String").string_list_values("x").build();
    let expected = cases.rig.differs("lists as values", "UnsupportedOperation", "nothing");
    let code = cases.with("a", list.expect("an attribute")).await;
    assert_eq!(code.trim_start_matches("AWS.SimpleQueueService."), expected);
}

#[tokio::test]
async fn the_name_of_an_attribute_has_its_grammar() {
    let cases = Cases::new().await;
    for name in ["a", "traceparent", "AWSx", "a_b-c.D9", "_", &"x".repeat(256)] {
        assert_eq!(cases.with(name, text("x")).await, "nothing", "{name}");
    }
    let long = "x".repeat(257);
    let wrong = ["", "a b", "ä", "a:b", ".a", "a.", "a..b", "AWS.a", "aws.a", "Amazon.a", &long];
    for name in wrong {
        let expected = cases.rig.differs("names of message attributes", INVALID, "nothing");
        assert_eq!(cases.with(name, text("x")).await, expected, "{name}");
    }
}

#[tokio::test]
async fn the_type_of_an_attribute_is_one_of_three_and_may_have_a_label() {
    let cases = Cases::new().await;
    for data_type in ["String", "String.url", "String.a.b", "Number", "Number.int"] {
        assert_eq!(cases.with("a", typed(data_type, "1")).await, "nothing", "{data_type}");
    }
    for data_type in ["", "Text", "string", ".String"] {
        let code = cases.with("a", typed(data_type, "1")).await;
        assert_eq!(code, INVALID, "{data_type}");
    }
    for data_type in ["Stringy", "Numbers.int"] {
        let expected = cases.rig.differs("types that only begin like one", INVALID, "nothing");
        assert_eq!(cases.with("a", typed(data_type, "1")).await, expected, "{data_type}");
    }
    let long = format!("String.{}", "x".repeat(250));
    let expected = cases.rig.differs("types of more than 256 bytes", INVALID, "nothing");
    assert_eq!(cases.with("a", typed(&long, "1")).await, expected);
}

#[tokio::test]
async fn a_number_is_one() {
    let cases = Cases::new().await;
    let most = "1".repeat(38);
    for number in ["0", "-1", "+1", "1.5", "1e5", "1E-5", "0001", &most] {
        assert_eq!(cases.with("a", typed("Number", number)).await, "nothing", "{number}");
    }
    for number in ["x", "1 2", "0x1", "1e127", "-", "NaN"] {
        let expected = cases.rig.differs("codes of refused messages", INVALID, ELASTICMQ);
        assert_eq!(cases.with("a", typed("Number", number)).await, expected, "{number}");
    }
    for number in ["1".repeat(39), "1e-129".to_owned()] {
        let row = "numbers of more than 38 digits, or too small";
        let expected = cases.rig.differs(row, INVALID, "nothing");
        assert_eq!(cases.with("a", typed("Number", &number)).await, expected, "{number}");
    }
}

#[tokio::test]
async fn a_body_has_characters_of_xml_only() {
    let cases = Cases::new().await;
    for good in ["\t\n\r", " ", "\u{7f}", "\u{d7ff}", "\u{e000}", "\u{fffd}", "😀", "\u{10ffff}"]
    {
        assert_eq!(cases.body(good).await, "nothing", "{good:?}");
    }
    let expected =
        cases.rig.differs("codes of refused messages", "InvalidMessageContents", ELASTICMQ);
    // (U+FFFF, as SDKs write it, is the end of the request for ElasticMQ.)
    let last = cases.rig.differs("what can't be read", "\u{ffff}", "\u{fffe}");
    for bad in ["\0", "\u{1}", "\u{b}", "\u{1f}", "\u{fffe}", last] {
        assert_eq!(cases.body(&format!("one {bad} book")).await, expected, "{bad:?}");
        assert_eq!(cases.with("a", text(bad)).await, expected, "{bad:?}");
    }
    let expected = cases.rig.differs("codes of refused messages", "MissingParameter", ELASTICMQ);
    assert_eq!(cases.body("").await, expected);
}

#[tokio::test]
async fn a_message_has_one_mebibyte_with_its_attributes() {
    let cases = Cases::new().await;
    let (most, code) =
        cases.rig.differs("the largest message", (MIB, INVALID), (MIB / 4, ELASTICMQ));
    assert_eq!(cases.body(&"x".repeat(most)).await, "nothing");
    assert_eq!(cases.body(&"x".repeat(most + 1)).await, code);
    // In bytes, not in characters.
    assert_eq!(cases.body(&"ä".repeat(most / 2)).await, "nothing");
    let expected = cases.rig.differs("what the size of a message counts", code, "nothing");
    assert_eq!(cases.body(&"ä".repeat(most / 2 + 1)).await, expected);
    // Name, type and value.
    let with = async |length| {
        let sent = cases.rig.client.send_message().queue_url(&cases.queue);
        let sent = sent.message_body("x".repeat(length)).message_attributes("name", text("value"));
        refused(sent.send().await)
    };
    let rest = most - "nameStringvalue".len();
    assert_eq!(with(rest).await, "nothing");
    let expected = cases.rig.differs("attributes toward the size of a message", code, "nothing");
    assert_eq!(with(rest + 1).await, expected);
}

#[tokio::test]
async fn a_queue_may_take_less() {
    let rig = Rig::new();
    let queue = rig.queue(&[(QueueAttributeName::MaximumMessageSize, "1024")]).await;
    let send = async |length| {
        let sent = rig.client.send_message().queue_url(&queue).message_body("x".repeat(length));
        refused(sent.send().await)
    };
    assert_eq!(send(1024).await, "nothing");
    assert_eq!(send(1025).await, rig.differs("`MaximumMessageSize`", INVALID, "nothing"));
}

#[tokio::test]
async fn a_delay_is_at_most_a_quarter_of_an_hour() {
    let cases = Cases::new().await;
    for (delay, code) in [(0, "nothing"), (900, "nothing"), (901, INVALID), (-1, INVALID)] {
        let sent = cases.rig.client.send_message().queue_url(&cases.queue).message_body("x");
        assert_eq!(refused(sent.delay_seconds(delay).send().await), code, "{delay}");
    }
}

#[tokio::test]
async fn a_queue_that_is_not_fifo_knows_groups_and_no_deduplication() {
    let cases = Cases::new().await;
    let send = || cases.rig.client.send_message().queue_url(&cases.queue).message_body("x");
    // AWS calls that fair queues.
    assert_eq!(refused(send().message_group_id("tenant").send().await), "nothing");
    assert_eq!(refused(send().message_group_id("two words").send().await), INVALID);
    assert_eq!(refused(send().message_deduplication_id("1").send().await), INVALID);
}
