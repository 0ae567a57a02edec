//! Calls of SQS by the ordinary client, which are answered from memory, and messages that came.

mod canned;
mod plain;

use crate::spans::{self, Kept, Seen};
use crate::{Expect, Mode};
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use aws_sdk_sqs::{Client, Config};
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use tokio::runtime::Runtime;

pub use plain::{Carrier, Noop};

/// The queue of all calls.
pub const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/000000000000/orders";
/// How many messages a batch has, and are received at once.
pub const BATCH: usize = 10;

const BODY: &str = "one book";

/// What the handlers saw, of a `check`.
static SEEN: OnceLock<Mutex<Vec<Seen>>> = OnceLock::new();

type Result<T> = std::result::Result<T, String>;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `SendMessage`
    Send,
    /// `SendMessageBatch`, of ten
    SendBatch,
    /// `ReceiveMessage`, of ten
    Receive,
}

/// The id of a message.
fn message(place: usize) -> String {
    format!("5fea7756-0ea4-451a-a703-a558b933e27{place}")
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// The work of every handler.
pub fn handle(body: &str) {
    if let Some(seen) = SEEN.get() {
        let context = Context::current();
        let span = context.span();
        let context = span.span_context();
        let context = (context.trace_id(), context.span_id(), context.trace_flags());
        seen.lock().expect("nothing panics in here").push(context);
    }
    std::hint::black_box(body);
}

fn config(mode: Mode) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(canned::client(mode))
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(text)
}

/// Starts to keep, for a `check`.
fn keep(command: &crate::Command, kept: &Kept) {
    if matches!(command, crate::Command::Check) {
        kept.get_or_init(Mutex::default);
        canned::SENT.get_or_init(Mutex::default);
        SEEN.get_or_init(Mutex::default);
    }
}

impl Call {
    /// Of so many messages; how many there were.
    async fn make(self, client: &Client, messages: usize) -> usize {
        match self {
            Call::Send => {
                let sent = client.send_message().queue_url(QUEUE).message_body(BODY).send().await;
                sent.expect("the canned answer can't fail").message_id().map_or(0, |_| 1)
            }
            Call::SendBatch => {
                let entry = |id: usize| {
                    let entry = SendMessageBatchRequestEntry::builder().id(id.to_string());
                    entry.message_body(BODY).build().expect("nothing is missing")
                };
                let entries = (0..messages).map(entry).collect();
                let batch = client.send_message_batch().queue_url(QUEUE).set_entries(Some(entries));
                let sent = batch.send().await.expect("the canned answer can't fail");
                sent.successful().len().min(messages)
            }
            Call::Receive => {
                let request = client.receive_message().queue_url(QUEUE);
                let received = request.max_number_of_messages(10).send().await;
                let received = received.expect("the canned answer can't fail");
                std::hint::black_box(received.messages()).len().min(messages)
            }
        }
    }

    async fn make_all(self, client: &Client, messages: u64) {
        let at_once = if self == Call::Send { 1 } else { BATCH };
        let mut left = usize::try_from(messages).expect("not so many");
        while left > 0 {
            left -= self.make(client, left.min(at_once)).await;
        }
    }

    /// The spans that a call of so many messages has to leave.
    fn verify(self, mode: Mode, kept: &Kept, messages: u64) -> Result<()> {
        let spans = kept.get().ok_or("nothing was kept")?.lock().map_err(text)?;
        let named = |name: &str| -> Vec<SpanData> {
            spans.iter().filter(|span| span.name == name).cloned().collect()
        };
        match self {
            Call::Send => {
                let (kind, sent) = (SpanKind::Producer, canned::contexts()?);
                spans::verify_all(mode, kind, "send orders", &spans, &sent, messages)
            }
            Call::SendBatch => {
                let (created, sent) = (named("create orders"), canned::contexts()?);
                let kind = SpanKind::Producer;
                spans::verify_all(mode, kind, "create orders", &created, &sent, messages)?;
                let calls = created.is_empty() || spans.len() == created.len() + 1;
                linked(mode, &named("send orders"), messages)
                    .and_then(|()| if calls { Ok(()) } else { Err(format!("{spans:#?}")) })
            }
            // As many as come, which is more than are asked for.
            Call::Receive => linked(mode, &spans, BATCH as u64),
        }
    }
}

/// One span of a call, which is linked to so many messages.
fn linked(mode: Mode, spans: &[SpanData], links: u64) -> Result<()> {
    match (mode, spans) {
        (Mode::Sampled, [span])
            if span.span_kind == SpanKind::Client
                && span.links.len() as u64 == links
                && span.parent_span_id.to_string() == crate::PARENT_SPAN_ID =>
        {
            Ok(())
        }
        (Mode::Unsampled | Mode::Dropped, []) => Ok(()),
        _ => Err(format!("one span with {links} links expected where sampled: {spans:#?}")),
    }
}

/// The whole `main` of a variant that calls: `intercept` adds it to the client.
pub fn call(
    call: Call,
    expect: Expect,
    intercept: impl FnOnce(Builder, &SdkTracerProvider) -> Builder,
) -> ExitCode {
    crate::exit(try_call(call, expect, intercept))
}

fn try_call(
    call: Call,
    expect: Expect,
    intercept: impl FnOnce(Builder, &SdkTracerProvider) -> Builder,
) -> Result<()> {
    let (mode, command) = crate::arguments()?;
    let runtime = runtime()?;
    let (provider, kept) = spans::provider(mode);
    let client = Client::from_conf(intercept(config(mode), &provider).build());
    let _current = spans::parent(mode).attach();
    keep(&command, &kept);
    crate::execute(
        command,
        |n| runtime.block_on(call.make_all(&client, n)),
        |n| match expect {
            Expect::Nothing => {
                let sent = canned::SENT.get().ok_or("nothing was sent")?.lock().map_err(text)?;
                let calls = if call == Call::Send { n } else { 1 };
                if sent.len() as u64 == calls { Ok(()) } else { Err(format!("{sent:?}")) }
            }
            Expect::Span(_) => call.verify(mode, &kept, n),
            Expect::Own(check) => check(mode, n),
        },
    )
}

/// A message that came, with what SQS is asked for by a consumer that asks for all.
fn received(mode: Mode) -> Message {
    let mut message = Message::builder()
        .message_id(message(0))
        .receipt_handle("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a")
        .body(BODY)
        .attributes(MessageSystemAttributeName::SentTimestamp, "1700000000000")
        .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "1");
    if let Some(parent) = canned::parent(mode) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(parent);
        message = message.message_attributes("traceparent", value.build().expect("it has a type"));
    }
    message.build()
}

/// The whole `main` of a variant that processes messages that were received, one after the other.
pub fn process<C>(
    expect: Expect,
    make: impl FnOnce(&SdkTracerProvider) -> C,
    work: impl AsyncFn(&C, Message),
) -> ExitCode {
    crate::exit(try_process(expect, make, work))
}

fn try_process<C>(
    expect: Expect,
    make: impl FnOnce(&SdkTracerProvider) -> C,
    work: impl AsyncFn(&C, Message),
) -> Result<()> {
    let (mode, command) = crate::arguments()?;
    let runtime = runtime()?;
    let (provider, kept) = spans::provider(mode);
    keep(&command, &kept);
    let (consumer, message) = (make(&provider), received(mode));
    crate::execute(
        command,
        |n| {
            runtime.block_on(async {
                for _ in 0..n {
                    work(&consumer, message.clone()).await;
                }
            });
        },
        |n| verify_handled(mode, expect, &kept, n),
    )
}

fn verify_handled(mode: Mode, expect: Expect, kept: &Kept, messages: u64) -> Result<()> {
    let seen = SEEN.get().ok_or("nothing was seen")?.lock().map_err(text)?;
    match expect {
        Expect::Nothing if seen.len() as u64 == messages => Ok(()),
        Expect::Nothing => Err("the handler wasn't called".to_owned()),
        Expect::Span(name) => {
            let spans = kept.get().ok_or("nothing was kept")?.lock().map_err(text)?;
            let named = spans.iter().filter(|span| span.name == name).cloned();
            let named: Vec<_> = named.collect();
            spans::verify_all(mode, SpanKind::Consumer, name, &named, &seen, messages)
        }
        Expect::Own(check) => check(mode, messages),
    }
}

/// The whole `main` of a variant that reads a queue: `work` receives, handles and deletes so many
/// messages.
pub fn consume<C>(
    expect: Expect,
    make: impl FnOnce(Builder, &SdkTracerProvider) -> C,
    work: impl AsyncFn(&C, u64),
) -> ExitCode {
    crate::exit(try_consume(expect, make, work))
}

fn try_consume<C>(
    expect: Expect,
    make: impl FnOnce(Builder, &SdkTracerProvider) -> C,
    work: impl AsyncFn(&C, u64),
) -> Result<()> {
    let (mode, command) = crate::arguments()?;
    let runtime = runtime()?;
    let (provider, kept) = spans::provider(mode);
    keep(&command, &kept);
    let consumer = make(config(mode), &provider);
    crate::execute(
        command,
        |n| runtime.block_on(work(&consumer, n)),
        |n| verify_handled(mode, expect, &kept, n.next_multiple_of(BATCH as u64)),
    )
}
