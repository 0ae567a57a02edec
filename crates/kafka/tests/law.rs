//! The law by type: what nobody can write, and what everybody can.
//!
//! Each of `law/*.rs` breaks one promise and must not compile; what the compiler says is kept
//! beside it. After a change there, or of the compiler: `TRYBUILD=overwrite cargo test -p
//! throughline-kafka --test law`, and read what it changed.
#![expect(clippy::disallowed_methods, reason = "our types in tasks of any kind")]

use std::sync::Mutex;

use futures_util::TryStreamExt;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::CommitMode;
use rdkafka::error::KafkaResult;
use rdkafka::{ClientContext, TopicPartitionList};
use throughline_kafka::{
    Error, FutureProducer, Hooks, OwnedDelivery, Rebalance, StreamConsumer, offsets_of::Theirs,
};

#[test]
fn what_breaks_the_law_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/law/*.rs");
}

/// What keeps the law compiles, and that is all there is to see: nothing here is run.
#[test]
fn what_keeps_the_law_compiles() {
    let _ = (
        spawned_loop,
        borrowing_handler,
        task_of_its_own,
        streamed,
        batches,
        own_offsets,
        own_hooks,
        own_context,
    );
}

/// A loop over `recv` and `process` is a future that any runtime's threads can run.
fn spawned_loop(consumer: StreamConsumer) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move {
        while let Some(delivery) = consumer.recv().await? {
            let length = delivery
                .process(async |message| {
                    tokio::task::yield_now().await;
                    message.payload_view::<str>().map_or(Ok(0), |text| text.map(str::len))
                })
                .await;
            assert!(length.is_ok());
        }
        Ok(())
    })
}

/// A handler borrows what it needs, to read and to write, and returns what it likes.
async fn borrowing_handler(consumer: &StreamConsumer, names: &[String]) -> Result<usize, Error> {
    let mut bytes = 0;
    let seen = Mutex::new(Vec::new());
    while let Some(delivery) = consumer.recv().await? {
        let processed = delivery.process(async |message| {
            bytes += message.payload().map_or(0, <[u8]>::len);
            tokio::task::yield_now().await;
            seen.lock().map_err(|error| error.to_string())?.push(names.first());
            Ok::<_, String>(message.offset())
        });
        let offset: Result<i64, String> = processed.await;
        drop(offset);
    }
    Ok(bytes)
}

/// A delivery goes into a task, and its message from there wherever it is needed.
async fn task_of_its_own(consumer: &StreamConsumer) -> Result<(), Error> {
    while let Some(delivery) = consumer.recv().await? {
        let delivery: OwnedDelivery = delivery.into_owned();
        tokio::spawn(delivery.process(async |message| {
            tokio::task::spawn_blocking(move || message.payload().map(<[u8]>::len)).await
        }));
    }
    Ok(())
}

/// A stream is one of any runtime's threads, and borrows its consumer.
fn streamed(consumer: StreamConsumer) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move {
        let stream = consumer.stream();
        stream
            .try_for_each_concurrent(4, async |delivery| {
                let processed = delivery.process(async |_| Ok::<_, String>(()));
                assert!(processed.await.is_ok());
                Ok(())
            })
            .await
    })
}

/// A batch is handled where it was received, by what is borrowed there, or in a task.
async fn batches(consumer: StreamConsumer, names: &[String]) -> Result<(), Error> {
    let mut bytes = 0;
    let wait = std::time::Duration::from_millis(10);
    while let Some(batch) = consumer.recv_batch(100, wait).await? {
        let processed = batch.process_batch(async |messages| {
            bytes += messages.iter().filter_map(|message| message.payload()).count();
            tokio::task::yield_now().await;
            Ok::<_, String>(names.first())
        });
        let name: Result<_, String> = processed.await;
        drop(name);
        if let Some(batch) = consumer.recv_batch(100, wait).await? {
            tokio::spawn(batch.into_owned().process_batch(async |messages| {
                tokio::task::spawn_blocking(move || messages.len()).await
            }));
        }
    }
    tokio::spawn(async move {
        while let Some(batch) = consumer.recv_batch(100, wait).await? {
            let processed = batch.process_batch(async |messages| {
                tokio::task::yield_now().await;
                messages.first().map_or(Ok(0), |first| {
                    first.payload_view::<str>().map_or(Ok(0), |text| text.map(str::len))
                })
            });
            assert!(processed.await.is_ok());
        }
        Ok::<_, Error>(())
    });
    Ok(())
}

/// Who keeps the offsets can store and commit them.
fn own_offsets(consumer: StreamConsumer, list: &TopicPartitionList) -> KafkaResult<()> {
    let consumer: StreamConsumer<_, Theirs> =
        consumer.offsets(throughline_kafka::offsets_of::Theirs);
    consumer.store_offset("orders", 0, 41)?;
    consumer.commit_stored(CommitMode::Async)?;
    consumer.commit(list, CommitMode::Sync)
}

#[derive(Default)]
struct Told(Mutex<usize>);

impl ClientContext for Told {}

impl Hooks for Told {
    fn post_rebalance(&self, rebalance: &Rebalance<'_>) {
        if let (Rebalance::Assign(partitions), Ok(mut told)) = (rebalance, self.0.lock()) {
            *told += partitions.len();
        }
    }
}

/// A consumer has hooks of the service's own, and shows them.
fn own_hooks(config: &ClientConfig) -> KafkaResult<usize> {
    let consumer: StreamConsumer<Told> = config.create_with_context(Told::default())?;
    let told = consumer.client().context().hooks().0.lock();
    Ok(told.map_or(0, |told| *told))
}

/// A producer has a context of the service's own, and shows it.
fn own_context(config: &ClientConfig) -> KafkaResult<DefaultClientContext> {
    let producer: FutureProducer<DefaultClientContext> =
        config.create_with_context(DefaultClientContext)?;
    Ok(producer.client().context().inner().clone())
}
