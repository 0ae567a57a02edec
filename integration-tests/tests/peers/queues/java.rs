//! Java: OpenTelemetry's agent around plain kafka-clients and AWS SDK v2.

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use throughline::core::{Format, Formats};
use throughline::sqs::TraceHeader;
use tokio::process::Command;

use super::rig::{Rig, came, said};

/// A segment of X-Ray that nobody here has made; `Queues.java` knows it, too.
const ELSEWHERE: &str =
    "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";

/// Has the agent put what its propagators say into the attributes of messages, and take it from there.
fn with_attributes(java: &mut Command) -> &mut Command {
    java.env("OTEL_INSTRUMENTATION_AWS_SDK_EXPERIMENTAL_USE_PROPAGATOR_FOR_MESSAGING", "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_java_sends_is_continued() {
    let Some(rig) = Rig::new().await else { return };
    let [orders, batch] = [rig.topic("orders").await, rig.topic("batch").await];
    let parcels = rig.queue("parcels").await;
    let jobs = ["kafka-send", &orders, "kafka-send", &batch, "sqs-send", &parcels];
    let Some(java) = rig.java(&jobs).await else { return };
    assert_eq!(said(java).await, "");
    rig.process_records(&orders, 2).await;
    rig.process_batch(&batch, 2).await;
    rig.process_messages(&parcels, 3, |queue| queue).await;
    rig.assert_traces(
        "kafka 2, sqs 3",
        &[],
        "
        SERVER checkout [java]
          PRODUCER orders publish [java]
            CONSUMER process orders [gateway] {tenant=Söhne + Co}
          PRODUCER orders publish [java]
            CONSUMER process orders [gateway] {tenant=Söhne + Co}
        SERVER checkout [java]
          PRODUCER batch publish [java]
          PRODUCER batch publish [java]
        CONSUMER process batch [gateway] ~(batch publish) ~(batch publish)
        SERVER checkout [java]
          PRODUCER parcels publish [java]
            CONSUMER process parcels [gateway]
          PRODUCER parcels publish [java]
            CONSUMER process parcels [gateway]
            CONSUMER process parcels [gateway]
        CLIENT receive parcels [gateway] ~(parcels publish) ~(parcels publish) ~(parcels publish)
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_java_sends_in_attributes_is_continued() {
    let Some(rig) = Rig::new().await else { return };
    let [parcels, pallets] = [rig.queue("parcels").await, rig.queue("pallets").await];
    let [letters, cards] = [rig.queue("letters").await, rig.queue("cards").await];
    let jobs = ["sqs-send", &parcels, "sqs-send", &pallets];
    let elsewhere = ["sqs-send-in-segment", &letters, "sqs-send-in-segment", &cards];
    let Some(mut java) = rig.java(&[jobs, elsewhere].concat()).await else { return };
    with_attributes(&mut java).env("OTEL_PROPAGATORS", "tracecontext,baggage,b3multi");
    assert_eq!(said(java).await, "");
    rig.process_messages(&parcels, 3, |queue| queue).await;
    // Of what is in the attributes, something else.
    let b3 = || Formats::new([Format::B3Multi]);
    rig.process_messages(&pallets, 3, |queue| queue.with_propagator(b3())).await;
    // The attributes and the header are of two traces.
    rig.process_messages(&letters, 1, |queue| queue).await;
    let preferred = TraceHeader::Preferred;
    rig.process_messages(&cards, 1, |queue| queue.trace_header(preferred)).await;
    rig.assert_traces(
        "sqs 7",
        &["process cards"],
        "
        SERVER checkout [java]
          PRODUCER parcels publish [java]
            CONSUMER process parcels [gateway] {tenant=Söhne + Co}
          PRODUCER parcels publish [java]
            CONSUMER process parcels [gateway] {tenant=Söhne + Co}
            CONSUMER process parcels [gateway] {tenant=Söhne + Co}
        CLIENT receive parcels [gateway] ~(parcels publish) ~(parcels publish) ~(parcels publish)
        SERVER checkout [java]
          PRODUCER pallets publish [java]
            CONSUMER process pallets [gateway]
          PRODUCER pallets publish [java]
            CONSUMER process pallets [gateway]
            CONSUMER process pallets [gateway]
        CLIENT receive pallets [gateway] ~(pallets publish) ~(pallets publish) ~(pallets publish)
        SERVER checkout [java]
          PRODUCER letters publish [java]
            CONSUMER process letters [gateway] {tenant=Söhne + Co}
        CLIENT receive letters [gateway] ~(letters publish)
        SERVER checkout [java]
          PRODUCER cards publish [java]
        CONSUMER process cards [gateway] {tenant=Söhne + Co}
        CLIENT receive cards [gateway] ~(elsewhere)
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java_continues_what_is_sent() {
    let Some(rig) = Rig::new().await else { return };
    let orders = rig.topic("orders").await;
    let [parcels, pallets] = [rig.queue("parcels").await, rig.queue("pallets").await];
    let jobs = ["kafka-receive", &orders, "2", "sqs-receive", &parcels, "sqs-receive", &pallets];
    let Some(java) = rig.java(&jobs).await else { return };
    rig.send_records(&orders).await;
    let always = rig.client(|interceptor| interceptor.trace_header(TraceHeader::Always));
    rig.send_messages(&always, &parcels).await;
    rig.send_messages(&rig.client(|interceptor| interceptor), &pallets).await;
    let w3c = "baggage traceparent";
    let both = "AWSTraceHeader baggage traceparent";
    assert_eq!(came(&said(java).await), [w3c, w3c, both, both, both, w3c, w3c, w3c]);
    rig.assert_traces(
        "kafka 2, sqs 3",
        &[],
        "
        INTERNAL checkout
          PRODUCER send orders
            CONSUMER orders process [java]
              INTERNAL think [java] {tenant=Söhne + Co}
          PRODUCER send orders
            CONSUMER orders process [java]
              INTERNAL think [java] {tenant=Söhne + Co}
        INTERNAL checkout
          PRODUCER send parcels
            CONSUMER parcels process [java]
              INTERNAL think [java] {tenant=null}
              CLIENT Sqs.DeleteMessage [java]
          PRODUCER create parcels
            CONSUMER parcels process [java]
              INTERNAL think [java] {tenant=null}
              CLIENT Sqs.DeleteMessage [java]
          PRODUCER create parcels
            CONSUMER parcels process [java]
              INTERNAL think [java] {tenant=null}
              CLIENT Sqs.DeleteMessage [java]
          CLIENT send parcels ~(create parcels) ~(create parcels)
        INTERNAL checkout
          PRODUCER send pallets
          PRODUCER create pallets
          PRODUCER create pallets
          CLIENT send pallets ~(create pallets) ~(create pallets)
        CONSUMER pallets process [java]
          INTERNAL think [java] {tenant=null}
          CLIENT Sqs.DeleteMessage [java]
        CONSUMER pallets process [java]
          INTERNAL think [java] {tenant=null}
          CLIENT Sqs.DeleteMessage [java]
        CONSUMER pallets process [java]
          INTERNAL think [java] {tenant=null}
          CLIENT Sqs.DeleteMessage [java]
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java_is_told_to_read_attributes_and_to_tell_of_receiving() {
    let Some(rig) = Rig::new().await else { return };
    let orders = rig.topic("orders").await;
    let [parcels, full, letters] =
        [rig.queue("parcels").await, rig.queue("full").await, rig.queue("letters").await];
    let jobs = ["kafka-receive", &orders, "2", "sqs-receive", &parcels, "sqs-receive", &full];
    let jobs = [&jobs[..], &["sqs-receive", &letters]].concat();
    let Some(mut java) = rig.java(&jobs).await else { return };
    with_attributes(&mut java)
        .env("OTEL_INSTRUMENTATION_MESSAGING_EXPERIMENTAL_RECEIVE_TELEMETRY_ENABLED", "true");
    rig.send_records(&orders).await;
    let client = rig.client(|interceptor| interceptor);
    rig.send_messages(&client, &parcels).await;
    // The header alone has the context.
    rig.send_full_message(&client, &full).await;
    // The attributes and the header are of two traces.
    let header = MessageSystemAttributeValue::builder().data_type("String").string_value(ELSEWHERE);
    let one =
        client.send_message().queue_url(&letters).message_body("one").message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            header.build().expect("a value"),
        );
    rig.checkout(one.send()).await.expect("it is sent");
    let w3c = "baggage traceparent";
    let header_alone = "AWSTraceHeader n0 n1 n2 n3 n4 n5 n6 n7 n8 n9";
    let both = "AWSTraceHeader baggage traceparent";
    assert_eq!(came(&said(java).await), [w3c, w3c, w3c, w3c, w3c, header_alone, both]);
    rig.assert_traces(
        "kafka 2, sqs 5",
        &[],
        "
        INTERNAL checkout
          PRODUCER send orders
          PRODUCER send orders
        CONSUMER orders receive [java]
          CONSUMER orders process [java] ~(send orders)
            INTERNAL think [java] {tenant=null}
          CONSUMER orders process [java] ~(send orders)
            INTERNAL think [java] {tenant=null}
        INTERNAL checkout
          PRODUCER send parcels
          PRODUCER create parcels
          PRODUCER create parcels
          CLIENT send parcels ~(create parcels) ~(create parcels)
        CONSUMER parcels receive [java]
          CONSUMER parcels process [java] ~(send parcels)
            INTERNAL think [java] {tenant=null}
            CLIENT Sqs.DeleteMessage [java]
          CONSUMER parcels process [java] ~(create parcels)
            INTERNAL think [java] {tenant=null}
            CLIENT Sqs.DeleteMessage [java]
          CONSUMER parcels process [java] ~(create parcels)
            INTERNAL think [java] {tenant=null}
            CLIENT Sqs.DeleteMessage [java]
        INTERNAL checkout
          PRODUCER send full
        CONSUMER full receive [java]
          CONSUMER full process [java] ~(send full)
            INTERNAL think [java] {tenant=null}
            CLIENT Sqs.DeleteMessage [java]
        INTERNAL checkout
          PRODUCER send letters
        CONSUMER letters receive [java]
          CONSUMER letters process [java] ~(send letters)
            INTERNAL think [java] {tenant=null}
            CLIENT Sqs.DeleteMessage [java]
        ",
    )
    .await;
}
