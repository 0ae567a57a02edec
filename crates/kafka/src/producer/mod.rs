//! Where records are sent.

mod callback;
mod context;
mod future;
mod methods;
mod record;
mod span;

pub use callback::{BaseProducer, ThreadedProducer};
pub use context::{TracedContext, TracedProducerContext};
pub use future::{DeliveryFuture, ForwardError, FutureProducer};
