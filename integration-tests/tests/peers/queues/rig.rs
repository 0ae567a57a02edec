//! Our side of Kafka and SQS, and theirs.

use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Config, Credentials, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use integration_tests::native;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::FutureRecord;
use throughline::baggage;
use throughline::core::InContext;
use throughline::kafka::{FutureProducer, Message, StreamConsumer};
use throughline::sqs::{Interceptor, Queue};
use throughline_testing::lineage::Span;
use throughline_testing::tree::assert_tree;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::greeter::note;
use crate::process::{PATIENCE, command, python};
use crate::rig::{self, judge};

/// The service that is ours.
const OURS: &str = "gateway";

/// As a tree has the services that are theirs.
const THEIRS: [&str; 2] = ["[python]", "[java]"];

/// What they have to compile, and to start, on a machine that does other things as well.
const START: Duration = Duration::from_secs(90);

pub(crate) struct Rig {
    pub(crate) rig: rig::Rig,
    brokers: String,
    endpoint: String,
    /// What the names of its topics and queues end with, which are its own.
    mark: String,
}

impl Rig {
    /// `None` where there is no Kafka or no SQS.
    pub(crate) async fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (brokers, endpoint) = (native("KAFKA_BROKERS")?, native("SQS_ENDPOINT")?);
        let mark = format!("-{}-{}", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        Some(Rig { rig: rig::Rig::new().await, brokers, endpoint, mark })
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// A topic of one partition, which in a tree goes by the name given here.
    pub(crate) async fn topic(&self, name: &str) -> String {
        let name = format!("{name}{}", self.mark);
        let admin: AdminClient<DefaultClientContext> =
            self.client_config().create().expect("an admin client");
        let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
        let created = admin.create_topics([&topic], &AdminOptions::new()).await.expect("an answer");
        created.into_iter().for_each(|topic| drop(topic.expect("a topic")));
        name
    }

    /// The URL of a queue, which in a tree goes by the name given here.
    pub(crate) async fn queue(&self, name: &str) -> String {
        let client = Client::from_conf(self.sqs_config());
        let created = client.create_queue().queue_name(format!("{name}{}", self.mark)).send().await;
        created.expect("a queue").queue_url.expect("a URL")
    }

    fn sqs_config(&self) -> Config {
        Config::builder()
            .endpoint_url(&self.endpoint)
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .behavior_version_latest()
            .build()
    }

    /// What is done in a trace that begins here, for the same tenant as theirs.
    pub(crate) async fn checkout<T>(&self, work: impl Future<Output = T>) -> T {
        let work = async {
            let tenant = baggage::set("tenant", "Söhne + Co").expect("it has room");
            InContext::new(work, tenant).await
        };
        self.rig.checkout(work).await
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        let producer: FutureProducer = self.client_config().create().expect("a producer");
        producer.with_tracer_provider(&self.rig.recorder.provider_for(OURS))
    }

    /// Two records, in a trace that begins here.
    pub(crate) async fn send_records(&self, topic: &str) {
        let producer = self.producer();
        let sending = async {
            for body in ["one", "two"] {
                let record = FutureRecord::<(), _>::to(topic).payload(body);
                producer.send(record, PATIENCE).await.expect("the broker takes it");
            }
        };
        self.checkout(sending).await;
    }

    /// A client that sends as its interceptor was told.
    pub(crate) fn client(&self, tell: impl FnOnce(Interceptor) -> Interceptor) -> Client {
        let interceptor = Interceptor::new();
        let interceptor = interceptor.with_tracer_provider(&self.rig.recorder.provider_for(OURS));
        Client::from_conf(self.sqs_config().to_builder().interceptor(tell(interceptor)).build())
    }

    /// One message, and two in a batch, in a trace that begins here.
    pub(crate) async fn send_messages(&self, client: &Client, url: &str) {
        let entry = |body: &str| {
            let entry = SendMessageBatchRequestEntry::builder().id(body).message_body(body);
            entry.build().expect("an entry")
        };
        let sending = async {
            let one = client.send_message().queue_url(url).message_body("one");
            one.send().await.expect("it is sent");
            let batch = client.send_message_batch().queue_url(url);
            let batch = batch.entries(entry("two")).entries(entry("three"));
            let sent = batch.send().await.expect("they are sent");
            assert!(sent.failed().is_empty(), "{:?}", sent.failed());
        };
        self.checkout(sending).await;
    }

    /// A message that has no room for a context among its attributes, in a trace that begins here.
    pub(crate) async fn send_full_message(&self, client: &Client, url: &str) {
        let mut one = client.send_message().queue_url(url).message_body("one");
        for number in 0..10 {
            let value = MessageAttributeValue::builder().data_type("Number").string_value("1");
            one = one.message_attributes(format!("n{number}"), value.build().expect("a value"));
        }
        self.checkout(one.send()).await.expect("it is sent");
    }

    pub(crate) fn consumer(&self, topic: &str) -> StreamConsumer {
        let mut config = self.client_config();
        config.set("group.id", format!("{topic}-ours")).set("group.protocol", "consumer");
        config.set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[topic]).expect("a subscription");
        consumer.with_tracer_provider(&self.rig.recorder.provider_for(OURS))
    }

    /// So many records of a topic, one after the other.
    pub(crate) async fn process_records(&self, topic: &str, count: usize) {
        let consumer = self.consumer(topic);
        for _ in 0..count {
            process_record(&consumer, async |_| ()).await;
        }
    }

    /// So many records, all at once.
    pub(crate) async fn process_batch(&self, topic: &str, count: usize) {
        let consumer = self.consumer(topic);
        let batch = consumer.recv_batch(count, PATIENCE).await.expect("no error");
        let batch = batch.expect("nobody closed it");
        assert_eq!(batch.len(), count);
        batch.process_batch(async |_| Ok::<_, String>(())).await.expect("it succeeds");
    }

    /// So many messages, as the queue that is told more brings them.
    pub(crate) async fn process_messages(
        &self,
        url: &str,
        count: usize,
        tell: impl FnOnce(Queue) -> Queue,
    ) {
        let queue = Queue::new(Client::from_conf(self.sqs_config()), url);
        let queue = tell(queue.with_tracer_provider(&self.rig.recorder.provider_for(OURS)));
        let mut seen = 0;
        while seen < count {
            let received = timeout(PATIENCE, queue.receive()).await.expect("messages in time");
            for delivery in received.expect("an answer") {
                let handler = async |_: throughline::sqs::Message<'_>| {
                    note();
                    Ok::<_, String>(())
                };
                delivery.process(handler).await.expect("it succeeds");
                seen += 1;
            }
        }
        queue.flush().await.expect("they are deleted");
    }

    /// `python/queues.py`, with these jobs.
    pub(crate) fn python(&self, jobs: &[&str]) -> Option<Command> {
        let python = python(&native("QUEUES_PYTHON")?, "queues.py");
        Some(self.working(python, "python", jobs))
    }

    /// `java/Queues.java` under the agent, with these jobs.
    pub(crate) async fn java(&self, jobs: &[&str]) -> Option<Command> {
        let home = native("QUEUES_JAVA")?;
        let classes = compiled(&home).await;
        let mut java = command("java");
        // Quick to start rather than quick at last.
        java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"])
            .arg(format!("-javaagent:{home}/opentelemetry-javaagent.jar"))
            .args(["-cp", &format!("{home}/libs/*:{classes}"), "Queues"]);
        Some(self.working(java, "java", jobs))
    }

    fn working(&self, program: Command, service: &str, jobs: &[&str]) -> Command {
        let mut program = self.rig.heard(program, service);
        program.args(jobs).stdout(Stdio::piped()).stderr(Stdio::piped());
        program.env("KAFKA_BROKERS", &self.brokers).env("SQS_ENDPOINT", &self.endpoint);
        program
    }

    /// All spans but those of our deletions, of which there are as many as it takes.
    pub(crate) async fn spans(&self, of_others: usize) -> Vec<Span> {
        let mut spans = self.rig.spans(of_others).await;
        spans.retain(|span| !(span.service() == Some(OURS) && span.name.starts_with("delete ")));
        spans.iter_mut().for_each(|span| span.name = span.name.replace(&self.mark, ""));
        spans
    }

    /// That the spans make these traces, what has crossed whole, and which spans a judge calls lost.
    pub(crate) async fn assert_traces(&self, crossed: &str, lost: &[&str], tree: &str) {
        // They have ended, and so has what they had to send: of what comes, nothing is left out.
        let of_others = tree.lines().filter(|line| THEIRS.iter().any(|name| line.contains(name)));
        let spans = self.spans(of_others.count()).await;
        assert_tree(&spans, tree);
        let verdict = judge(&spans);
        let mut found: Vec<_> = verdict.breaks.iter().map(|it| it.span.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, lost, "{verdict}");
        let summary = verdict.summary.to_string();
        let (_, over) = summary.split_once("; crossed: ").unwrap_or(("", "nothing"));
        assert_eq!(over, crossed);
        assert_eq!(self.rig.lineage.orphans(), 0);
        println!("{summary}");
    }
}

/// The next record of a consumer.
pub(crate) async fn process_record(
    consumer: &StreamConsumer,
    handle: impl AsyncFnOnce(Message<'_>),
) {
    let delivery = timeout(PATIENCE, consumer.recv()).await.expect("a record in time");
    let delivery = delivery.expect("no error").expect("nobody closed it");
    let handler = async |message: Message<'_>| {
        note();
        handle(message).await;
        Ok::<_, String>(())
    };
    delivery.process(handler).await.expect("it succeeds");
}

/// What a program says that has done its work.
pub(crate) async fn said(mut program: Command) -> String {
    let output = timeout(START, program.output()).await.expect("it ends").expect("a process");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{failed}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Of what a program says that it has read, what came along.
pub(crate) fn came(said: &str) -> Vec<&str> {
    let names = said.lines().map(|line| line.split_once(": "));
    names.map(|line| line.expect("a body and names").1).collect()
}

/// Where `Queues.java` is, once for all tests: Java would compile it at each start.
async fn compiled(home: &str) -> &'static str {
    static CLASSES: OnceCell<()> = OnceCell::const_new();
    const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/peers-java");
    let compile = async || {
        let mut javac = command("javac");
        javac.args(["-d", FOLDER, "-cp", &format!("{home}/libs/*")]);
        javac.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/java/Queues.java"));
        said(javac).await;
    };
    CLASSES.get_or_init(compile).await;
    FOLDER
}
