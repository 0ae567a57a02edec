//! The life of a call's spans.

mod end;
mod interceptor;
mod receive;
mod send;
mod settle;
mod span;

pub use interceptor::Interceptor;
