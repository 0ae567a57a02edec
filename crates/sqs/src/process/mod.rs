//! The life of the spans: of a call, and of a message that is processed.

mod deliveries;
mod delivery;
mod end;
mod interceptor;
mod message;
mod no_room;
#[cfg(feature = "sns")]
mod publish;
mod receive;
mod send;
mod settle;
mod span;

pub use deliveries::Deliveries;
pub use delivery::Delivery;
pub use interceptor::Interceptor;
pub use message::{Message, OwnedMessage};

pub(crate) use delivery::Handled;
#[cfg(feature = "lambda")]
pub(crate) use delivery::tell_failure;
