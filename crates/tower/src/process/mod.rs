//! The life of a request's span.

mod body;
mod describe;
mod framework;
mod future;
mod layer;
mod service;
mod settings;

pub use body::ResponseBody;
pub use framework::{Framework, NoFramework};
pub use future::ResponseFuture;
pub use layer::{HttpServerLayer, ServerLayer};
pub use service::HttpServerService;
pub use settings::RequestInfo;
