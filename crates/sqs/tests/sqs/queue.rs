//! A queue, as strict as AWS is: what the stub takes for granted is seen here, on the embedded SQS or on
//! a real one that `SQS_ENDPOINT` names.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use throughline_core::InContext;
use throughline_core::semconv::MESSAGING_MESSAGE_ID;
use throughline_sqs::{Interceptor, TraceHeader};
use throughline_testing::Recorder;
use throughline_testing::embedded::Sqs;
use throughline_testing::lineage::Span;

use crate::common::{full, interceptor, text, users};
use crate::stub;

/// The most that `ElasticMQ` takes, as AWS did until 2025; it counts no attributes.
const MAX_SIZE: usize = 256 << 10;

struct Queue {
    _embedded: Option<Sqs>,
    recorder: Recorder,
    interceptor: Interceptor,
    sqs: aws_sdk_sqs::Client,
    /// The same queue, for who knows nothing of traces.
    raw: aws_sdk_sqs::Client,
    url: String,
    name: String,
}

impl Queue {
    async fn new(suffix: &str, attributes: &[(QueueAttributeName, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let endpoint = std::env::var("SQS_ENDPOINT").ok().filter(|it| !it.trim().is_empty());
        let (endpoint, embedded) = match endpoint {
            Some(endpoint) => (endpoint, None),
            None => {
                let native = std::env::var("THROUGHLINE_NATIVE");
                assert_ne!(native.as_deref(), Ok("required"), "SQS_ENDPOINT is not set");
                let sqs = Sqs::start().expect("an embedded SQS");
                (sqs.endpoint().to_owned(), Some(sqs))
            }
        };
        let recorder = Recorder::new();
        let interceptor = interceptor(&recorder);
        let raw = aws_sdk_sqs::Client::from_conf(stub::sqs(&endpoint).build());
        let config = stub::sqs(&endpoint).interceptor(interceptor.clone());
        let name = format!("orders-{}-{}{suffix}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let size = (QueueAttributeName::MaximumMessageSize, MAX_SIZE.to_string());
        let attributes = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned()));
        let attributes = attributes.chain([size]);
        let queue = raw.create_queue().queue_name(&name);
        let queue = queue.set_attributes(Some(attributes.collect())).send().await.expect("a queue");
        let url = queue.queue_url().expect("a URL").to_owned();
        let sqs = aws_sdk_sqs::Client::from_conf(config.build());
        Queue { _embedded: embedded, recorder, interceptor, sqs, raw, url, name }
    }

    async fn send(&self, attributes: HashMap<String, MessageAttributeValue>, body: &str) {
        let sending = self.sqs.send_message().queue_url(&self.url).message_body(body);
        let sending = sending.set_message_attributes(Some(attributes)).send();
        InContext::new(sending, full()).await.expect("the queue takes it");
    }

    /// What there is, asked for by the interceptor.
    async fn receive(&self) -> Vec<Message> {
        let poll = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let polled = poll.wait_time_seconds(5).send().await.expect("an answer");
        polled.messages.unwrap_or_default()
    }

    async fn receive_one(&self) -> Message {
        self.receive().await.pop().expect("a message")
    }

    fn found(&self, message: &Message) -> SpanContext {
        self.interceptor.extract(message).context().span().span_context().clone()
    }

    /// The span of this name that sent or created a message.
    fn span_of(&self, name: &str, message: &Message) -> Span {
        let id = message.message_id().expect("an id");
        let name = format!("{name} {}", self.name);
        let is_it = |span: &Span| {
            span.name == name && span.attributes.get_str(MESSAGING_MESSAGE_ID) == Some(id)
        };
        self.recorder.spans().into_iter().find(is_it).expect("the message's span")
    }

    #[track_caller]
    fn assert_tree(&self, expected: &str) {
        self.recorder.assert_all_ended();
        self.recorder.assert_tree(&expected.replace("orders", &self.name));
    }
}

#[track_caller]
fn assert_is(found: &SpanContext, sent: &Span) {
    assert_eq!(found.trace_id().to_string(), sent.trace_id.to_string());
    assert_eq!(found.span_id().to_string(), sent.span_id.to_string());
    assert!(found.is_sampled());
}

fn names(message: &Message) -> Vec<&str> {
    let mut names: Vec<_> =
        message.message_attributes.iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_message_arrives_with_its_context_however_many_attributes_it_has() {
    let queue = Queue::new("", &[]).await;
    for (own, wanted) in [
        (0, &["baggage", "traceparent", "tracestate"][..]),
        (8, &["traceparent", "tracestate"][..]),
        (9, &["traceparent"][..]),
        (10, &[][..]),
    ] {
        queue.send(users(own), "a book").await;
        let message = queue.receive_one().await;
        // The queue gives out what it was asked for, and no attribute of the user's.
        assert_eq!(names(&message), wanted, "beside {own}");
        assert_is(&queue.found(&message), &queue.span_of("send", &message));
        let header = message.attributes.as_ref();
        let header =
            header.is_some_and(|it| it.contains_key(&MessageSystemAttributeName::AwsTraceHeader));
        assert_eq!(header, own == 10, "beside {own}");
        let poll = queue.raw.delete_message().queue_url(&queue.url);
        poll.set_receipt_handle(message.receipt_handle).send().await.expect("it is deleted");
    }
}

#[tokio::test]
async fn the_queue_is_as_strict_as_is_taken_for_granted() {
    let queue = Queue::new("", &[]).await;
    let raw = || queue.raw.send_message().queue_url(&queue.url).message_body("a book");
    raw().set_message_attributes(Some(users(11))).send().await.expect_err("eleven");
    raw().message_attributes("tracestate", text("")).send().await.expect_err("an empty one");
    raw().message_body("x".repeat(MAX_SIZE + 1)).send().await.expect_err("too long");
}

#[tokio::test]
async fn a_message_as_long_as_can_be_is_taken_with_its_context_in_the_header() {
    let queue = Queue::new("", &[]).await;
    queue.send(HashMap::new(), &"x".repeat(MAX_SIZE)).await;
    let message = queue.receive_one().await;
    assert_eq!(names(&message), [""; 0]);
    assert_is(&queue.found(&message), &queue.span_of("send", &message));
}

#[tokio::test]
async fn what_the_header_is_told_to_do_the_queue_does() {
    let mut queue = Queue::new("", &[]).await;
    let config = queue.raw.config().to_builder();
    let always = queue.interceptor.clone().trace_header(TraceHeader::Preferred);
    queue.sqs = aws_sdk_sqs::Client::from_conf(config.interceptor(always).build());
    queue.send(users(0), "a book").await;
    let message = queue.receive_one().await;
    let bare = Message::builder().set_attributes(message.attributes.clone()).build();
    assert_is(&queue.found(&bare), &queue.span_of("send", &message));
}

#[tokio::test]
async fn a_batch_arrives_entry_by_entry_and_is_settled() {
    let queue = Queue::new("", &[]).await;
    let mut batch = queue.sqs.send_message_batch().queue_url(&queue.url);
    for (number, own) in [0, 9, 10].into_iter().enumerate() {
        let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
        let entry = entry.message_body("a book").set_message_attributes(Some(users(own)));
        batch = batch.entries(entry.build().expect("an entry"));
    }
    InContext::new(batch.send(), full()).await.expect("the queue takes them");
    let mut messages = Vec::new();
    while messages.len() < 3 {
        messages.extend(queue.receive().await);
    }
    for message in &messages {
        assert_is(&queue.found(message), &queue.span_of("create", message));
    }
    queue.recorder.clear();
    let handle = |number: usize| messages[number].receipt_handle.clone();
    let change = ChangeMessageVisibilityBatchRequestEntry::builder().id("0");
    let change = change.set_receipt_handle(handle(0)).visibility_timeout(30).build();
    let change = queue
        .sqs
        .change_message_visibility_batch()
        .queue_url(&queue.url)
        .entries(change.expect("an entry"));
    change.send().await.expect("the queue does it");
    let delete = |id: &str, handle| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id).set_receipt_handle(handle);
        entry.build().expect("an entry")
    };
    let both = queue.sqs.delete_message_batch().queue_url(&queue.url);
    let both = both.entries(delete("1", handle(1))).entries(delete("2", handle(2)));
    both.send().await.expect("the queue does it");
    queue.assert_tree(
        "
        CLIENT change_visibility orders {messaging.batch.message_count=1}
        CLIENT delete orders {messaging.batch.message_count=2}
        ",
    );
}

#[tokio::test]
async fn a_refusal_of_the_queue_has_its_name() {
    let queue = Queue::new("", &[]).await;
    let url = queue.url.replace(&queue.name, "nowhere");
    let sending = queue.sqs.send_message().queue_url(url).message_body("a book");
    let error = sending.send().await.expect_err("there is no such queue");
    let code = aws_sdk_sqs::error::ProvideErrorMetadata::code(&error).expect("a code");
    queue.recorder.assert_tree(&format!("PRODUCER send nowhere !error {{error.type={code}}}"));
    let entry = |id: &str, body: &str| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
        entry.build().expect("an entry")
    };
    queue.recorder.clear();
    // What is refused is the user's doing: the whole call, or this entry.
    let batch = queue.sqs.send_message_batch().queue_url(&queue.url);
    let batch = batch.entries(entry("a", "a book")).entries(entry("b", "\u{1}")).send().await;
    let failed = batch.map(|it| it.failed.len());
    let spans = queue.recorder.spans();
    let errors =
        spans.iter().filter(|span| span.attributes.get_str("error.type").is_some()).count();
    match failed {
        Ok(failed) => assert_eq!(errors, failed + 1, "{spans:?}"),
        Err(_) => assert_eq!(errors, 3, "{spans:?}"),
    }
}

#[tokio::test]
async fn a_fifo_queue_tells_doubles_by_their_bodies_whatever_their_context() {
    let attributes = [
        (QueueAttributeName::FifoQueue, "true"),
        (QueueAttributeName::ContentBasedDeduplication, "true"),
    ];
    let queue = Queue::new(".fifo", &attributes).await;
    for body in ["a book", "a book", "a pen"] {
        let sending = queue.sqs.send_message().queue_url(&queue.url).message_body(body);
        sending.message_group_id("one").send().await.expect("the queue takes it");
    }
    let mut bodies = Vec::new();
    for _ in 0..2 {
        for message in queue.receive().await {
            assert!(queue.found(&message).is_valid());
            bodies.push(message.body.unwrap_or_default());
            let delete = queue.sqs.delete_message().queue_url(&queue.url);
            let delete = delete.set_receipt_handle(message.receipt_handle).send();
            delete.await.expect("it is deleted");
        }
    }
    assert_eq!(bodies, ["a book", "a pen"]);
}

#[tokio::test]
async fn an_empty_poll_of_the_queue_is_no_span_and_one_with_messages_is_linked() {
    let queue = Queue::new("", &[]).await;
    let poll = || queue.sqs.receive_message().queue_url(&queue.url);
    poll().send().await.expect("an answer");
    queue.assert_tree("");
    queue.sqs.send_message().queue_url(&queue.url).message_body("a book").send().await.expect("ok");
    queue.receive_one().await;
    queue.assert_tree(
        "
        PRODUCER send orders
        CLIENT receive orders {messaging.batch.message_count=1} ~(send orders)
        ",
    );
}
