//! One message at a time: its span, and what becomes of it.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use throughline_core::{Config, End, Trust};
use throughline_sqs::{CreationContext, Deliveries, Delivery, Message, Queue};
use throughline_testing::Measurements;

use crate::common::{Rig, TRACEPARENT, name, server, soon, text};

/// The one message that is there.
async fn receive_one(queue: &Queue) -> Delivery {
    let mut received = soon("a message", async {
        loop {
            let received = queue.receive().await.expect("an answer");
            if !received.is_empty() {
                return received;
            }
        }
    })
    .await;
    assert_eq!(received.len(), 1, "{received:?}");
    received.remove(0)
}

fn trace_id() -> String {
    Context::map_current(|current| current.span().span_context().trace_id().to_string())
}

#[tokio::test]
async fn what_succeeds_is_deleted_in_its_trace() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let id = rig.send(&url, "one book").await;
    let queue = rig.read(&url);

    let delivery = receive_one(&queue).await;
    assert_eq!((delivery.message_id(), delivery.receive_count()), (&*id, Some(1)));
    let parent = delivery.parent().expect("a parent");
    assert_eq!(parent.span_id().to_string(), "b7ad6b7169203331");
    let handler = async |message: Message<'_>| {
        assert_eq!(trace_id(), "0af7651916cd43dd8448eb211c80319c");
        Ok::<_, String>(message.body().to_owned())
    };
    assert_eq!(delivery.process(handler).await.as_deref(), Ok("one book"));
    queue.flush().await.expect("it is deleted");
    assert_eq!(rig.counts(&url).await, (0, 0));

    let name = name(&url);
    let (address, port) = server(&url);
    let server = format!("server.address={address}, server.port={port}");
    rig.recorder.assert_tree(&format!(
        "
        CONSUMER process {name} {{messaging.system.name=aws.sqs, messaging.operation.name=process, \
            messaging.operation.type=process, messaging.destination.name={name}, \
            messaging.message.id={id}, aws.sqs.queue.url={url}, {server}, throughline.message.age=*}}
        CLIENT receive {name} ~(elsewhere)
        CLIENT delete {name}
        "
    ));
}

#[tokio::test]
async fn a_message_may_be_linked_to_its_sender_instead() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let queue = rig.read(&url).creation_context(CreationContext::Link);
    let delivery = receive_one(&queue).await;
    let config = Config::new("test", "1").with_tracer_provider(&rig.recorder.provider());
    let work = delivery.process(async |_| Ok::<_, String>(()));
    let (processed, job) = config.root("nightly").process(work).await;
    processed.expect("it succeeds");
    job.end(End::Completed);
    queue.flush().await.expect("it is deleted");
    let name = name(&url);
    rig.recorder.assert_tree(&format!(
        "
        INTERNAL nightly
          CONSUMER process {name} ~(elsewhere)
        CLIENT receive {name} ~(elsewhere)
        CLIENT delete {name}
        "
    ));
}

#[tokio::test]
async fn what_fails_comes_again_in_the_same_trace() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let queue = rig.read(&url).backoff(Duration::from_secs(2), Duration::from_secs(60));

    let delivery = receive_one(&queue).await;
    let failed: Result<(), _> = delivery.process(async |_| Err("out of stock")).await;
    assert_eq!(failed, Err("out of stock"));
    queue.flush().await.expect("nothing is left to delete");
    // Two seconds after the first failure, and not at once.
    assert_eq!(rig.counts(&url).await, (0, 1));
    rig.pass(Duration::from_secs(2)).await;
    let delivery = receive_one(&queue).await;
    assert_eq!(delivery.receive_count(), Some(2));
    let failed: Result<(), _> = delivery.process(async |_| Err("out of stock")).await;
    assert!(failed.is_err());
    queue.flush().await.expect("nothing is left to delete");
    // Four, after the second.
    rig.pass(Duration::from_millis(2_500)).await;
    assert_eq!(rig.counts(&url).await, (0, 1));
    rig.pass(Duration::from_millis(1_600)).await;
    receive_one(&queue).await.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    queue.flush().await.expect("it is deleted");
    assert_eq!(rig.counts(&url).await, (0, 0));

    let spans = rig.spans("process ");
    let told: Vec<_> = spans
        .iter()
        .map(|it| (it.trace_id.to_string(), it.parent.map(|parent| parent.to_string())))
        .collect();
    let came = ("0af7651916cd43dd8448eb211c80319c".to_owned(), Some("b7ad6b7169203331".to_owned()));
    assert_eq!(told, [came.clone(), came.clone(), came]);
}

#[tokio::test]
async fn a_panic_and_a_cancelled_handler_come_again() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let queue = rig.read(&url);

    let delivery = receive_one(&queue).await;
    let panics = delivery.process(async |_| -> Result<(), String> { panic!("out of paper") });
    assert!(tokio::spawn(panics).await.expect_err("a panic").is_panic());

    let delivery = receive_one(&queue).await;
    let hangs = delivery.process(async |_| std::future::pending::<Result<(), String>>().await);
    tokio::time::timeout(Duration::from_millis(10), hangs).await.expect_err("it is dropped");

    drop(receive_one(&queue).await);
    queue.flush().await.expect("nothing is left to delete");
    assert_eq!(rig.counts(&url).await, (1, 0));

    let name = name(&url);
    let spans: Vec<_> = rig.spans("process ");
    throughline_testing::tree::assert_tree(
        &spans,
        &format!(
            "
            CONSUMER process {name} !error(the handler panicked) {{error.type=panic}}
            CONSUMER process {name} {{error.type=cancelled}}
            "
        ),
    );
}

#[tokio::test]
async fn a_client_with_an_interceptor_is_traced_once() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    let client = rig.traced();
    client.send_message().queue_url(&url).message_body("one").send().await.expect("it is sent");
    let queue = rig.read_by(client, &url);
    let delivery = receive_one(&queue).await;
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    queue.flush().await.expect("it is deleted");
    let name = name(&url);
    rig.recorder.assert_tree(&format!(
        "
        PRODUCER send {name}
          CONSUMER process {name}
        CLIENT receive {name} ~(send {name})
        CLIENT delete {name}
        "
    ));
    rig.recorder.assert_all_ended();
}

#[tokio::test]
async fn where_a_loop_has_a_span_it_is_linked_to() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let queue = rig.read(&url);
    let delivery = receive_one(&queue).await;
    let tracer = rig.recorder.provider().tracer("test");
    let context = Context::current_with_span(tracer.start("loop"));
    let processed = throughline_core::InContext::new(
        delivery.process(async |_| Ok::<_, String>(())),
        context.clone(),
    );
    processed.await.expect("it succeeds");
    context.span().end();
    let name = name(&url);
    let spans: Vec<_> = rig.recorder.spans();
    let spans: Vec<_> = spans.into_iter().filter(|it| !it.name.starts_with("receive")).collect();
    throughline_testing::tree::assert_tree(
        &spans,
        &format!("CONSUMER process {name} ~(loop)\nINTERNAL loop"),
    );
}

#[tokio::test]
async fn a_message_is_counted_once_where_it_is_received_and_its_processing_measured() {
    let rig = Rig::new();
    let url = rig.queue(&[]).await;
    rig.send(&url, "one book").await;
    let measurements = Measurements::new();
    let queue = rig.read(&url).with_meter_provider(&measurements);
    let failed = receive_one(&queue).await.process(async |_| Err::<(), _>("out of stock")).await;
    assert!(failed.is_err());
    receive_one(&queue).await.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    queue.flush().await.expect("it is deleted");

    let name = name(&url);
    let (address, port) = server(&url);
    let labels = format!(
        "messaging.destination.name={name} messaging.operation.name=process \
         messaging.system.name=aws.sqs server.address={address} server.port={port}"
    );
    let failed = format!("error.type=&str {labels}");
    // By the two receives that brought it, and by nobody else.
    let consumed = measurements.of("messaging.client.consumed.messages");
    assert_eq!(consumed.len(), 1, "{consumed:?}");
    assert!(consumed[0].contains("operation.name=receive"), "{consumed:?}");
    assert!(consumed[0].ends_with(": 2"), "{consumed:?}");
    let lines = measurements.of("messaging.process.duration");
    assert_eq!(lines, [format!("{failed}: 1"), format!("{labels}: 1")]);
}

/// A client with an interceptor asks for all that is told of a message.
#[tokio::test]
async fn what_is_told_of_a_message_is_asked_for() {
    let rig = Rig::new();
    let url = rig.fifo().await;
    let client = rig.traced();
    let message = client.send_message().queue_url(&url).message_body("one book");
    // So that the trace has to travel beside them.
    let message = (0..10).fold(message, |message, number| {
        message.message_attributes(format!("own-{number}"), text("kept"))
    });
    message.message_group_id("a").send().await.expect("it is sent");
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(5);
    let received = soon("a message", poll.send()).await.expect("an answer");
    let deliveries = Deliveries::of(&url).with_tracer_provider(&rig.recorder.provider());
    let message = received.messages.unwrap_or_default().remove(0);
    let delivery = deliveries.expect_parent(true).delivery(message);
    assert_eq!((delivery.receive_count(), delivery.group_id()), (Some(1), Some("a")));
    assert!(delivery.sent_at().is_some());
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    let name = name(&url);
    throughline_testing::tree::assert_tree(
        &[rig.spans("send "), rig.spans("process ")].concat(),
        &format!("PRODUCER send {name}\n  CONSUMER process {name} {{throughline.message.age=*}}"),
    );
}

/// A message as any client receives it.
fn received(attributes: &[(&str, &str)]) -> aws_sdk_sqs::types::Message {
    let message = aws_sdk_sqs::types::Message::builder().message_id("42").body("one book");
    let message = attributes
        .iter()
        .fold(message, |message, (name, value)| message.message_attributes(*name, text(value)));
    message.build()
}

#[tokio::test]
async fn any_message_is_processed_in_its_trace() {
    let rig = Rig::embedded();
    let deliveries = Deliveries::of("https://sqs.eu-central-1.amazonaws.com/1/orders")
        .with_tracer_provider(&rig.recorder.provider())
        .expect_parent(true);
    let carries = deliveries.delivery(received(&[("traceparent", TRACEPARENT)]));
    carries.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    let lacks = deliveries.delivery(received(&[]));
    lacks.process(async |_| Err::<(), _>("out of stock")).await.expect_err("it fails");
    let linked = deliveries.trust(Trust::Link);
    let linked = linked.delivery(received(&[("traceparent", TRACEPARENT)]));
    assert!(linked.parent().is_none());
    linked.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    rig.recorder.assert_tree(
        "
        CONSUMER process orders {messaging.message.id=42}
        CONSUMER process orders !error(out of stock) {throughline.parent.expected=true, error.type=*}
        CONSUMER process orders ~(elsewhere)
        ",
    );

    let plain = Delivery::from_message(received(&[("traceparent", TRACEPARENT)]));
    assert!(plain.parent().is_some());
    let body = plain.process(async |message| Ok::<_, String>(message.body().to_owned()));
    assert_eq!(body.await.as_deref(), Ok("one book"));
}
