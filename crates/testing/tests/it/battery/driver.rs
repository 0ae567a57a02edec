//! How the battery drives a boundary that may be wrong.
#![expect(clippy::disallowed_methods, reason = "a boundary that is wrong on purpose")]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use opentelemetry::Context;
use opentelemetry::trace::SpanKind;
use throughline_core::InContext;
use throughline_testing::battery::{Handler, Headers, Inbound, Outbound, Peer, Setup};

use super::boundary::Boundary;
use super::wrong::Memory;
use super::wrong::Wrong::*;

impl Inbound for Memory {
    type Boundary = Boundary;
    const KIND: SpanKind = SpanKind::Consumer;

    fn patience(&self) -> Duration {
        self.patience()
    }

    async fn boundary(&self, setup: Setup) -> Boundary {
        self.done.store(false, Relaxed);
        Boundary::new(setup, self.wrong, SpanKind::Consumer)
    }

    async fn deliver(&self, boundary: &Boundary, headers: Headers, handler: Handler) {
        match self.wrong {
            Hangs => std::future::pending().await,
            Panics => std::panic::resume_unwind(Box::new("it was wrong")),
            Detaches => return drop(tokio::spawn(async move { handler.run().await })),
            HandlesTwice => drop(handler.run().await),
            _ => {}
        }
        let span = boundary.receive(&headers);
        let parent = boundary.config.extract(&headers).context().clone();
        let (setup, outer) = (&boundary.setup, span.context().clone());
        let again = boundary.starts_again(span.is_recording());
        if self.wrong == DescribesTwice {
            span.set_attribute("route", "/");
        }
        let inner = async {
            let same = self.wrong == BuildsTheSameTwice;
            let inner = if same { setup.clone() } else { setup.inner() };
            match self.wrong {
                DescribesTwice => throughline_core::boundary().set_attribute("route", "/"),
                EntersTheOuterAgain => return InContext::new(handler.run(), outer).await,
                _ => {}
            }
            if again {
                let inner = Boundary::new(inner, self.wrong, SpanKind::Consumer);
                let span = inner.receive(&headers);
                inner.live(span, &Context::new(), handler.run()).await
            } else {
                handler.run().await
            }
        };
        let layered = async {
            match setup.layers {
                1 => handler.run().await,
                _ if self.wrong == HasNothingBetween => inner.await,
                _ => setup.between(inner).boxed().await,
            }
        };
        drop(boundary.live(span, &parent, layered).boxed().await);
        self.done.store(true, Relaxed);
    }
}

impl Outbound for Memory {
    type Boundary = Boundary;
    const KIND: SpanKind = SpanKind::Producer;

    fn patience(&self) -> Duration {
        self.patience()
    }

    async fn boundary(&self, setup: Setup) -> Boundary {
        self.done.store(false, Relaxed);
        Boundary::new(setup, self.wrong, SpanKind::Producer)
    }

    async fn send(&self, boundary: &Boundary, headers: Headers, peer: Peer) {
        match self.wrong {
            Hangs => std::future::pending().await,
            Panics => std::panic::resume_unwind(Box::new("it was wrong")),
            Detaches => return drop(tokio::spawn(async move { peer.receive(headers).await })),
            Swallows => return drop((headers, peer)),
            HandlesTwice => drop(peer.receive(headers.clone()).await),
            _ => {}
        }
        let (span, headers) = boundary.leave(headers).await;
        let again = boundary.setup.layers == 2 && boundary.starts_again(span.is_recording());
        let layered = async {
            if again {
                let (span, headers) = boundary.leave(headers).await;
                boundary.live(span, &Context::new(), peer.receive(headers)).await
            } else {
                peer.receive(headers).await
            }
        };
        drop(boundary.live(span, &Context::new(), layered).await);
        self.done.store(true, Relaxed);
    }
}
