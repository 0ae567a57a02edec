//! `GET /users/{id}` through one axum router, as hyper would call it.

use crate::spans::{self, Seen};
use crate::{Expect, Mode, PARENT_SPAN_ID, TRACE_ID};
use axum::{Router, body::Body, routing::get};
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use tower_service::Service as _;

/// What the handler saw, of a `check`.
static SEEN: OnceLock<Mutex<Vec<Seen>>> = OnceLock::new();

async fn user() -> &'static str {
    if let Some(seen) = SEEN.get() {
        let context = Context::current();
        let span = context.span();
        let context = span.span_context();
        let context = (context.trace_id(), context.span_id(), context.trace_flags());
        seen.lock().expect("nothing panics in here").push(context);
    }
    "hello, user"
}

/// The parts of a request with owned values, as they come off the wire.
struct Template {
    uri: Uri,
    headers: HeaderMap,
}

impl Template {
    fn new(mode: Mode) -> Self {
        let mut headers = HeaderMap::new();
        let mut header = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).expect("it is visible"));
        };
        header("host", "api.example.com:8080");
        header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) throughline-benches/1.0");
        match mode {
            Mode::Sampled => header("traceparent", &format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-01")),
            Mode::Unsampled => header("traceparent", &format!("00-{TRACE_ID}-{PARENT_SPAN_ID}-00")),
            Mode::Dropped => {}
        }
        Self { uri: Uri::from_static("/users/42"), headers }
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

async fn serve(router: &mut Router, template: &Template, requests: u64) {
    for _ in 0..requests {
        let response = match router.call(template.request()).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        // As hyper writes a response: frame by frame until it says that it ended.
        let mut body = response.into_body();
        while !body.is_end_stream() {
            match body.frame().await {
                Some(frame) => drop(std::hint::black_box(frame)),
                None => break,
            }
        }
    }
}

/// The whole `main` of a variant: `layer` puts it around the router.
pub fn main(expect: Expect, layer: impl FnOnce(Router, &SdkTracerProvider) -> Router) -> ExitCode {
    crate::exit(run(expect, layer))
}

fn run(
    expect: Expect,
    layer: impl FnOnce(Router, &SdkTracerProvider) -> Router,
) -> Result<(), String> {
    let (mode, command) = crate::arguments()?;
    let runtime = crate::runtime()?;
    let _entered = runtime.enter();
    let (provider, kept) = spans::provider(mode);
    if matches!(command, crate::Command::Check) {
        kept.get_or_init(Mutex::default);
        SEEN.get_or_init(Mutex::default);
    }
    let router = Router::new().route("/users/{id}", get(user));
    // The state makes the handlers into routes now, as `axum::serve` does, and not
    // at each call.
    let mut router: Router = layer(router, &provider).with_state(());
    let template = Template::new(mode);
    crate::execute(
        command,
        |n| runtime.block_on(serve(&mut router, &template, n)),
        |n| {
            let seen = SEEN.get().ok_or("nothing was seen")?.lock().map_err(|e| e.to_string())?;
            match expect {
                Expect::Nothing if seen.len() as u64 == n => Ok(()),
                Expect::Nothing => Err("the handler wasn't called".to_owned()),
                Expect::Span(name) => spans::verify(mode, SpanKind::Server, name, &kept, &seen, n),
                Expect::Own(check) => check(mode, n),
            }
        },
    )
}
