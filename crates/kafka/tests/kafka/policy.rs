//! What becomes of records whose handler fails or panics.
#![expect(clippy::disallowed_methods, reason = "the dead letter, as it is on the wire")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use throughline_kafka::{DeadLetter, Error, OnFailure};
use tokio::sync::oneshot;

use crate::common::{Rig, soon, text};

/// A signal to stop, and who gives it.
fn stop() -> (oneshot::Sender<()>, impl Future<Output = ()>) {
    let (sender, stop) = oneshot::channel();
    (sender, async move { stop.await.unwrap_or_default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_its_trace_and_tells_what_was_wrong() {
    let rig = Rig::new(1).await;
    let dead = format!("{}.dead", rig.topic());
    rig.create_topic(&dead, 1).await;
    let producer = rig.producer();
    rig.send(&producer, 0, "bad").await;
    rig.send(&producer, 0, "good").await;
    let (stop, stopped) = stop();
    let stop = Mutex::new(Some(stop));
    let letter = DeadLetter::new(producer.clone(), &*dead);
    let run = rig
        .consumer()
        .runner()
        .retry(2, Duration::from_millis(1))
        .on_failure(OnFailure::DeadLetter(letter))
        .with_graceful_shutdown(stopped)
        .run(move |message| {
            let is_bad = message.payload() == Some(b"bad");
            if !is_bad && let Some(stop) = stop.lock().expect("a lock").take() {
                stop.send(()).expect("somebody listens");
            }
            async move { if is_bad { Err("https://user:secret@host/ says no") } else { Ok(()) } }
        });
    soon("the end of the runner", run).await.expect("it was told to stop");
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders !error {error.type=&str}
          CONSUMER process orders !error {error.type=&str, throughline.attempt=2} ~(process orders)
            PRODUCER send orders.dead ~(process orders)
        PRODUCER send orders
          CONSUMER process orders
        ",
    );

    let raw: rdkafka::consumer::StreamConsumer =
        rig.consumer_config("the dead").create().expect("a consumer");
    raw.subscribe(&[&dead]).expect("a subscription");
    let letter = soon("the dead letter", raw.recv()).await.expect("a record");
    assert_eq!((letter.payload(), letter.key()), (Some(&b"bad"[..]), Some(&b"k"[..])));
    let headers = letter.headers().map(rdkafka::message::BorrowedHeaders::detach);
    let headers = headers.expect("headers");
    let all: Vec<_> = rdkafka::message::Headers::iter(&headers)
        .map(|header| (header.key.to_owned(), text(header.value)))
        .collect();
    let told = |name: &str| {
        let mut values = all.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes once");
        value
    };
    assert_eq!(told(DeadLetter::TOPIC), Some(rig.topic()));
    assert_eq!(told(DeadLetter::PARTITION), Some("0"));
    assert_eq!(told(DeadLetter::OFFSET), Some("0"));
    assert_eq!(told(DeadLetter::ATTEMPTS), Some("2"));
    assert_eq!(told(DeadLetter::CAUSE), Some("https://REDACTED:REDACTED@host/ says no"));
    let sent = rig.recorder.spans().into_iter().find(|span| span.name == format!("send {dead}"));
    let sent = sent.expect("the span of the dead letter");
    let carried = format!("00-{}-{}-", sent.trace_id, sent.span_id);
    assert!(told("traceparent").is_some_and(|value| value.starts_with(&carried)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_that_harms_no_other() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    for payload in ["a", "panics", "b"] {
        rig.send(&producer, 0, payload).await;
    }
    let (stop, stopped) = stop();
    let stop = Mutex::new(Some(stop));
    let consumer = rig.consumer();
    let run = consumer.runner().on_failure(OnFailure::Skip).with_graceful_shutdown(stopped).run(
        move |message| {
            if message.payload() == Some(b"b")
                && let Some(stop) = stop.lock().expect("a lock").take()
            {
                stop.send(()).expect("somebody listens");
            }
            async move {
                if message.payload() == Some(b"panics") {
                    // Like a panic, but for the message on standard error.
                    std::panic::resume_unwind(Box::new("as the test wants it"));
                }
                Ok::<_, String>(())
            }
        },
    );
    soon("the end of the runner", run).await.expect("it was told to stop");
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders
        PRODUCER send orders
          CONSUMER process orders !error {error.type=panic}
        PRODUCER send orders
          CONSUMER process orders
        ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_tried_again_in_place_before_it_fails() {
    let rig = Rig::new(1).await;
    let producer = rig.producer();
    rig.send(&producer, 0, "a").await;
    rig.send(&producer, 0, "b").await;
    let (stop, stopped) = stop();
    let (stop, tries) = (Mutex::new(Some(stop)), Arc::new(AtomicU32::new(0)));
    let order = Arc::new(Mutex::new(Vec::new()));
    let run = rig
        .consumer()
        .runner()
        .concurrency(4)
        .retry(3, Duration::from_millis(1))
        .with_graceful_shutdown(stopped)
        .run({
            let (tries, order) = (Arc::clone(&tries), Arc::clone(&order));
            move |message| {
                let payload = text(message.payload());
                let fails = payload == "a" && tries.fetch_add(1, SeqCst) < 2;
                order.lock().expect("a lock").push(payload.clone());
                if payload == "b"
                    && let Some(stop) = stop.lock().expect("a lock").take()
                {
                    stop.send(()).expect("somebody listens");
                }
                async move { if fails { Err("not yet") } else { Ok(()) } }
            }
        });
    soon("the end of the runner", run).await.expect("it was told to stop");
    assert_eq!(*order.lock().expect("a lock"), ["a", "a", "a", "b"], "the partition waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_refused_stops_and_acknowledges_nothing() {
    let rig = Rig::embedded(1);
    let dead = format!("{}.dead", rig.topic());
    rig.create_topic(&dead, 1).await;
    let refuses = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
    rig.kafka().topic_error(&dead, refuses).expect("a broker that refuses");
    rig.send(&rig.producer(), 0, "bad").await;
    let letter = DeadLetter::new(rig.producer(), &*dead);
    let run = rig.consumer().runner().on_failure(OnFailure::DeadLetter(letter)).run(|_| async {
        std::panic::resume_unwind(Box::new("as the test wants it"));
        #[expect(unreachable_code, reason = "its type")]
        Ok::<(), String>(())
    });
    let failed = match soon("the end of the runner", run).await {
        Err(Error::Failed(failed)) => failed,
        other => panic!("it ended as {other:?}"),
    };
    assert_eq!((failed.partition(), failed.offset()), (0, 0));
    let reason = failed.reason().to_string();
    assert!(reason.contains("its handler panicked"), "{reason}");
    assert!(reason.contains(&dead) && reason.contains("authorization"), "{reason}");
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders !error {error.type=panic}
            PRODUCER send orders.dead !error ~(process orders) \
             {error.type=TopicAuthorizationFailed}
        ",
    );
    let consumer = rig.consumer();
    let again = soon("the record", consumer.recv()).await.expect("no error").expect("open");
    assert_eq!(again.offset(), 0, "it comes again");
    again.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_waits_for_its_next_try_is_given_back_at_the_end() {
    let rig = Rig::new(1).await;
    rig.send(&rig.producer(), 0, "a").await;
    let (stop, stopped) = stop();
    let stop = Mutex::new(Some(stop));
    let run = rig
        .consumer()
        .runner()
        .retry(9, Duration::from_secs(3_600))
        .with_graceful_shutdown(stopped)
        .run(move |_| {
            stop.lock().expect("a lock").take();
            async { Err::<(), _>("not now") }
        });
    soon("the end of the runner", run).await.expect("nothing has failed for good");
    let consumer = rig.consumer();
    let again = soon("the record", consumer.recv()).await.expect("no error").expect("open");
    again.process(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    rig.assert_tree(
        "
        PRODUCER send orders
          CONSUMER process orders !error(not now)
          CONSUMER process orders
        ",
    );
}
