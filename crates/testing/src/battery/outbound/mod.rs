//! The battery for boundaries that send messages out.

mod bench;
mod cases;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::{Headers, Peer, Report, Setup};

/// How the battery drives a boundary that sends messages out.
///
/// All a driver does is to send one message through the boundary as it is used in earnest, to a
/// peer of its own making that shows the battery what arrived.
pub trait Outbound: Send + Sync + 'static {
    /// The boundary as it is built from its settings: a client, a producer.
    type Boundary: Send + Sync + 'static;

    /// The kind of the boundary's spans: CLIENT or PRODUCER.
    const KIND: SpanKind;

    /// Whether the boundary is a layer that may be applied twice by mistake, and makes one span
    /// all the same.
    const LAYERED: bool = true;

    /// Whether a message is cancelled when the future that sends it is dropped. One that was handed
    /// over to a producer is not: it is sent whoever waits for it, and its span ends by the answer.
    ///
    /// Without, the battery polls the future of [`send`](Self::send) once and drops it: the message
    /// has to be handed over by then. The driver calls the peer from elsewhere, such as the task of
    /// a consumer.
    const CANCELS: bool = true;

    /// Whether a message may bring the context that it was created in, which is kept then. What a
    /// handler copies from the message that it handles was not created, and is replaced all the same.
    const KEEPS_CREATION: bool = false;

    /// How long the battery waits for what should happen at once.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Builds the boundary.
    fn boundary(&self, setup: Setup) -> impl Future<Output = Self::Boundary> + Send;

    /// Sends one message that has `headers` already, from whatever a user did before. Calls
    /// `peer` with the headers that left, and makes its error a failure of the protocol; or the
    /// boundary was built to fail, by [`Setup::refused`], and the peer may see nothing. Returns when
    /// the message is done.
    ///
    /// To cancel a message, the battery drops this future.
    fn send(
        &self,
        boundary: &Self::Boundary,
        headers: Headers,
        peer: Peer,
    ) -> impl Future<Output = ()> + Send;
}

/// Runs every case for a boundary that sends messages out; in a runtime of several threads.
pub async fn outbound<D: Outbound>(driver: D) -> Report {
    let driver = &Arc::new(driver);
    let mut report = Report::new::<D>();
    report.add("injects its own span", cases::injects(driver)).await;
    report.add("starts a trace where none is current", cases::starts(driver)).await;
    let names = ["traceparent", "tracestate", "baggage"];
    report.add("replaces a stale context", cases::replaces(driver, names)).await;
    let names = ["Traceparent", "TraceState", "BAGGAGE"];
    report.add("replaces a stale context in any case", cases::replaces(driver, names)).await;
    let name = "replaces what the handled message came with";
    report.add(name, cases::replaces_copies(driver)).await;
    if D::KEEPS_CREATION {
        let name = "keeps the context that a message was created in";
        report.add(name, cases::keeps_creation(driver)).await;
    }
    report.add("keeps an unsampled trace unsampled", cases::keeps_unsampled(driver, 1)).await;
    report.add("tells of a root that was not sampled", cases::tells_dropped(driver)).await;
    report.add("carries the trace on after shutdown", cases::after_shutdown(driver)).await;
    report.add("ends once on success", cases::ends_on_success(driver)).await;
    report.add("ends once on an error", cases::ends_on_error(driver)).await;
    if D::CANCELS {
        report.add("ends once on cancellation", cases::ends_on_cancel(driver)).await;
    } else {
        let name = "ends once by the answer when nobody waits";
        report.add(name, cases::ends_unawaited(driver)).await;
    }
    report.add("nests in tracing spans", cases::nests_in_tracing(driver)).await;
    if D::LAYERED {
        report.add("makes one span when applied twice", cases::applied_twice(driver)).await;
        let name = "keeps an unsampled trace unsampled when applied twice";
        report.add(name, cases::keeps_unsampled(driver, 2)).await;
    }
    report.add("isolates 1,000 concurrent messages", cases::isolates(driver)).await;
    report
}
