//! Records to and from a broker in this process, librdkafka's own for tests.
//!
//! librdkafka's threads work at their own pace, and the broker's are here as well. So only what
//! runs in [`counted`] is counted, and what a producer's polling thread does beyond waiting:
//! `../run` tells callgrind so.

use crate::spans::{self, Kept, Seen};
use crate::{Command, Expect, Mode, PARENT_SPAN_ID, TRACE_ID};
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard};
use opentelemetry_sdk::trace::SdkTracerProvider;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::process::ExitCode;
#[cfg(feature = "count")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::Runtime;

const TOPIC: &str = "orders";
/// What spans tell of the broker.
pub fn server(config: &ClientConfig) -> (String, i64) {
    let servers = config.get("bootstrap.servers").expect("a broker");
    let (address, port) = servers.rsplit_once(':').expect("a port");
    (address.to_owned(), port.parse().expect("a number"))
}

/// How many records are received and handled at once, where more than one is.
pub const BATCH: u64 = 100;

/// What clients call themselves: an attribute of their spans.
pub const CLIENT_ID: &str = "orders-1";
/// The group of the consumers: another attribute.
pub const GROUP: &str = "fulfilment";

/// For what takes milliseconds, under callgrind too.
const LONG: Duration = Duration::from_secs(60);
/// Until a consumer has fetched everything, so that what is counted doesn't wait.
const FETCHED: Duration = Duration::from_secs(2);

/// What the handlers saw, of a `check`.
static SEEN: OnceLock<Mutex<Vec<Seen>>> = OnceLock::new();

type Result<T> = std::result::Result<T, String>;

/// What callgrind counts.
#[cfg(not(feature = "count"))]
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// The allocations in it, of this thread and of Rust.
#[cfg(feature = "count")]
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[cfg(feature = "count")]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(work()));
    ALLOCATIONS.fetch_add(counted.count_total, Relaxed);
    result.expect("it ran")
}

/// As the harness does it for all, but that only what is [`counted`] counts.
fn execute(
    command: Command,
    drive: impl FnMut(u64),
    check: impl FnOnce(u64) -> Result<()>,
) -> Result<()> {
    match command {
        #[cfg(feature = "count")]
        Command::Allocs(n) => {
            let mut drive = drive;
            drive(1_000);
            ALLOCATIONS.store(0, Relaxed);
            drive(n);
            println!("{:.2}", ALLOCATIONS.load(Relaxed) as f64 / n as f64);
            Ok(())
        }
        command => crate::execute(command, drive, check),
    }
}

/// The work of every handler.
pub fn handle(payload: Option<&[u8]>) {
    if let Some(seen) = SEEN.get() {
        let context = Context::current();
        let span = context.span();
        let context = span.span_context();
        let context = (context.trace_id(), context.span_id(), context.trace_flags());
        seen.lock().expect("nothing panics in here").push(context);
    }
    std::hint::black_box(payload);
}

/// The same for many records at once.
pub fn handle_all<'a>(mut payloads: impl Iterator<Item = Option<&'a [u8]>>) {
    payloads.next().into_iter().for_each(handle);
    payloads.for_each(|payload| {
        std::hint::black_box(payload);
    });
}

/// A producer, as its user has it.
pub trait Produces {
    /// Queues a record; the future is the broker's answer.
    fn send(&self, record: FutureRecord<'_, str, str>) -> impl Future<Output = ()>;
    /// Sends what is queued.
    fn flush(&self) -> KafkaResult<()>;
}

struct Broker(MockCluster<'static, DefaultProducerContext>);

impl Broker {
    fn start() -> Result<Self> {
        let cluster = MockCluster::new(1).map_err(text)?;
        cluster.create_topic(TOPIC, 1, 1).map_err(text)?;
        Ok(Broker(cluster))
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers());
        config.set("client.id", CLIENT_ID);
        config
    }

    /// As they come from a service that sends its context.
    #[expect(clippy::disallowed_methods, reason = "records as any client sends them")]
    fn fill(&self, mode: Mode, records: u64) -> KafkaResult<()> {
        let producer: BaseProducer = self.config().set("linger.ms", "100").create()?;
        let parent = match mode {
            Mode::Sampled => Some(format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-01")),
            Mode::Unsampled => Some(format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-00")),
            Mode::Dropped => None,
        };
        for _ in 0..records {
            let mut record = BaseRecord::to(TOPIC).key("42").payload("one book");
            if let Some(parent) = &parent {
                let header = Header { key: "traceparent", value: Some(parent) };
                record = record.headers(OwnedHeaders::new().insert(header));
            }
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(LONG)
    }

    /// The contexts in the records, but for the first `skipped`.
    #[expect(clippy::disallowed_methods, reason = "what is on the wire is looked at")]
    fn contexts(&self, skipped: u64, records: u64) -> Result<Vec<Seen>> {
        let config = consumer_config(self);
        let consumer: BaseConsumer = config.create().map_err(text)?;
        consumer.assign(&beginning().map_err(text)?).map_err(text)?;
        let mut seen = Vec::new();
        for place in 0..skipped + records {
            let message = consumer.poll(LONG).ok_or("a record is missing")?.map_err(text)?;
            if place < skipped {
                continue;
            }
            let headers = message.headers();
            let values: Vec<_> = headers
                .iter()
                .flat_map(|headers| headers.iter())
                .filter(|header| header.key == "traceparent")
                .collect();
            let [Header { value: Some(value), .. }] = values[..] else {
                return Err(format!("one traceparent expected: {values:?}"));
            };
            seen.push(crate::traceparent(&String::from_utf8_lossy(value))?);
        }
        Ok(seen)
    }
}

fn consumer_config(broker: &Broker) -> ClientConfig {
    let mut config = broker.config();
    config.set("group.id", GROUP);
    // A commit now and then is nothing that a record costs.
    config.set("auto.commit.interval.ms", "600000");
    config
}

fn beginning() -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    Ok(list)
}

fn text(error: KafkaError) -> String {
    error.to_string()
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().map_err(|error| error.to_string())
}

/// The whole `main` of a variant that sends. Counted are the call that queues a record, the
/// producer's callback when the broker has answered, and the taking of that answer.
pub fn produce<P: Produces>(
    expect: Expect,
    make: impl FnOnce(&ClientConfig, &SdkTracerProvider) -> KafkaResult<P>,
) -> ExitCode {
    crate::exit(try_produce(expect, make))
}

fn try_produce<P: Produces>(
    expect: Expect,
    make: impl FnOnce(&ClientConfig, &SdkTracerProvider) -> KafkaResult<P>,
) -> Result<()> {
    let (mode, command) = crate::arguments()?;
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let (provider, kept) = spans::provider(mode);
    let broker = Broker::start()?;
    // Sent all at once, when all are queued: no thread is woken by a single record.
    let producer = make(broker.config().set("linger.ms", "1500"), &provider).map_err(text)?;
    let _current = spans::parent(mode).attach();
    let record = || FutureRecord::to(TOPIC).key("42").payload("one book");

    // The topic is known from then on.
    let first = producer.send(record());
    producer.flush().map_err(text)?;
    runtime.block_on(first);
    if matches!(command, Command::Check) {
        kept.get_or_init(Mutex::default);
    }
    execute(
        command,
        |n| {
            let answers: Vec<_> = (0..n).map(|_| counted(|| producer.send(record()))).collect();
            producer.flush().expect("the broker is there");
            counted(|| {
                runtime.block_on(async {
                    for answer in answers {
                        answer.await;
                    }
                });
            });
        },
        |n| match expect {
            Expect::Nothing => Ok(()),
            Expect::Span(name) => {
                let sent = broker.contexts(1, n)?;
                spans::verify(mode, SpanKind::Producer, name, &kept, &sent, n)
            }
            Expect::Own(check) => check(mode, n),
        },
    )
}

/// The whole `main` of a variant that receives: `assign` tells the consumer what to read, and
/// `work` processes so many records. What it returns is dropped outside of the count.
pub fn process<C, R>(
    expect: Expect,
    make: impl Fn(&mut ClientConfig, &SdkTracerProvider) -> KafkaResult<C>,
    assign: impl Fn(&C, &TopicPartitionList) -> KafkaResult<()>,
    work: impl AsyncFn(C, u64) -> R,
) -> ExitCode {
    crate::exit(receive(
        make,
        assign,
        work,
        |_| None,
        |mode, kept, seen, n| match expect {
            Expect::Nothing if seen.len() as u64 == n => Ok(()),
            Expect::Nothing => Err("the handler wasn't called".to_owned()),
            Expect::Span(name) => spans::verify(mode, SpanKind::Consumer, name, kept, seen, n),
            Expect::Own(check) => check(mode, n),
        },
    ))
}

/// The same in batches of [`BATCH`], in a loop that has the parent: no record of them can be it.
pub fn process_batches<C, R>(
    expect: Expect,
    make: impl Fn(&mut ClientConfig, &SdkTracerProvider) -> KafkaResult<C>,
    assign: impl Fn(&C, &TopicPartitionList) -> KafkaResult<()>,
    work: impl AsyncFn(C, u64) -> R,
) -> ExitCode {
    let parent = |mode| Some(spans::parent(mode).attach());
    crate::exit(receive(make, assign, work, parent, |mode, kept, seen, n| match expect {
        Expect::Nothing if seen.len() == 1 => Ok(()),
        Expect::Nothing => Err("the handler wasn't called".to_owned()),
        Expect::Span(name) => {
            spans::verify(mode, SpanKind::Consumer, name, kept, seen, 1)?;
            let spans = kept.get().ok_or("nothing was kept")?.lock().map_err(|e| e.to_string())?;
            match spans.iter().find(|span| span.links.len() as u64 != n) {
                None => Ok(()),
                Some(span) => Err(format!("{n} links expected: {span:#?}")),
            }
        }
        Expect::Own(check) => check(mode, n),
    }))
}

fn receive<C, R>(
    make: impl Fn(&mut ClientConfig, &SdkTracerProvider) -> KafkaResult<C>,
    assign: impl Fn(&C, &TopicPartitionList) -> KafkaResult<()>,
    work: impl AsyncFn(C, u64) -> R,
    around: impl Fn(Mode) -> Option<ContextGuard>,
    check: impl FnOnce(Mode, &Kept, &[Seen], u64) -> Result<()>,
) -> Result<()> {
    let (mode, command) = crate::arguments()?;
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let (provider, kept) = spans::provider(mode);
    if matches!(command, Command::Check) {
        kept.get_or_init(Mutex::default);
        SEEN.get_or_init(Mutex::default);
    }
    let broker = Broker::start()?;
    let prepare = |n| {
        broker.fill(mode, n)?;
        let consumer = make(&mut consumer_config(&broker), &provider)?;
        assign(&consumer, &beginning()?)?;
        thread::sleep(FETCHED);
        Ok::<_, KafkaError>(consumer)
    };
    let _current = around(mode);
    execute(
        command,
        |n| {
            let consumer = prepare(n).expect("the broker is there");
            drop(counted(|| runtime.block_on(work(consumer, n))));
        },
        |n| {
            let seen = SEEN.get().ok_or("nothing was seen")?.lock().map_err(|e| e.to_string())?;
            check(mode, &kept, &seen, n)
        },
    )
}
