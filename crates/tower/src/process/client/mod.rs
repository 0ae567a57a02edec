//! The life of a span whose request goes out.

mod describe;
mod layer;
mod measure;
mod service;

pub use layer::ClientLayer;
pub use service::ClientService;
