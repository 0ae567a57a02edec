use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{SendMessageBatchRequestEntry, SendMessageBatchResultEntry};
use opentelemetry::trace::{SpanId, TraceId, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use throughline::core::{InContext, error_chain};
use throughline::sqs::Interceptor;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::witness::Witness;
use super::{BATCH, config};
use crate::ledger::backlog::Backlog;
use crate::ledger::book::{Book, Line, Place};
use crate::ledger::spans::{Order, Spans};
use crate::ledger::{self, Error};

/// How long to wait before messages that were refused are sent anew.
const PAUSE: Duration = Duration::from_millis(10);

/// Of so many batches one is sent message by message.
const SINGLY: u64 = 5;

/// How a sender of the ledger works.
#[derive(clap::Args, Clone, Debug)]
pub struct Send {
    /// Where SQS is
    #[arg(long)]
    pub endpoint: String,
    /// The queue's URL
    #[arg(long)]
    pub url: String,
    /// How many messages to send, but for those that the book says are sent
    #[arg(long)]
    pub messages: u64,
    /// How many batches may be under way at once. Of a FIFO queue each has ten groups of its own
    #[arg(long, default_value_t = 4)]
    pub lanes: u64,
    /// Waits while so many are sent and not handled
    #[arg(long)]
    pub ahead: Option<u64>,
    /// The book to write into
    #[arg(long)]
    pub book: PathBuf,
}

#[derive(Clone)]
struct Sender {
    client: Client,
    url: Arc<str>,
    /// In which order messages come, if in any.
    groups: Option<ledger::Order>,
    tracer: SdkTracer,
    spans: Spans,
    book: Arc<Book>,
    backlog: Arc<Mutex<Backlog>>,
    ahead: Option<u64>,
}

impl Sender {
    /// Sends the batches of one lane, one after the other.
    async fn lane(self, lane: u64, lanes: u64, messages: u64) -> Result<(), Error> {
        let batches = messages.div_ceil(BATCH);
        let mut number = lane;
        while number < batches {
            let ids = number * BATCH..messages.min((number + 1) * BATCH);
            let mut backlog = self.backlog.lock().await;
            let ids: Vec<_> = ids.filter(|id| !backlog.is_sent(*id)).collect();
            if let Some(ahead) = self.ahead {
                backlog.wait_below(ahead).await?;
            }
            drop(backlog);
            if number % SINGLY == SINGLY - 1 {
                for id in ids {
                    self.one(id).await?;
                }
            } else {
                self.batch(ids).await?;
            }
            number += lanes;
        }
        Ok(())
    }

    fn begin(&self, ids: &[u64]) -> Result<Order, Error> {
        let order = self.spans.order(&self.tracer);
        let (process, trace) = (std::process::id(), order.trace);
        let lines = ids.iter().map(|id| Line::Trying { process, id: *id, trace });
        self.book.write_all(&lines.collect::<Vec<_>>())?;
        Ok(order)
    }

    /// What became of a message: its id, if SQS gave it one.
    fn end(id: u64, trace: TraceId, span: SpanId, given: Option<&str>) -> Line {
        match given {
            Some(place) => Line::Sent { id, trace, span, place: Place::Message(place.into()) },
            None => Line::Refused { id, trace, span },
        }
    }

    /// Sends a message until SQS has it.
    async fn one(&self, id: u64) -> Result<(), Error> {
        loop {
            let order = self.begin(&[id])?;
            let request = self.client.send_message().queue_url(&*self.url);
            let request = request.message_body(id.to_string()).set_message_group_id(self.group(id));
            let request = request.set_message_deduplication_id(self.deduplication(id));
            let sent = InContext::new(request.send(), order.context.clone()).await;
            let [span] = order.sends()[..] else { return Err(Error::NoSpan(id)) };
            let given = sent.as_ref().ok().and_then(|sent| sent.message_id());
            self.book.write(&Self::end(id, order.trace, span, given))?;
            match sent {
                Ok(_) => return Ok(()),
                Err(error) => eprintln!("message {id} is sent anew: {}", error_chain(&error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends messages together, until SQS has all of them.
    async fn batch(&self, mut ids: Vec<u64>) -> Result<(), Error> {
        while !ids.is_empty() {
            let order = self.begin(&ids)?;
            let entries = ids.iter().map(|id| {
                let entry = SendMessageBatchRequestEntry::builder().id(id.to_string());
                let entry =
                    entry.message_body(id.to_string()).set_message_group_id(self.group(*id));
                entry.set_message_deduplication_id(self.deduplication(*id)).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>();
            let entries = entries.map_err(|error| Error::Sqs(error.to_string()))?;
            let request = self.client.send_message_batch().queue_url(&*self.url);
            let request = request.set_entries(Some(entries)).send();
            let sent = InContext::new(request, order.context.clone()).await;
            let spans = order.sends();
            if spans.len() != ids.len() {
                return Err(Error::NoSpan(ids[0]));
            }
            let done = match &sent {
                Ok(sent) => sent.successful(),
                Err(error) => {
                    eprintln!("messages {ids:?} are sent anew: {}", error_chain(error));
                    &[]
                }
            };
            let mut lines = Vec::new();
            for (id, span) in ids.iter().zip(spans) {
                let given = done.iter().find(|it| it.id().parse() == Ok(*id));
                let given = given.map(SendMessageBatchResultEntry::message_id);
                lines.push(Self::end(*id, order.trace, span, given));
            }
            self.book.write_all(&lines)?;
            let is_done = |id: &u64| done.iter().any(|it| it.id().parse() == Ok(*id));
            ids.retain(|id| !is_done(id));
            if !ids.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    fn group(&self, id: u64) -> Option<String> {
        self.groups.map(|order| format!("group-{}", order.lane(id)))
    }

    fn deduplication(&self, id: u64) -> Option<String> {
        self.groups.map(|_| id.to_string())
    }
}

/// Sends messages, and writes down each that SQS took.
///
/// # Errors
///
/// When the book can't be read or written, or a message isn't sent as it should be.
pub async fn send(args: Send) -> Result<(), Error> {
    let Send { endpoint, url, messages, lanes, ahead, book } = args;
    let backlog = Arc::new(Mutex::new(Backlog::read(&book)?));
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
    let (tracer, book) = (provider.tracer("ledger"), Arc::new(Book::open(&book)?));
    let config = config(&endpoint)
        .interceptor(Witness::new(Arc::clone(&book)))
        .interceptor(Interceptor::new().with_tracer_provider(&provider));
    let client = Client::from_conf(config.build());
    let groups = url.ends_with(".fifo").then_some(ledger::Order::Group(lanes * BATCH));
    let url = url.into();
    let sender = Sender { client, url, groups, tracer, spans, book, backlog, ahead };
    let mut tasks = JoinSet::new();
    for lane in 0..lanes {
        let sender = sender.clone();
        #[expect(clippy::disallowed_methods, reason = "each send begins a trace")]
        tasks.spawn(sender.lane(lane, lanes, messages));
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(Error::task)??;
    }
    Ok(())
}
