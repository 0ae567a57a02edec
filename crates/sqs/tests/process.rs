//! What is one a process: its counts, and what it tells once a minute.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]

mod log;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::MessageAttributeValue;
use throughline_core::{Outcomes, outcomes};
use throughline_sqs::{Interceptor, TraceHeader};
use throughline_testing::Recorder;
use throughline_testing::embedded::Sqs;

/// The only test of this binary.
#[tokio::test]
async fn a_message_that_leaves_without_its_trace_is_counted_and_told() {
    let log = log::Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let (sqs, recorder) = (Sqs::start().expect("an embedded SQS"), Recorder::new());
    let url = sqs.create_queue("orders", &[]).expect("a queue");
    let interceptor = Interceptor::new().with_tracer_provider(&recorder.provider());
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(sqs.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        // As at SNS, which has no such header.
        .interceptor(interceptor.trace_header(TraceHeader::Never));
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let mut expected = Outcomes::default();
    for attributes in [9, 10, 10] {
        let message = client.send_message().queue_url(&url).message_body("a book");
        let message = (0..attributes).fold(message, |message, number| {
            let value = MessageAttributeValue::builder().data_type("String").string_value("kept");
            message.message_attributes(number.to_string(), value.build().expect("a value"))
        });
        message.send().await.expect("it is sent");
        match attributes {
            10 => expected.no_room += 1,
            _ => expected.injected += 1,
        }
        assert_eq!(outcomes(), expected, "{attributes}");
    }
    let told = log.lines("WARN", "no room for its trace");
    assert_eq!(told.len(), 1, "once a minute: {told:?}");
    assert!(told[0].contains(&url), "{told:?}");
}
