//! A unary call of gRPC through one layer, of a server or of a client, without a socket.
//!
//! What is behind the layer is a service of tower that answers as tonic does, with a message and
//! with the status in the trailers: tonic's own work is none of the layer's.

use crate::spans::{self, Seen};
use crate::{Expect, Mode, PARENT_SPAN_ID, TRACE_ID};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty};
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use std::task::{Context as Task, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// What the service behind the layer saw, of a `check`: the current context of a server's, the
/// injected one of a client's.
static SEEN: OnceLock<Mutex<Vec<Seen>>> = OnceLock::new();

/// The method that is called.
pub const METHOD: &str = "shop.v1.Orders/Find";

/// A message, and then the trailers.
#[derive(Debug)]
pub struct Answer(u8);

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        Poll::Ready(match self.0 {
            1 => Some(Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 42])))),
            2 => {
                let mut trailers = HeaderMap::with_capacity(1);
                let status = HeaderName::from_static("grpc-status");
                trailers.insert(status, HeaderValue::from_static("0"));
                Some(Ok(Frame::trailers(trailers)))
            }
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0 >= 2
    }
}

/// What is behind the layer.
#[derive(Clone, Debug)]
pub struct Orders {
    side: SpanKind,
}

impl Service<Request<Empty<Bytes>>> for Orders {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Answer>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        if let Some(seen) = SEEN.get() {
            let context = match self.side {
                SpanKind::Server => {
                    let context = Context::current();
                    let span = context.span();
                    let context = span.span_context();
                    (context.trace_id(), context.span_id(), context.trace_flags())
                }
                _ => {
                    let sent = request.headers().get("traceparent");
                    let sent = sent.and_then(|sent| crate::traceparent(sent.to_str().ok()?).ok());
                    sent.unwrap_or((TraceId::INVALID, SpanId::INVALID, TraceFlags::default()))
                }
            };
            seen.lock().expect("nothing panics in here").push(context);
        }
        std::hint::black_box(&request);
        let mut response = Response::new(Answer(0));
        *response.version_mut() = Version::HTTP_2;
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        ready(Ok(response))
    }
}

struct Template {
    uri: Uri,
    headers: HeaderMap,
}

impl Template {
    fn new(side: &SpanKind, mode: Mode) -> Self {
        let mut headers = HeaderMap::new();
        let mut header = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).expect("it is visible"));
        };
        header("content-type", "application/grpc");
        header("te", "trailers");
        header("user-agent", "tonic/0.14.9");
        if *side == SpanKind::Server {
            match mode {
                Mode::Sampled => {
                    header("traceparent", &format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-01"))
                }
                Mode::Unsampled => {
                    header("traceparent", &format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-00"));
                }
                Mode::Dropped => {}
            }
        }
        let uri = format!("http://orders.internal:8080/{METHOD}").parse();
        Self { uri: uri.expect("it is a URI"), headers }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

async fn call<S, B>(service: &mut S, template: &Template, requests: u64)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body + Unpin,
{
    for _ in 0..requests {
        let Ok(response) = service.call(template.request()).await;
        let mut body = response.into_body();
        while !body.is_end_stream() {
            match body.frame().await {
                Some(frame) => drop(std::hint::black_box(frame)),
                None => break,
            }
        }
    }
}

/// The whole `main` of a variant: the layer that `make` makes is put around the service, on the
/// side that the kind of its spans names.
pub fn main<L, B>(
    side: SpanKind,
    expect: Expect,
    make: impl FnOnce(&SdkTracerProvider) -> L,
) -> ExitCode
where
    L: Layer<Orders>,
    L::Service: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body + Unpin,
{
    crate::exit(run(side, expect, make))
}

fn run<L, B>(
    side: SpanKind,
    expect: Expect,
    make: impl FnOnce(&SdkTracerProvider) -> L,
) -> Result<(), String>
where
    L: Layer<Orders>,
    L::Service: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body + Unpin,
{
    let (mode, command) = crate::arguments()?;
    let runtime = crate::runtime()?;
    let (provider, kept) = spans::provider(mode);
    let mut service = make(&provider).layer(Orders { side: side.clone() });
    let template = Template::new(&side, mode);
    let _current = (side == SpanKind::Client).then(|| spans::parent(mode).attach());
    // A server knows a method once it has answered it.
    runtime.block_on(call(&mut service, &template, 1));
    if matches!(command, crate::Command::Check) {
        kept.get_or_init(Mutex::default);
        SEEN.get_or_init(Mutex::default);
    }
    crate::execute(
        command,
        |n| runtime.block_on(call(&mut service, &template, n)),
        |n| match expect {
            Expect::Nothing => Ok(()),
            Expect::Span(name) => {
                let seen = SEEN.get().ok_or("nothing was seen")?;
                let seen = seen.lock().map_err(|e| e.to_string())?;
                spans::verify(mode, side.clone(), name, &kept, &seen, n)
            }
            Expect::Own(check) => check(mode, n),
        },
    )
}
