//! The battery, over a cluster with real sockets: every record goes through its broker.
//!
//! The other side is always `rdkafka`'s own client, which knows nothing of traces. Its key says
//! which message of the battery a record is, since whoever asks a consumer gets any of them.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "the other side knows nothing of traces")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, FutureRecord, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message as _};
use throughline_kafka::{FutureProducer, OwnedDelivery, StreamConsumer, ThreadedProducer};
use throughline_testing::battery::{self, Handler, Headers, Inbound, Outbound, Peer, Setup};
use throughline_testing::embedded::Kafka;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

const PATIENCE: Duration = Duration::from_secs(30);

/// Room for a payload, where a case is refused for its size.
const SMALL: usize = 1_000;

/// Who handles which record, by its key.
struct Waiting<T>(Mutex<HashMap<Vec<u8>, Waits<T>>>);

/// Somebody, and who is told when its record is done.
type Waits<T> = (T, oneshot::Sender<()>);

impl<T> Waiting<T> {
    fn new() -> Arc<Self> {
        Arc::new(Waiting(Mutex::default()))
    }

    /// The key for a record, and what ends when that is done.
    fn add(&self, who: T) -> (String, oneshot::Receiver<()>) {
        let (done, is_done) = oneshot::channel();
        let key = unique("message");
        self.0.lock().expect("a lock").insert(key.clone().into(), (who, done));
        (key, is_done)
    }

    /// Each is handled once: a record that comes again finds nobody.
    fn take(&self, key: Option<&[u8]>) -> Waits<T> {
        let key = key.expect("a key");
        self.0.lock().expect("a lock").remove(key).expect("a record of the battery, once")
    }
}

fn unique(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{what}-{}", NEXT.fetch_add(1, Relaxed))
}

/// Ends a task when it is dropped.
struct Running {
    task: AbortHandle,
    ends: bool,
}

impl Running {
    fn new(task: AbortHandle) -> Self {
        Running { task, ends: true }
    }

    fn leave(mut self) {
        self.ends = false;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ends {
            self.task.abort();
        }
    }
}

/// A cluster, where each boundary has a topic of its own.
struct Cluster {
    kafka: Kafka,
    raw: rdkafka::producer::FutureProducer,
}

impl Cluster {
    /// It stays until the process ends: a consumer that is closing when its cluster goes waits for
    /// it, for its session timeout at the least, and here they are closed by tasks that nobody
    /// waits for.
    fn start() -> &'static Self {
        let kafka = Kafka::start().expect("an embedded Kafka");
        let raw = kafka.client_config().create().expect("a raw producer");
        Box::leak(Box::new(Cluster { kafka, raw }))
    }

    /// What reads a topic alone, and doesn't leave the broker waiting for more.
    fn reader(&self, topic: &str) -> ClientConfig {
        let mut config = self.kafka.consumer_config(topic);
        config.set("fetch.wait.max.ms", "10");
        config
    }

    fn topic(&self) -> String {
        let topic = unique("orders");
        self.kafka.create_topic(&topic, 1).expect("a topic");
        topic
    }
}

/// The headers of a record; one without any has no list either.
fn native(headers: &Headers) -> Option<OwnedHeaders> {
    headers.iter().fold(None, |all: Option<OwnedHeaders>, (key, value)| {
        Some(all.unwrap_or_default().insert(Header { key, value: Some(value) }))
    })
}

fn arrived(message: &BorrowedMessage<'_>) -> Headers {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key, header.value.expect("a value"))).collect()
}

// ---------------------------------------------------------------- in

/// How a service takes records in.
#[derive(Clone, Copy)]
enum Takes {
    /// By `recv` and [`Delivery::process`](throughline_kafka::Delivery::process), in one task.
    Inline,
    /// By `recv`, and [`OwnedDelivery::process`] in a task of its own.
    InTasks,
    /// By the runner.
    Runner,
}

struct Consuming {
    cluster: &'static Cluster,
    takes: Takes,
}

struct Reader {
    topic: String,
    handlers: Arc<Waiting<Handler>>,
    reads: Reads,
}

enum Reads {
    Inline(StreamConsumer),
    InTasks(StreamConsumer),
    Runner(Running),
}

async fn in_a_task(delivery: OwnedDelivery, handlers: Arc<Waiting<Handler>>) {
    let mut whose = None;
    let processed = delivery.process(|message| {
        let (handler, done) = handlers.take(message.key());
        whose = Some(done);
        async move { handler.run().await }
    });
    drop(processed.await);
}

impl Inbound for Consuming {
    type Boundary = Reader;
    const KIND: SpanKind = SpanKind::Consumer;
    const LAYERED: bool = false;
    // The last one holds.
    const DOUBLES: bool = false;

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn boundary(&self, setup: Setup) -> Reader {
        let topic = self.cluster.topic();
        let consumer: StreamConsumer = self.cluster.reader(&topic).create().expect("a consumer");
        consumer.subscribe(&[&topic]).expect("a subscription");
        let consumer = consumer
            .with_tracer_provider(&setup.provider)
            .trust(setup.trust)
            .expect_parent(setup.expect_parent);
        let consumer = match setup.foreign {
            Some(foreign) => consumer.with_propagator(foreign),
            None => consumer.with_propagator(setup.propagator),
        };
        let handlers: Arc<Waiting<Handler>> = Waiting::new();
        let reads = match self.takes {
            Takes::Inline => Reads::Inline(consumer),
            Takes::InTasks => Reads::InTasks(consumer),
            Takes::Runner => {
                let handlers = Arc::clone(&handlers);
                let run = consumer.runner().concurrency(100).unordered().run(move |message| {
                    let (handler, done) = handlers.take(message.key());
                    async move {
                        let _done = done;
                        handler.run().await
                    }
                });
                Reads::Runner(Running::new(tokio::spawn(run).abort_handle()))
            }
        };
        Reader { topic, handlers, reads }
    }

    async fn deliver(&self, reader: &Reader, headers: Headers, handler: Handler) {
        let Reader { topic, handlers, reads } = reader;
        let (key, is_done) = handlers.add(handler);
        let record =
            FutureRecord::<_, str> { headers: native(&headers), ..FutureRecord::to(topic) };
        let sent = self.cluster.raw.send(record.key(&key), PATIENCE).await;
        sent.expect("the broker takes it");
        match reads {
            Reads::Inline(consumer) => {
                // Not always the record from above: whose it is, its key says.
                let delivery = consumer.recv().await.expect("no error").expect("a record");
                let mut whose = None;
                let processed = delivery.process(async |message| {
                    let (handler, done) = handlers.take(message.key());
                    whose = Some(done);
                    handler.run().await
                });
                drop(processed.await);
                drop(whose);
                drop(is_done.await);
            }
            Reads::InTasks(consumer) => {
                let delivery = consumer.recv().await.expect("no error").expect("a record");
                // Aborts it when it is dropped.
                let mut task = JoinSet::new();
                task.spawn(in_a_task(delivery.into_owned(), Arc::clone(handlers)));
                drop(task.join_next().await);
                drop(is_done.await);
            }
            Reads::Runner(Running { task, .. }) => {
                // One message can't be given up alone there: all are.
                let running = Running::new(task.clone());
                drop(is_done.await);
                running.leave();
            }
        }
    }
}

async fn consuming(takes: Takes) {
    battery::inbound(Consuming { cluster: Cluster::start(), takes }).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn recv_and_process_conform() {
    consuming(Takes::Inline).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_in_tasks_conform() {
    consuming(Takes::InTasks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runner_conforms() {
    consuming(Takes::Runner).await;
}

// ---------------------------------------------------------------- out

/// How a service sends records out.
#[derive(Clone, Copy)]
enum Sends {
    Send,
    SendResult,
    /// By a producer that calls back.
    Threaded,
}

/// Tells whoever waits whether the broker took a record.
struct Answers;

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<oneshot::Sender<bool>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        waiting.send(result.is_ok()).unwrap_or_default();
    }
}

/// How a record is refused that is to be.
#[derive(Clone, Copy)]
enum Refuses {
    /// The topic is forbidden: the cluster's metadata say so.
    Topic,
    /// The broker refuses what it is sent.
    Produce,
    /// The producer doesn't even queue it.
    Queue,
}

struct Producing {
    cluster: &'static Cluster,
    sends: Sends,
    refuses: Refuses,
}

struct Writer {
    topic: String,
    producer: FutureProducer,
    threaded: ThreadedProducer<Answers>,
    peers: Arc<Waiting<Peer>>,
    refused: bool,
    _reader: Running,
}

/// Shows the peers what the broker has.
async fn read(consumer: rdkafka::consumer::StreamConsumer, peers: Arc<Waiting<Peer>>) {
    loop {
        // A topic that is forbidden has none.
        let Ok(message) = consumer.recv().await else { continue };
        let (peer, done) = peers.take(message.key());
        // Whatever it says of a record that it has.
        drop(peer.receive(arrived(&message)).await);
        drop(done);
    }
}

impl Outbound for Producing {
    type Boundary = Writer;
    const KIND: SpanKind = SpanKind::Producer;
    const LAYERED: bool = false;
    const CANCELS: bool = false;
    const KEEPS_CREATION: bool = true;

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn boundary(&self, setup: Setup) -> Writer {
        let (topic, kafka) = (self.cluster.topic(), &self.cluster.kafka);
        let mut config = kafka.client_config();
        if setup.refused {
            let refused = match self.refuses {
                Refuses::Topic => {
                    config.set("message.timeout.ms", "1000");
                    let code = RDKafkaErrorCode::TopicAuthorizationFailed;
                    kafka.topic_error(&topic, Some(code))
                }
                Refuses::Produce => kafka.fail_produce(&[RDKafkaErrorCode::PolicyViolation]),
                Refuses::Queue => {
                    config.set("message.max.bytes", SMALL.to_string());
                    Ok(())
                }
            };
            refused.expect("a broker that refuses");
        }
        let producer: FutureProducer = config.create().expect("a producer");
        let threaded: ThreadedProducer<Answers> =
            config.create_with_context(Answers).expect("a producer");
        let threaded =
            threaded.with_tracer_provider(&setup.provider).with_propagator(setup.propagator);
        let producer =
            producer.with_tracer_provider(&setup.provider).with_propagator(setup.propagator);
        let raw = self.cluster.reader(&topic).create();
        let raw: rdkafka::consumer::StreamConsumer = raw.expect("a raw consumer");
        raw.subscribe(&[&topic]).expect("a subscription");
        let peers: Arc<Waiting<Peer>> = Waiting::new();
        let reader = tokio::spawn(read(raw, Arc::clone(&peers)));
        let reader = Running::new(reader.abort_handle());
        Writer { topic, producer, threaded, peers, refused: setup.refused, _reader: reader }
    }

    async fn send(&self, writer: &Writer, headers: Headers, peer: Peer) {
        let Writer { topic, producer, threaded, peers, refused, .. } = writer;
        let (key, is_done) = peers.add(peer);
        let payload = [b'x'; 2 * SMALL];
        let record = FutureRecord { headers: native(&headers), ..FutureRecord::to(topic) };
        let record = record.key(&key).payload(&payload);
        let sent = match self.sends {
            Sends::Send => producer.send(record, PATIENCE).await.is_ok(),
            Sends::SendResult => match producer.send_result(record) {
                Ok(answer) => answer.await.expect("an answer").is_ok(),
                Err(_) => false,
            },
            Sends::Threaded => {
                let (waiting, answer) = oneshot::channel();
                let FutureRecord { topic, payload, key, headers, .. } = record;
                let delivery_opaque = Box::new(waiting);
                let record = BaseRecord::with_opaque_to(topic, delivery_opaque);
                let record = BaseRecord { payload, key, headers, ..record };
                match threaded.send(record) {
                    Ok(()) => answer.await.expect("an answer"),
                    Err(_) => false,
                }
            }
        };
        assert_ne!(sent, *refused, "the broker takes what it doesn't refuse");
        if sent {
            drop(is_done.await);
        }
    }
}

async fn producing(sends: Sends, refuses: &[Refuses]) {
    for refuses in refuses {
        let driver = Producing { cluster: Cluster::start(), sends, refuses: *refuses };
        battery::outbound(driver).await.assert();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn send_conforms() {
    producing(Sends::Send, &[Refuses::Topic, Refuses::Queue]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_result_conforms() {
    producing(Sends::SendResult, &[Refuses::Produce, Refuses::Queue]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threaded_producers_conform() {
    producing(Sends::Threaded, &[Refuses::Produce, Refuses::Queue]).await;
}
