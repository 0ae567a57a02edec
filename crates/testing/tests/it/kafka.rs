#![expect(clippy::disallowed_methods, reason = "the cluster as a raw client sees it")]

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join_all, select};
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use throughline_testing::embedded::{Kafka, KafkaError, KafkaRequest};

const SOON: Duration = Duration::from_secs(20);

fn producer(kafka: &Kafka) -> FutureProducer {
    kafka.client_config().create().unwrap()
}

fn consumer(kafka: &Kafka, topic: &str) -> StreamConsumer {
    let consumer: StreamConsumer = kafka.consumer_config("group").create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

async fn send(producer: &FutureProducer, record: FutureRecord<'_, str, str>) -> Result<(), Code> {
    let sent = producer.send(record, SOON).await;
    sent.map(drop).map_err(|(error, _)| error.rdkafka_error_code().unwrap())
}

/// The next message, whatever passes by before.
async fn receive(consumer: &StreamConsumer) -> OwnedMessage {
    let received = async {
        loop {
            if let Ok(message) = consumer.recv().await {
                return message.detach();
            }
        }
    };
    tokio::time::timeout(SOON, received).await.unwrap()
}

fn text(message: &OwnedMessage) -> &str {
    std::str::from_utf8(message.payload().unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic("orders", 1).unwrap();
    let sent: [(&str, Option<&[u8]>); 5] = [
        ("traceparent", Some(b"00-1")),
        ("x", Some(b"1")),
        ("null", None),
        ("x", Some(b"")),
        ("bytes", Some(&[0, 159, 146, 150])),
    ];
    let headers = sent
        .iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: *value }));
    let record = FutureRecord::to("orders").key("42").payload("one book").headers(headers);
    send(&producer(&kafka), record).await.unwrap();

    let message = receive(&consumer(&kafka, "orders")).await;
    assert_eq!((message.key(), text(&message)), (Some(&b"42"[..]), "one book"));
    let headers = message.headers().unwrap();
    let came: Vec<_> = headers.iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(came, sent);
}

#[tokio::test]
async fn refused_messages_fail_and_the_next_ones_do_not() {
    let kafka = Kafka::start().unwrap();
    let producer = producer(&kafka);
    let record = |text| FutureRecord::to("orders").key("42").payload(text);
    kafka.fail_produce(&[Code::PolicyViolation, Code::InvalidRecord]).unwrap();
    assert_eq!(send(&producer, record("1")).await, Err(Code::PolicyViolation));
    assert_eq!(send(&producer, record("2")).await, Err(Code::InvalidRecord));
    assert_eq!(send(&producer, record("3")).await, Ok(()));
    // One that passes is tried again.
    kafka.fail_produce(&[Code::NotEnoughReplicas]).unwrap();
    assert_eq!(send(&producer, record("4")).await, Ok(()));

    let consumer = consumer(&kafka, "orders");
    assert_eq!(text(&receive(&consumer).await), "3");
    assert_eq!(text(&receive(&consumer).await), "4");
}

#[tokio::test]
async fn the_consumers_of_a_group_share_all_messages() {
    let kafka = Kafka::with_brokers(3).unwrap();
    kafka.create_topic("orders", 4).unwrap();
    let consumers = [consumer(&kafka, "orders"), consumer(&kafka, "orders")];
    let assigned = || consumers.each_ref().map(|c| c.assignment().unwrap().count());
    // A consumer gets its partitions while it is polled.
    let polled = join_all(consumers.iter().map(|consumer| async {
        panic!("nothing was sent: {:?}", consumer.recv().await.map(|message| message.detach()))
    }));
    let shared = Box::pin(async {
        while assigned() != [2, 2] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let shared = select(shared, Box::pin(async { drop::<Vec<()>>(polled.await) }));
    tokio::time::timeout(SOON, shared).await.unwrap();

    let producer = producer(&kafka);
    let numbers: Vec<_> = (0..40).map(|number: usize| number.to_string()).collect();
    let sent = join_all(numbers.iter().map(|number| {
        let partition = number.parse::<i32>().unwrap() % 4;
        send(&producer, FutureRecord::to("orders").partition(partition).key("").payload(number))
    }));
    assert_eq!(sent.await, [Ok(()); 40]);
    let mut all = HashSet::new();
    for consumer in &consumers {
        for _ in 0..20 {
            all.insert(text(&receive(consumer).await).to_owned());
        }
    }
    assert_eq!(all.len(), 40);
}

#[tokio::test]
async fn a_group_goes_on_where_it_committed() {
    let kafka = Kafka::start().unwrap();
    let producer = producer(&kafka);
    kafka.create_topic("orders", 1).unwrap();
    for text in ["1", "2"] {
        send(&producer, FutureRecord::to("orders").key("").payload(text)).await.unwrap();
    }
    // A consumer that stores by itself takes what is left in its queue for read when it is dropped.
    let mut config = kafka.consumer_config("group");
    let first: StreamConsumer = config.set("enable.auto.offset.store", "false").create().unwrap();
    first.subscribe(&["orders"]).unwrap();
    let message = receive(&first).await;
    first.store_offset("orders", 0, message.offset()).unwrap();
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(first);
    assert_eq!(text(&receive(&consumer(&kafka, "orders")).await), "2");
}

/// What a member of a group, of the classic protocol, is told first when such a request is refused.
async fn told(request: KafkaRequest, error: Code) -> Option<Code> {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic("orders", 1).unwrap();
    let record = FutureRecord::to("orders").key("").payload("1");
    send(&producer(&kafka), record).await.unwrap();
    // The answer to the first question may be lost with the connection that asked it.
    let errors =
        if request == KafkaRequest::FindCoordinator { vec![error; 2] } else { vec![error] };
    kafka.fail_next(request, &errors).unwrap();
    let mut config = kafka.consumer_config("group");
    config.set("group.protocol", "classic").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create().unwrap();
    consumer.subscribe(&["orders"]).unwrap();
    let told = tokio::time::timeout(SOON, consumer.recv()).await.unwrap().map(drop);
    if told.is_err() {
        // Once, as it was told.
        assert_eq!(text(&receive(&consumer).await), "1", "{request:?}");
    }
    let committed = consumer.commit_consumer_state(CommitMode::Sync);
    told.and(committed).err().and_then(|error| error.rdkafka_error_code())
}

#[tokio::test]
async fn each_request_of_a_consumer_can_be_refused() {
    let refused = [
        (KafkaRequest::FindCoordinator, Code::GroupAuthorizationFailed),
        (KafkaRequest::JoinGroup, Code::GroupAuthorizationFailed),
        (KafkaRequest::Fetch, Code::TopicAuthorizationFailed),
        (KafkaRequest::OffsetCommit, Code::GroupAuthorizationFailed),
    ];
    let told = join_all(refused.map(|(request, error)| told(request, error))).await;
    assert_eq!(told, refused.map(|(_, error)| Some(error)));
}

#[tokio::test]
async fn a_topic_has_an_error_until_it_has_none() {
    let kafka = Kafka::start().unwrap();
    kafka.topic_error("orders", Some(Code::TopicAuthorizationFailed)).unwrap();
    let record = || FutureRecord::to("orders").key("42").payload("one book");
    let refused = send(&producer(&kafka), record()).await;
    assert_eq!(refused, Err(Code::TopicAuthorizationFailed));
    kafka.topic_error("orders", None).unwrap();
    assert_eq!(send(&producer(&kafka), record()).await, Ok(()));
}

#[tokio::test]
async fn what_is_sent_while_it_is_down_arrives_when_it_is_up() {
    let kafka = Kafka::start().unwrap();
    let producer = producer(&kafka);
    let record = |text| FutureRecord::to("orders").key("42").payload(text);
    send(&producer, record("before")).await.unwrap();
    kafka.broker_down().unwrap();
    assert!(std::net::TcpStream::connect(kafka.brokers()).is_err());
    let waits = producer.send_result(record("while")).unwrap();
    kafka.broker_up().unwrap();
    waits.await.unwrap().unwrap();
    let consumer = consumer(&kafka, "orders");
    assert_eq!(text(&receive(&consumer).await), "before");
    assert_eq!(text(&receive(&consumer).await), "while");
}

#[tokio::test]
async fn an_answer_takes_as_long_as_it_was_told() {
    let kafka = Kafka::start().unwrap();
    let producer = producer(&kafka);
    let record = || FutureRecord::to("orders").key("42").payload("one book");
    send(&producer, record()).await.unwrap();
    kafka.round_trip_time(Duration::from_millis(200)).unwrap();
    let start = std::time::Instant::now();
    send(&producer, record()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn it_says_what_it_cannot_do_and_is_gone_when_dropped() {
    let none = Kafka::with_brokers(0).unwrap_err();
    assert!(matches!(none, KafkaError::Start { brokers: 0, .. }), "{none}");
    let kafka = Kafka::start().unwrap();
    kafka.create_topic("orders", 1).unwrap();
    let twice = kafka.create_topic("orders", 1).unwrap_err().to_string();
    assert!(
        twice.starts_with("the embedded Kafka can't create the topic `orders` of 1"),
        "{twice}"
    );
    assert!(matches!(kafka.create_topic("a\0b", 1), Err(KafkaError::Refused { .. })));
    let address = kafka.brokers().to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(kafka);
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[test]
fn it_can_be_shared_by_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Kafka>();
}
