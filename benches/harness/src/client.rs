//! A request through a reqwest-middleware client that is answered without a socket.

use crate::spans::{self, Seen};
use crate::{Expect, Mode};
use async_trait::async_trait;
use http::{Extensions, HeaderMap, HeaderValue, Method};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::{Body, Request, Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};

/// What would have left the process, of a `check`.
static SENT: OnceLock<Mutex<Vec<HeaderMap>>> = OnceLock::new();

/// The end of the chain.
struct Canned;

#[async_trait]
impl Middleware for Canned {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        if let Some(sent) = SENT.get() {
            sent.lock().expect("nothing panics in here").push(request.headers().clone());
        }
        std::hint::black_box(&request);
        Ok(Response::from(http::Response::new(Body::from(""))))
    }
}

/// The context in `traceparent`, which must be there once and well-formed.
pub fn sent() -> std::result::Result<Vec<Seen>, String> {
    let sent = SENT.get().ok_or("nothing was sent")?.lock().map_err(|e| e.to_string())?;
    sent.iter()
        .map(|headers| {
            let values: Vec<_> = headers.get_all("traceparent").iter().collect();
            let [value] = values[..] else {
                return Err(format!("one traceparent expected: {headers:?}"));
            };
            crate::traceparent(value.to_str().map_err(|e| e.to_string())?)
        })
        .collect()
}

async fn call(client: &ClientWithMiddleware, url: &Url, headers: &HeaderMap, requests: u64) {
    for _ in 0..requests {
        let mut request = Request::new(Method::GET, url.clone());
        *request.headers_mut() = headers.clone();
        let response = client.execute(request).await.expect("the canned answer can't fail");
        drop(std::hint::black_box(response));
    }
}

/// The whole `main` of a variant: `middleware` adds it to the client.
pub fn main(
    expect: Expect,
    middleware: impl FnOnce(ClientBuilder, &SdkTracerProvider, Mode) -> ClientBuilder,
) -> ExitCode {
    crate::exit(run(expect, middleware))
}

fn run(
    expect: Expect,
    middleware: impl FnOnce(ClientBuilder, &SdkTracerProvider, Mode) -> ClientBuilder,
) -> std::result::Result<(), String> {
    let (mode, command) = crate::arguments()?;
    let runtime = crate::runtime()?;
    let (provider, kept) = spans::provider(mode);
    if matches!(command, crate::Command::Check) {
        kept.get_or_init(Mutex::default);
        SENT.get_or_init(Mutex::default);
    }
    let client = ClientBuilder::new(reqwest::Client::new());
    let client = middleware(client, &provider, mode).with(Canned).build();
    let url: Url = "http://orders.internal:8080/v1/orders/42?x=1".parse().expect("it is a URL");
    let headers = HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("*/*"))]);
    let _current = spans::parent(mode).attach();
    crate::execute(
        command,
        |n| runtime.block_on(call(&client, &url, &headers, n)),
        |n| match expect {
            Expect::Nothing => {
                let sent =
                    SENT.get().ok_or("nothing was sent")?.lock().map_err(|e| e.to_string())?;
                if sent.len() as u64 == n { Ok(()) } else { Err("not all were sent".to_owned()) }
            }
            Expect::Span(name) => spans::verify(mode, SpanKind::Client, name, &kept, &sent()?, n),
            Expect::Own(check) => check(mode, n),
        },
    )
}
