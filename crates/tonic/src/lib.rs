//! Trace context across [`tonic`] servers and clients: one layer on either side, and every call has
//! its span, from its start to the end of its streams.
//!
//! ```no_run
//! use throughline_tonic::{Channel, ClientLayer, ServerLayer};
//! use tonic::transport::{Endpoint, Server};
//! use tower::ServiceBuilder;
//!
//! # type OrdersClient<C> = std::marker::PhantomData<C>;
//! # async fn run(routes: tonic::service::Routes) -> Result<(), tonic::transport::Error> {
//! // Clients: a channel that has a name, and fits into a struct.
//! struct App {
//!     orders: OrdersClient<Channel>,
//! }
//! let endpoint = Endpoint::from_static("http://orders.internal:50051");
//! let layer = ClientLayer::for_endpoint(&endpoint);
//! let channel: Channel = ServiceBuilder::new().layer(layer).service(endpoint.connect_lazy());
//!
//! // Servers.
//! Server::builder()
//!     .layer(ServerLayer::new())
//!     .add_routes(routes)
//!     .serve(([0, 0, 0, 0], 50051).into())
//!     .await
//! # }
//! ```
//!
//! # The end of the span
//!
//! The status of a call stands in its trailers, or in the head of an answer that has nothing else.
//! `rpc.status_code` tells it as a word.
//!
//! | what happens | server's span | client's span |
//! |---|---|---|
//! | `OK` | unset | unset |
//! | `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS` | Error | Error |
//! | any other status | unset | Error |
//! | a stream ends without a status, or breaks off | Error | Error |
//! | no answer at all | | Error, the type of the channel's error |
//! | the caller leaves, or drops a stream that isn't at its end | unset, `CANCELLED`, `error.type=cancelled` | the same |
//! | the handler panics | Error, `error.type=panic` | as the answer says |
//!
//! The message of an error is the description of its span's status.
//!
//! # Names
//!
//! A span is named after its method, `orders.v1.Orders/Place`. A caller can make up as many as he
//! likes: a method is known once the server has answered it by a status of its own, and not by
//! `UNIMPLEMENTED`, or by what an interceptor says who lets nobody in. Until then its span is named
//! `grpc`, with `_OTHER` for the method. Given a list by [`methods`](HttpServerLayer::methods), of a
//! descriptor set for instance (`methods_of`, with the feature `descriptor`), it knows those and no
//! others.
//!
//! # On one port with HTTP
//!
//! A router that has both needs one layer: every `ServerLayer`, axum's as well, tells calls of gRPC
//! from other requests by their `content-type`.
//!
//! # Where no layer can be put
//!
//! [`interceptor`] has the two halves of the law for those who can use nothing else, and says what
//! they don't see.
#![forbid(unsafe_code)]

#[cfg(feature = "descriptor")]
mod descriptor;
pub mod interceptor;
mod process;

#[cfg(feature = "descriptor")]
pub use descriptor::{DescriptorError, methods_of};
pub use process::{Channel, ClientLayer, ServerLayer, Tonic};
pub use throughline_tower::{
    Boundary, ClientService, Failure, HttpServerLayer, HttpServerService, Propagate, RequestInfo,
    ResponseBody, ResponseInfo, Trust, boundary,
};
