//! Python: confluent-kafka, aiokafka, and boto3.

use throughline::sqs::TraceHeader;

use super::rig::{Rig, came, said};

#[tokio::test(flavor = "multi_thread")]
async fn what_python_sends_is_continued() {
    let Some(rig) = Rig::new().await else { return };
    let [orders, batch, single] =
        [rig.topic("orders").await, rig.topic("batch").await, rig.topic("single").await];
    let [parcels, pallets] = [rig.queue("parcels").await, rig.queue("pallets").await];
    let jobs = ["kafka-send", &orders, "kafka-send", &batch, "aiokafka-send", &single];
    let jobs = [&jobs[..], &["sqs-send", &parcels, "sqs-send", &pallets]].concat();
    let Some(python) = rig.python(&jobs) else { return };
    assert_eq!(said(python).await, "");
    rig.process_records(&orders, 2).await;
    rig.process_batch(&batch, 2).await;
    rig.process_records(&single, 1).await;
    rig.process_messages(&parcels, 3, |queue| queue).await;
    // botocore's own instrumentation writes the header, and boto3's the attributes: of one trace,
    // they name two spans.
    let preferred = TraceHeader::Preferred;
    rig.process_messages(&pallets, 3, |queue| queue.trace_header(preferred)).await;
    rig.assert_traces(
        "kafka 3, sqs 6",
        &[],
        "
        SERVER checkout [python]
          PRODUCER orders send [python]
            CONSUMER process orders [gateway] {tenant=Söhne+++Co}
          PRODUCER orders send [python]
            CONSUMER process orders [gateway] {tenant=Söhne+++Co}
        SERVER checkout [python]
          PRODUCER batch send [python]
          PRODUCER batch send [python]
        CONSUMER process batch [gateway] ~(batch send) ~(batch send)
        SERVER checkout [python]
          PRODUCER single send [python]
            CONSUMER process single [gateway] {tenant=Söhne+++Co}
        SERVER checkout [python]
          PRODUCER parcels send [python]
            CLIENT SQS.SendMessage [python]
            CONSUMER process parcels [gateway] {tenant=Söhne+++Co}
          PRODUCER parcels send [python]
            CONSUMER process parcels [gateway] {tenant=Söhne+++Co}
          PRODUCER parcels send [python]
            CONSUMER process parcels [gateway] {tenant=Söhne+++Co}
          CLIENT SQS.SendMessageBatch [python]
        CLIENT receive parcels [gateway] ~(parcels send) ~(parcels send) ~(parcels send)
        SERVER checkout [python]
          PRODUCER pallets send [python]
            CLIENT SQS.SendMessage [python]
              CONSUMER process pallets [gateway] {tenant=Söhne+++Co}
          PRODUCER pallets send [python]
          PRODUCER pallets send [python]
          CLIENT SQS.SendMessageBatch [python]
            CONSUMER process pallets [gateway] {tenant=Söhne+++Co}
            CONSUMER process pallets [gateway] {tenant=Söhne+++Co}
        CLIENT receive pallets [gateway] \
            ~(SQS.SendMessage) ~(SQS.SendMessageBatch) ~(SQS.SendMessageBatch)
        ",
    )
    .await;
}

/// With botocore's instrumentation alone, which knows only the header of X-Ray.
#[tokio::test(flavor = "multi_thread")]
async fn what_python_sends_without_attributes_is_continued() {
    let Some(rig) = Rig::new().await else { return };
    let [parcels, pallets] = [rig.queue("parcels").await, rig.queue("pallets").await];
    let Some(mut python) = rig.python(&["sqs-send", &parcels, "sqs-send", &pallets]) else {
        return;
    };
    python.env("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "boto3");
    assert_eq!(said(python).await, "");
    rig.process_messages(&parcels, 3, |queue| queue).await;
    let never = TraceHeader::Never;
    rig.process_messages(&pallets, 3, |queue| queue.trace_header(never)).await;
    rig.assert_traces(
        "sqs 3",
        &[],
        "
        SERVER checkout [python]
          CLIENT SQS.SendMessage [python]
            CONSUMER process parcels [gateway]
          CLIENT SQS.SendMessageBatch [python]
            CONSUMER process parcels [gateway]
            CONSUMER process parcels [gateway]
        CLIENT receive parcels [gateway] \
            ~(SQS.SendMessage) ~(SQS.SendMessageBatch) ~(SQS.SendMessageBatch)
        SERVER checkout [python]
          CLIENT SQS.SendMessage [python]
          CLIENT SQS.SendMessageBatch [python]
        CLIENT receive pallets [gateway]
        CONSUMER process pallets [gateway]
        CONSUMER process pallets [gateway]
        CONSUMER process pallets [gateway]
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_python_does_not_sample_is_not_recorded() {
    let Some(rig) = Rig::new().await else { return };
    let (orders, parcels) = (rig.topic("orders").await, rig.queue("parcels").await);
    let jobs = ["kafka-send", &orders, "sqs-send", &parcels];
    let Some(mut python) = rig.python(&jobs) else { return };
    python.env("OTEL_TRACES_SAMPLER", "always_off");
    assert_eq!(said(python).await, "");
    rig.process_records(&orders, 2).await;
    rig.process_messages(&parcels, 3, |queue| queue).await;
    // To receive is ours alone.
    let tree = "CLIENT receive parcels [gateway] ~(elsewhere) ~(elsewhere) ~(elsewhere)";
    rig.assert_traces("nothing", &[], tree).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_linked_to_records_that_are_sent() {
    let Some(rig) = Rig::new().await else { return };
    let [orders, batch, single] =
        [rig.topic("orders").await, rig.topic("batch").await, rig.topic("single").await];
    let jobs = ["kafka-receive", &orders, "2", "kafka-receive-batch", &batch];
    let jobs = [&jobs[..], &["aiokafka-receive", &single]].concat();
    let Some(python) = rig.python(&jobs) else { return };
    for topic in [&orders, &batch, &single] {
        rig.send_records(topic).await;
    }
    assert_eq!(came(&said(python).await), ["baggage traceparent"; 5]);
    // aiokafka's is the parent's child, but has ended before the record is handed out: what is done
    // with it is of no trace. In neither the baggage is current.
    rig.assert_traces(
        "kafka 4",
        &["think"],
        "
        INTERNAL checkout
          PRODUCER send orders
          PRODUCER send orders
        CONSUMER recv [python]
          CONSUMER orders process [python] ~(send orders)
            INTERNAL think [python] {tenant=None}
        CONSUMER recv [python]
          CONSUMER orders process [python] ~(send orders)
            INTERNAL think [python] {tenant=None}
        INTERNAL checkout
          PRODUCER send batch
          PRODUCER send batch
        CONSUMER recv [python]
          CONSUMER batch process [python] ~(send batch) ~(send batch)
            INTERNAL think [python] {tenant=None}
            INTERNAL think [python] {tenant=None}
        INTERNAL checkout
          PRODUCER send single
            CONSUMER single receive [python]
          PRODUCER send single
        INTERNAL think [python] {tenant=None}
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_linked_to_messages_that_are_sent() {
    let Some(rig) = Rig::new().await else { return };
    let [parcels, pallets, full] =
        [rig.queue("parcels").await, rig.queue("pallets").await, rig.queue("full").await];
    let jobs = ["sqs-receive", &parcels, "sqs-receive-batch", &pallets, "sqs-receive", &full];
    let Some(python) = rig.python(&jobs) else { return };
    let client = rig.client(|interceptor| interceptor);
    rig.send_messages(&client, &parcels).await;
    rig.send_messages(&client, &pallets).await;
    rig.send_full_message(&client, &full).await;
    let said = said(python).await;
    let mut came = came(&said);
    assert_eq!(came.pop(), Some("AWSTraceHeader n0 n1 n2 n3 n4 n5 n6 n7 n8 n9"));
    assert_eq!(came, ["baggage traceparent"; 6]);
    // It doesn't read the header. It ends the span of a message before it deletes it, and of those
    // that are deleted together the first one's alone: the others' are never sent.
    rig.assert_traces(
        "sqs 5",
        &[
            "SQS.DeleteMessage",
            "SQS.DeleteMessage",
            "SQS.DeleteMessage",
            "SQS.DeleteMessage",
            "SQS.DeleteMessageBatch",
            "think",
            "think",
        ],
        "
        INTERNAL checkout
          PRODUCER send parcels
          PRODUCER create parcels
          PRODUCER create parcels
          CLIENT send parcels ~(create parcels) ~(create parcels)
        CONSUMER parcels receive [python]
          CLIENT SQS.ReceiveMessage [python]
          CONSUMER parcels process [python] ~(send parcels)
            INTERNAL think [python] {tenant=None}
          CONSUMER parcels process [python] ~(create parcels)
            INTERNAL think [python] {tenant=None}
          CONSUMER parcels process [python] ~(create parcels)
            INTERNAL think [python] {tenant=None}
        CLIENT SQS.DeleteMessage [python]
        CLIENT SQS.DeleteMessage [python]
        CLIENT SQS.DeleteMessage [python]
        INTERNAL checkout
          PRODUCER send pallets
          PRODUCER create pallets
          PRODUCER create pallets
          CLIENT send pallets ~(create pallets) ~(create pallets)
        CONSUMER pallets receive [python]
          CLIENT SQS.ReceiveMessage [python]
          CONSUMER pallets process [python] ~(send pallets)
            INTERNAL think [python] {tenant=None}
        INTERNAL think [python] (parent missing) {tenant=None}
        INTERNAL think [python] (parent missing) {tenant=None}
        CLIENT SQS.DeleteMessageBatch [python] (parent missing)
        INTERNAL checkout
          PRODUCER send full
        CONSUMER full receive [python]
          CLIENT SQS.ReceiveMessage [python]
          CONSUMER full process [python]
            INTERNAL think [python] {tenant=None}
        CLIENT SQS.DeleteMessage [python]
        ",
    )
    .await;
}
