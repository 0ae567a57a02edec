//! What others leave in headers, and what becomes of it on its way through us.

use throughline::core::{Format, Formats};

use super::rig::{Rig, came, process_record, said};

/// Who sends a record on with the headers that it came with has confluent-kafka's instrumentation
/// append to them: there are two contexts then, of which the second is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_context_left_twice_is_read_and_replaced() {
    let Some(rig) = Rig::new().await else { return };
    let [orders, paid, shipped] =
        [rig.topic("orders").await, rig.topic("paid").await, rig.topic("shipped").await];
    let jobs = ["kafka-forward", &orders, &paid, "kafka-receive", &shipped, "1"];
    let Some(python) = rig.python(&jobs) else { return };
    rig.send_records(&orders).await;
    let (consumer, producer) = (rig.consumer(&paid), rig.producer());
    let ours = process_record(&consumer, async |message| {
        let names = message.headers().iter().map(|header| String::from_utf8_lossy(header.key));
        assert_eq!(names.collect::<Vec<_>>(), ["baggage", "traceparent", "traceparent"]);
        producer.forward(message, &shipped).await.expect("the broker takes it");
    });
    let (said, ()) = tokio::join!(said(python), ours);
    assert_eq!(came(&said), ["baggage traceparent"; 2]);
    rig.assert_traces(
        "kafka 3",
        &[],
        "
        INTERNAL checkout [gateway]
          PRODUCER send orders [gateway]
          PRODUCER send orders [gateway]
        CONSUMER recv [python]
          CONSUMER orders process [python] ~(send orders)
            PRODUCER paid send [python]
              CONSUMER process paid [gateway] {tenant=Söhne + Co}
                PRODUCER send shipped [gateway]
        CONSUMER recv [python]
          CONSUMER shipped process [python] ~(send shipped)
            INTERNAL think [python] {tenant=None}
        ",
    )
    .await;
}

/// Two formats that tell the same, until a record is sent on by somebody who speaks one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_context_in_b3_as_well() {
    let Some(rig) = Rig::new().await else { return };
    let [orders, paid, shipped] =
        [rig.topic("orders").await, rig.topic("paid").await, rig.topic("shipped").await];
    let Some(mut java) = rig.java(&["kafka-send", &orders]).await else { return };
    java.env("OTEL_PROPAGATORS", "tracecontext,baggage,b3");
    assert_eq!(said(java).await, "");

    let producer = rig.producer();
    let consumer = rig.consumer(&orders);
    process_record(&consumer, async |message| {
        // In W3C alone: what stands there in B3 is of the span before.
        producer.forward(message, &paid).await.expect("the broker takes it");
    })
    .await;
    drop(consumer);
    let both = || Formats::new([Format::TraceContext, Format::Baggage, Format::B3]);
    let producer = rig.producer().with_propagator(both());
    let consumer = rig.consumer(&orders).with_propagator(Formats::new([Format::B3]));
    process_record(&consumer, async |message| {
        producer.forward(message, &shipped).await.expect("the broker takes it");
    })
    .await;
    // Of two formats that disagree the first holds here, and in OpenTelemetry's SDKs the last.
    process_record(&rig.consumer(&paid).with_propagator(both()), async |_| ()).await;
    let jobs = ["kafka-receive", &paid, "1", "kafka-receive", &shipped, "1"];
    let Some(mut java) = rig.java(&jobs).await else { return };
    java.env("OTEL_PROPAGATORS", "tracecontext,baggage,b3");
    assert_eq!(came(&said(java).await), ["b3 baggage traceparent", "b3 traceparent"]);
    rig.assert_traces(
        "kafka 5",
        &[],
        "
        SERVER checkout [java]
          PRODUCER orders publish [java]
            CONSUMER process orders [gateway] {tenant=Söhne + Co}
              PRODUCER send paid [gateway]
                CONSUMER process paid [gateway] {tenant=Söhne + Co}
            CONSUMER paid process [java]
              INTERNAL think [java] {tenant=Söhne + Co}
          PRODUCER orders publish [java]
            CONSUMER process orders [gateway]
              PRODUCER send shipped [gateway]
                CONSUMER shipped process [java]
                  INTERNAL think [java] {tenant=null}
        ",
    )
    .await;
}
