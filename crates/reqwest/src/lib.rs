//! Trace context out of a [`reqwest`] client: one middleware, and every request carries the trace
//! and has its span.
//!
//! ```no_run
//! use throughline_reqwest::ClientMiddleware;
//!
//! # async fn run() -> Result<(), reqwest_middleware::Error> {
//! let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
//!     .with(ClientMiddleware::new())
//!     .build();
//! let answer = http.get("http://orders.internal:8080/orders/42").send().await?;
//! # let _ = answer;
//! # Ok(()) }
//! ```
//!
//! Put it last, inside a retry middleware: then each attempt has a span of its own, carries that
//! span's context, and from the second on says by `http.request.resend_count` which one it is.
//!
//! A request whose extensions have a [`UrlTemplate`] is named after it:
//! `http.get(url).with_extension(UrlTemplate::new("/orders/{id}"))`.
//!
//! For a plain client, that of generated code for one, there are [`inject`] and [`InjectContext`]:
//! they carry the trace, and make no span.
//!
//! # The end of the span
//!
//! | what happens | status | `error.type` |
//! |---|---|---|
//! | the head of a response, status below 400 | unset | |
//! | the head of a response, status 400 or above | Error | the status code |
//! | no response | Error | `connect`, `timeout`, `redirect`, `body`, … |
//! | the request is dropped: the caller has given up | unset | `cancelled` |
//!
//! With [`end_with_body`](ClientMiddleware::end_with_body) it ends with the body instead.
//!
//! # What is not told
//!
//! User and password of a URL and the values of the query keys that the semantic conventions list
//! as credentials are replaced by `REDACTED`. No header is recorded.
//!
//! # What goes along
//!
//! `traceparent`, `tracestate` and `baggage` are headers of the request: all of them, unless
//! [`ClientMiddleware::propagate_to`] says less for an address. A redirect that the client follows
//! takes them along to wherever it leads; with the middleware's
//! [`redirect_policy`](ClientMiddleware::redirect_policy) one that leads to where less may go is the
//! answer.
#![forbid(unsafe_code)]

mod inject;
mod process;
mod raw;
mod redirect;

pub use process::ClientMiddleware;
pub use raw::{InjectContext, inject};
pub use throughline_core::Propagate;
pub use throughline_core::http::UrlTemplate;
