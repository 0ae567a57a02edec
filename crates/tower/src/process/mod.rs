//! The life of an exchange's span.

mod body;
mod client;
mod describe;
mod exchange;
mod forwarded;
mod framework;
mod future;
mod layer;
mod measure;
mod more;
mod service;
mod settings;

pub use body::ResponseBody;
pub use client::{ClientLayer, ClientService};
pub use framework::{Framework, NoFramework};
pub use future::ResponseFuture;
pub use layer::{HttpServerLayer, ServerLayer};
pub use more::ResponseInfo;
pub use service::HttpServerService;
pub use settings::RequestInfo;

pub(crate) use more::More;
