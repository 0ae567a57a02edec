//! Where records are sent.

mod context;
mod future;
mod span;

pub use context::TracedContext;
pub use future::{DeliveryFuture, ForwardError, FutureProducer};
