//! The battery: every way by which a service takes messages in.
//!
//! The body of a message says which message of the battery it is, since whoever asks a queue gets
//! any of them. Who sends knows nothing of traces.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use opentelemetry::trace::SpanKind;
use throughline_sqs::{Deliveries, Queue};
use throughline_testing::Recorder;
use throughline_testing::battery::{self, Handler, Headers, Inbound, Setup};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::common::{PATIENCE, Rig};

/// How a service takes messages in.
#[derive(Clone, Copy)]
enum Takes {
    /// By a client of its own, and [`Deliveries::delivery`].
    Given,
    /// By `receive` and `process`, in one task.
    Receive,
    /// By the runner.
    Runner,
}

struct Taking {
    rig: Rig,
    takes: Takes,
    /// For what the battery doesn't ask for: the spans of receiving, and of settling.
    others: Recorder,
}

struct Reader {
    url: String,
    handlers: Handlers,
    reads: Reads,
}

enum Reads {
    Given(Deliveries),
    Receive(Queue),
    Runner(Running),
}

/// Who handles which message, and who is told when it is done.
type Handlers = Arc<Mutex<HashMap<String, (Handler, oneshot::Sender<()>)>>>;

/// Each is handled once: what comes again finds nobody.
fn take(handlers: &Handlers, body: &str) -> Option<(Handler, oneshot::Sender<()>)> {
    handlers.lock().expect("a lock").remove(body)
}

/// Ends a task when it is dropped.
struct Running {
    task: AbortHandle,
    ends: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ends {
            self.task.abort();
        }
    }
}

fn attributes(headers: &Headers) -> HashMap<String, MessageAttributeValue> {
    let attribute = |(name, value): (&str, &[u8])| {
        let value = String::from_utf8_lossy(value);
        // SQS takes no empty ones, and nobody could send them.
        (!value.is_empty()).then(|| (name.to_owned(), crate::common::text(&value)))
    };
    headers.iter().filter_map(attribute).collect()
}

impl Inbound for Taking {
    type Boundary = Reader;
    const KIND: SpanKind = SpanKind::Consumer;
    const LAYERED: bool = false;
    const DOUBLES: bool = false;

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn boundary(&self, setup: Setup) -> Reader {
        let url = self.rig.queue(&[]).await;
        let handlers = Handlers::default();
        macro_rules! configure {
            ($boundary:expr) => {{
                let boundary = $boundary
                    .with_tracer_provider(&setup.provider)
                    .trust(setup.trust)
                    .expect_parent(setup.expect_parent);
                match setup.foreign {
                    Some(foreign) => boundary.with_propagator(foreign),
                    None => boundary.with_propagator(setup.propagator),
                }
            }};
        }
        // Those of a message that fails would find nobody.
        let again = Duration::from_secs(600);
        let client = self.rig.traced_into(&self.others);
        let queue =
            Queue::new(client, &url).wait_time(Duration::from_secs(1)).backoff(again, again);
        let reads = match self.takes {
            Takes::Given => Reads::Given(configure!(Deliveries::of(&url))),
            Takes::Receive => Reads::Receive(configure!(queue).max_messages(1)),
            Takes::Runner => {
                let handlers = Arc::clone(&handlers);
                let run = configure!(queue).runner().concurrency(100).run(move |message| {
                    let taken = take(&handlers, message.body());
                    async move {
                        let (handler, _done) = taken.expect("a message of the battery");
                        handler.run().await
                    }
                });
                let task = tokio::spawn(run).abort_handle();
                Reads::Runner(Running { task, ends: true })
            }
        };
        Reader { url, handlers, reads }
    }

    async fn deliver(&self, reader: &Reader, headers: Headers, handler: Handler) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let Reader { url, handlers, reads } = reader;
        let body = NEXT.fetch_add(1, Relaxed).to_string();
        if let Reads::Given(deliveries) = reads {
            let message = aws_sdk_sqs::types::Message::builder().body(body);
            let message = message.set_message_attributes(Some(attributes(&headers))).build();
            drop(deliveries.delivery(message).process(async |_| handler.run().await).await);
            return;
        }
        let (done, is_done) = oneshot::channel();
        handlers.lock().expect("a lock").insert(body.clone(), (handler, done));
        // One message can't be given up alone by a runner: all are.
        let mut running = match reads {
            Reads::Runner(Running { task, .. }) => Some(Running { task: task.clone(), ends: true }),
            _ => None,
        };
        let send = self.rig.raw.send_message().queue_url(url).message_body(body);
        let send = send.set_message_attributes(Some(attributes(&headers)));
        send.send().await.expect("it is sent");
        if let Reads::Receive(queue) = reads {
            // Not always the message from above: whose it is, its body says.
            let mut received = Vec::new();
            while received.is_empty() {
                received = queue.receive().await.expect("an answer");
            }
            let mut whose = None;
            let processed = received.remove(0).process(async |message| {
                let (handler, done) = take(handlers, message.body()).expect("once");
                whose = Some(done);
                handler.run().await
            });
            drop(processed.await);
            drop(whose);
        }
        drop(is_done.await);
        if let Some(running) = &mut running {
            running.ends = false;
        }
    }
}

async fn taking(takes: Takes) {
    // A real one has no room for a thousand polls at once.
    let rig = Rig::embedded();
    battery::inbound(Taking { rig, takes, others: Recorder::new() }).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_delivery_conforms() {
    taking(Takes::Given).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receive_and_process_conform() {
    taking(Takes::Receive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runner_conforms() {
    taking(Takes::Runner).await;
}
