//! Records that are linked to their senders, and don't continue their traces.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{FutureExt as _, TraceContextExt};
use throughline_core::{Config, End, Trust};
use throughline_kafka::{CreationContext, Delivery, StreamConsumer};

use crate::common::{PATIENCE, Rig, soon};

async fn record(consumer: &StreamConsumer) -> Delivery<'_> {
    soon("a record", consumer.recv()).await.expect("no error").expect("nobody closed it")
}

fn linking(rig: &Rig) -> StreamConsumer {
    rig.consumer().creation_context(CreationContext::Link)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_linked_to_its_sender_and_keeps_its_baggage() {
    let rig = Rig::new(1).await;
    let config = Config::new("test", "1").with_tracer_provider(&rig.recorder.provider());
    let producer = rig.producer();
    let tenant = [opentelemetry::KeyValue::new("tenant", "acme")];
    rig.send(&producer, 0, "a").with_context(Context::new().with_baggage(tenant)).await;
    rig.send(&producer, 0, "b").await;
    let consumer = linking(&rig);
    // In a job of its own, and on its own.
    let delivery = record(&consumer).await;
    assert!(delivery.parent().is_some_and(|sender| sender.is_remote()));
    let work = delivery.process(async |_| {
        let tenant = Context::current().baggage().get("tenant").map(ToString::to_string);
        assert_eq!(tenant.as_deref(), Some("acme"));
        Ok::<_, String>(())
    });
    let (processed, job) = config.root("nightly").process(work).await;
    processed.expect("it succeeds");
    job.end(End::Completed);
    let delivery = record(&consumer).await;
    delivery.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    rig.assert_tree(
        "
        PRODUCER send orders
        PRODUCER send orders
        INTERNAL nightly
          CONSUMER process orders ~(send orders) {kafka.offset=0}
        CONSUMER process orders ~(send orders) {kafka.offset=1}
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runner_links_and_a_break_is_told_all_the_same() {
    let rig = Rig::new(1).await;
    let raw: rdkafka::producer::FutureProducer =
        rig.client_config().create().expect("a raw producer");
    let record = rdkafka::producer::FutureRecord::<(), str>::to(rig.topic()).payload("raw");
    #[expect(clippy::disallowed_methods, reason = "the break")]
    raw.send(record, PATIENCE).await.expect("the broker takes it");
    rig.send(&rig.producer(), 0, "good").await;
    let consumer = linking(&rig).expect_parent(true);
    let closer = consumer.closer();
    let run = consumer.runner().run(move |message| {
        if message.offset() == 1 {
            closer.close();
        }
        async { Ok::<_, String>(()) }
    });
    soon("the end of the runner", run).await.expect("it was closed");
    rig.assert_tree(
        "
        CONSUMER process orders {kafka.offset=0, throughline.parent.expected=true}
        PRODUCER send orders
        CONSUMER process orders ~(send orders) {kafka.offset=1}
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_trusted_is_not_linked_to_either() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    rig.send(&producer, 0, "a").await;
    let consumer = linking(&rig).trust(Trust::Ignore);
    let work = record(&consumer).await.process(async |_| {
        assert!(!Context::current().span().span_context().is_remote());
        Ok::<_, String>(())
    });
    work.await.expect("it succeeds");
    rig.assert_tree(
        "
        PRODUCER send orders
        CONSUMER process orders
        ",
    );
}
