//! The life of a call's spans.

mod end;
mod interceptor;
#[cfg(feature = "sns")]
mod publish;
mod receive;
mod send;
mod settle;
mod span;

pub use interceptor::Interceptor;
