//! The HTTP client of the exporter, which remembers why a request failed.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

use crate::error::InitError;

/// The cause of the last request that got no answer.
///
/// The OTLP crate reduces it to "network error", and tells the rest to a log that most builds
/// leave out: "connection refused" is what one needs to read.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, cause: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }
}

#[derive(Debug)]
pub(super) struct Client {
    inner: reqwest::Client,
    trouble: Trouble,
}

impl Client {
    /// A client for this URL, and the URL without user and password: they go into a header.
    ///
    /// In the requests that the OTLP crate makes they would stay in the address, where no collector
    /// gets to see them, and whoever reads the log of hyper at `DEBUG` does.
    pub(super) fn new(url: &str) -> Result<(Self, String), InitError> {
        let failed = |error: reqwest::Error| InitError::Client(error.without_url());
        let any = reqwest::Client::builder().build().map_err(failed)?;
        let request = any.post(url).build().map_err(failed)?;
        let client = reqwest::Client::builder()
            // Where the variables have headers, those hold.
            .default_headers(request.headers().clone())
            // A redirected POST arrives as a GET, or hands our headers to somebody else.
            .redirect(reqwest::redirect::Policy::none());
        let inner = client.build().map_err(failed)?;
        Ok((Self { inner, trouble: Trouble::default() }, request.url().to_string()))
    }

    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }
}

impl HttpClient for Client {
    // The signature that `async_trait` makes of it.
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        Box::pin(async move {
            let result = self.inner.send_bytes(request).await;
            self.trouble.set(result.as_ref().err().map(|error| deepest(error.as_ref())));
            result
        })
    }
}

/// The last cause: the ones above it only say that a request failed, with a URL that may hold
/// a password.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    // reqwest's own hyper: another version would only give its words instead of these.
    if cause.downcast_ref::<hyper::Error>().is_some_and(is_no_http1) {
        return "what answers there does not speak HTTP/1; is it the collector's port for gRPC \
                (4317 by default)? OTLP over HTTP has one of its own, 4318 by default"
            .to_owned();
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_builder() => "the request could not be built".to_owned(),
        Some(_) => "the request failed".to_owned(),
        None => cause.to_string(),
    }
}

/// A server of HTTP/2 sends its settings at once: they come in place of an answer, or before there
/// was a question, which hyper has no other name for than its words.
fn is_no_http1(error: &hyper::Error) -> bool {
    error.is_parse() || error.to_string() == "received unexpected message from connection"
}
