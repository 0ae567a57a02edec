//! Nobody can make what a traced producer is made of, to queue a record without a span.

use rdkafka::client::DefaultClientContext;
use throughline_kafka::{InFlight, Queued, TracedContext, TracedProducerContext};

fn contexts() {
    let _ = TracedContext::new(DefaultClientContext);
    let _ = TracedProducerContext::<_>::new(DefaultClientContext);
}

fn main() {}
