//! A boundary that may be wrong, whose messages are sent whoever waits for them, and answered by a
//! broker.
#![expect(clippy::disallowed_methods, reason = "a queue that knows of no trace")]

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use throughline_core::semconv::{CANCELLED, ERROR_TYPE};
use throughline_core::{Config, Description, messaging};
use throughline_testing::battery::{self, Failed, Headers, Outbound, Peer, Setup};
use tokio::sync::{mpsc, oneshot};

use super::boundary::{Boundary, sampled};
use super::prove_some;
use super::wrong::Wrong::{self, *};
use super::wrong::{Ending, Memory};

struct Queue(Memory);

struct Producer {
    boundary: std::sync::Arc<Boundary>,
    queue: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
}

impl Outbound for Queue {
    type Boundary = Producer;
    const KIND: SpanKind = SpanKind::Producer;
    const LAYERED: bool = false;
    const CANCELS: bool = false;
    const KEEPS_CREATION: bool = true;

    fn patience(&self) -> Duration {
        self.0.patience()
    }

    async fn boundary(&self, setup: Setup) -> Producer {
        let boundary = Boundary::new(setup, self.0.wrong, SpanKind::Producer).into();
        let (queue, mut messages) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                message.await;
            }
        });
        Producer { boundary, queue }
    }

    async fn send(&self, producer: &Producer, headers: Headers, peer: Peer) {
        let wrong = self.0.wrong;
        let boundary = producer.boundary.clone();
        let (span, headers) = match created(&boundary.config, &headers, wrong) {
            Some(created) => {
                let describe = || Description::new("send", 4);
                (messaging::send_created(&boundary.config, created, describe), headers)
            }
            None => boundary.leave(headers).await,
        };
        let _waits = Waits(span.context().clone(), wrong);
        if wrong == HandsOverLate {
            tokio::task::yield_now().await;
        }
        let (answer, answered) = oneshot::channel::<()>();
        let message = async move {
            let broker = async {
                if boundary.setup.refused {
                    return Err(Failed);
                }
                if wrong == HandlesTwice {
                    drop(peer.receive(headers.clone()).await);
                }
                // Whatever becomes of it there.
                drop(peer.receive(headers).await);
                Ok(())
            };
            drop(boundary.live(span, &Context::new(), broker).await);
            drop(answer);
        };
        drop(producer.queue.send(message.boxed()));
        if wrong != Detaches {
            drop(answered.await);
        }
    }
}

/// The context that a message was created in.
fn created(config: &Config, headers: &Headers, wrong: Wrong) -> Option<Context> {
    match wrong {
        ReplacesTheCreation => None,
        KeepsTheCopy => config.peek(headers).map(|it| Context::new().with_remote_span_context(it)),
        ForgetsTheCreation => config.creation_context(headers).map(|_| sampled()),
        _ => config.creation_context(headers),
    }
}

/// The future of a message.
struct Waits(Context, Wrong);

impl Drop for Waits {
    fn drop(&mut self) {
        match self.1 {
            EndsWithTheFuture => self.0.span().end(),
            TellsThatNobodyWaits => {
                self.0.span().set_attribute(KeyValue::new(ERROR_TYPE, CANCELLED));
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_producer_fails_in_its_own_words() {
    let right = prove_some(
        async |wrong| battery::outbound(Queue(Memory::new(wrong))).await,
        &[
            (
                "replaces what the handled message came with",
                &[
                    (KeepsTheCopy, "the span is of kind client, not producer"),
                    (KeepsTheStale("tracestate"), "the tracestate that came left again"),
                ],
            ),
            (
                "keeps the context that a message was created in",
                &[
                    (ReplacesTheCreation, "traceparent was created as"),
                    (ForgetsTheCreation, "isn't linked to the one that the message"),
                ],
            ),
            (
                "ends once on an error",
                &[
                    (Tells(Ending::Failure, false, "failed"), "lost: the status is Unset, not"),
                    (Tells(Ending::Failure, true, ""), "error.type is missing"),
                ],
            ),
            (
                "ends once by the answer when nobody waits",
                &[
                    (Detaches, "the message was done before it was answered"),
                    (HandsOverLate, "no message left"),
                    (HandlesTwice, "one message left 2 times"),
                    (DropsTheContext, "not with its own"),
                    (EndsWithTheFuture, "the span `send` was ended 2 times"),
                    (EndsTwice, "the span `send` was ended 2 times"),
                    (LeavesTheSpanOpen, "the span `send` never ended"),
                    (TellsThatNobodyWaits, "error.type is `cancelled` though the message"),
                    (Tells(Ending::Success, true, ""), "the status is Error though the message"),
                ],
            ),
        ],
    )
    .await;
    assert!(right.cases().iter().all(|case| case.name != "ends once on cancellation"));
}
