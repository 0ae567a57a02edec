use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use opentelemetry_sdk::trace::SdkTracerProvider;
use throughline::sqs::Queue;
use tokio::signal::unix::{SignalKind, signal};

use super::config;
use super::witness::Witness;
use crate::ledger::Error;
use crate::ledger::book::{Book, Place};
use crate::ledger::scribe::Scribe;
use crate::ledger::spans::Spans;

/// How a receiver of the ledger works.
#[derive(clap::Args, Clone, Debug)]
pub struct Receive {
    /// Where SQS is
    #[arg(long)]
    pub endpoint: String,
    /// The queue's URL
    #[arg(long)]
    pub url: String,
    /// How long a message is missed of a receiver that was killed, in seconds
    #[arg(long, default_value_t = 5)]
    pub visibility: u64,
    /// How many messages to handle at once
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
    /// How long a handler waits for something, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub think: u64,
    /// No handler fails
    #[arg(long)]
    pub flawless: bool,
    /// The book to write into
    #[arg(long)]
    pub book: PathBuf,
}

/// Handles messages until SIGTERM, and writes each down before it is deleted.
///
/// # Errors
///
/// When the queue can't be read any more, or the book can't be written.
pub async fn receive(args: Receive) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Process)?;
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
    let book = Arc::new(Book::open(&args.book)?);
    let witness = Witness::new(Arc::clone(&book));
    let client = Client::from_conf(config(&args.endpoint).interceptor(witness).build());
    let visibility = Duration::from_secs(args.visibility);
    let think = Duration::from_millis(args.think);
    // Some take longer than a message is hidden.
    let slow = if args.flawless { think } else { visibility * 3 / 2 };
    let (flawless, failed) = (args.flawless, Arc::default());
    let scribe = Scribe { book, spans, think, slow, flawless, failed };
    Queue::new(client, args.url)
        .visibility_timeout(visibility)
        .wait_time(Duration::from_secs(1))
        .backoff(Duration::from_secs(1), Duration::from_secs(2))
        .with_tracer_provider(&provider)
        .runner()
        .concurrency(args.concurrency)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .run(move |message| {
            let scribe = scribe.clone();
            async move {
                let place = Place::Message(message.message_id().into());
                scribe.handle(message.body(), place, 0).await
            }
        })
        .await?;
    Ok(())
}
