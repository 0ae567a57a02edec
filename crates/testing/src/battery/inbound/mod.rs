//! The battery for boundaries that take messages in.

mod bench;
mod carrier;
mod context;
mod layers;
mod life;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::{Handler, Headers, Report, Setup};

/// How the battery drives a boundary that takes messages in.
///
/// All a driver does is to put one message through the boundary as it is used in earnest.
pub trait Inbound: Send + Sync + 'static {
    /// The boundary as it is built from its settings: a layer, a consumer.
    type Boundary: Send + Sync + 'static;

    /// The kind of the boundary's spans: SERVER or CONSUMER.
    const KIND: SpanKind;

    /// Whether the boundary is a layer that may be applied twice by mistake, and makes one span
    /// all the same.
    const LAYERED: bool = true;

    /// Whether a message can carry a header twice, so that two of `tracestate` and `baggage` are one
    /// list, and of two of `traceparent` nobody can say which holds. Kafka's last one holds, and SQS
    /// has each once.
    const DOUBLES: bool = true;

    /// How long the battery waits for what should happen at once.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Builds the boundary.
    fn boundary(&self, setup: Setup) -> impl Future<Output = Self::Boundary> + Send;

    /// Delivers one message through `boundary` and runs `handler` in its process phase, with the
    /// error of the handler as the failure of the message. Returns when the message is done:
    /// answered, and its answer read to the end.
    ///
    /// To cancel a message, the battery drops this future. A panic of the handler may come out, or
    /// stay in the boundary.
    fn deliver(
        &self,
        boundary: &Self::Boundary,
        headers: Headers,
        handler: Handler,
    ) -> impl Future<Output = ()> + Send;
}

/// Runs every case for a boundary that takes messages in; in a runtime of several threads.
pub async fn inbound<D: Inbound>(driver: D) -> Report {
    let driver = &Arc::new(driver);
    let mut report = Report::new::<D>();
    report.add("continues the caller's trace", context::continues(driver)).await;
    report.add("starts a trace where nothing came", context::starts(driver)).await;
    report.add("restarts on a malformed traceparent", context::restarts(driver)).await;
    report.add("reads headers in any case", carrier::minds_no_case(driver)).await;
    if D::DOUBLES {
        report.add("joins headers that come twice", carrier::joins(driver)).await;
    }
    report.add("tells a propagator the names", carrier::tells_names(driver)).await;
    report.add("links at a public edge", context::links(driver)).await;
    report.add("ignores an untrusted caller", context::ignores(driver)).await;
    report.add("keeps an unsampled trace unsampled", context::keeps_unsampled(driver)).await;
    report.add("starts from an empty context", context::starts_empty(driver)).await;
    report.add("marks a root that should have had a parent", context::expects_parent(driver)).await;
    report.add("carries the trace on after shutdown", context::after_shutdown(driver)).await;
    report.add("keeps its context current in the handler", life::stays_current(driver)).await;
    report.add("ends once on success", life::ends_on_success(driver)).await;
    report.add("ends once on an error", life::ends_on_error(driver)).await;
    report.add("ends once on a panic", life::ends_on_panic(driver)).await;
    report.add("ends once on cancellation", life::ends_on_cancel(driver)).await;
    report.add("nests tracing spans", life::nests_tracing(driver)).await;
    report.add("hands out its span", life::hands_out(driver)).await;
    if D::LAYERED {
        report.add("makes one span when applied twice", layers::applied_twice(driver)).await;
        let name = "keeps an unsampled trace unsampled when applied twice";
        report.add(name, layers::keeps_unsampled(driver)).await;
        let name = "trusts nobody whom its outer layer refused";
        report.add(name, layers::refuses(driver)).await;
    }
    report.add("isolates 1,000 concurrent messages", life::isolates(driver)).await;
    report
}
