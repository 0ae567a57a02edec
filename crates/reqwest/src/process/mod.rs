//! The life of a request's span.

mod body;
mod end;
mod measure;
mod middleware;

pub use middleware::ClientMiddleware;
pub(crate) use middleware::Decides;
