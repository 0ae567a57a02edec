//! Extraction and injection as [interceptors](tonic::service::Interceptor), for where no layer can
//! be put.
//!
//! An interceptor sees a call before it begins and nothing of it afterwards: neither a status nor the
//! end of a stream, neither a panic nor a caller who left. So these make no spans. They carry the
//! context, and leave the middle of the law to you.
//!
//! ```
//! use throughline_core::InContext;
//! use throughline_tonic::interceptor::{Extracted, extract};
//! use tonic::{Request, Response, Status};
//!
//! async fn place(request: Request<()>) -> Result<Response<()>, Status> {
//!     let context = Extracted::of(&request);
//!     InContext::new(async { Ok(Response::new(())) }, context).await
//! }
//! # let mut request = extract(Request::new(())).unwrap();
//! # drop(place(request));
//! ```

use std::sync::LazyLock;

use opentelemetry::Context;
use throughline_core::Config;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

static CONFIG: LazyLock<Config> =
    LazyLock::new(|| Config::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));

/// The context that a call came with, in the extensions of its request.
#[derive(Clone, Debug)]
pub struct Extracted(Context);

impl Extracted {
    /// The context to handle this call in; an empty one where it brought none, or where
    /// [`extract`] wasn't there.
    #[must_use]
    pub fn of<T>(request: &Request<T>) -> Context {
        request
            .extensions()
            .get::<Self>()
            .map(|Extracted(context)| context.clone())
            .unwrap_or_default()
    }
}

/// Takes the context out of the metadata of a call: for a server.
///
/// Nothing is current for it: the handler runs in it with [`Extracted::of`].
///
/// # Errors
///
/// None: a context that is malformed is counted, and the trace restarts.
pub fn extract(mut request: Request<()>) -> Result<Request<()>, Status> {
    let headers = std::mem::take(request.metadata_mut()).into_headers();
    let context = CONFIG.extract(&headers).context().clone();
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request.extensions_mut().insert(Extracted(context));
    Ok(request)
}

/// Puts the context that is current into the metadata of a call: for a client.
///
/// # Errors
///
/// None: where there is nothing to inject, that is counted.
pub fn inject(mut request: Request<()>) -> Result<Request<()>, Status> {
    let mut headers = std::mem::take(request.metadata_mut()).into_headers();
    Context::map_current(|current| CONFIG.inject(current, &mut headers));
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    Ok(request)
}
