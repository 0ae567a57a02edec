//! Redirects, while what goes along is decided by where it goes.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION,
    PROXY_AUTHORIZATION, REFERER, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{Extensions, HeaderName, HeaderValue, Method, StatusCode};
use pin_project_lite::pin_project;
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Next};

use crate::process::Decides;

/// As many as `reqwest` follows.
const MAX_REDIRECTS: usize = 10;

thread_local! {
    /// Whether the policy has stopped the request that is polled here; `None` where no middleware
    /// watches.
    static STOPPED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Follows as `reqwest` does, but leaves each step to a middleware that decides what goes along.
pub(crate) fn policy(propagate_to: Option<Decides>) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("too many redirects");
        }
        let Some(propagate_to) = &propagate_to else { return attempt.follow() };
        if STOPPED.get().is_some() {
            // Each of them, and not only where less may go: the middleware has to know what a
            // request has become on its way.
            STOPPED.set(Some(true));
            return attempt.stop();
        }
        // Nobody would go on from here.
        let allowed = attempt.previous().first().map(|first| propagate_to(first));
        match allowed.is_some_and(|allowed| propagate_to(attempt.url()) < allowed) {
            true => attempt.stop(),
            false => attempt.follow(),
        }
    })
}

pin_project! {
    /// A request whose redirects the policy leaves to us; with its response comes whether it did.
    struct Watched<F> {
        #[pin]
        future: F,
        stopped: bool,
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = (F::Output, bool);

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        /// Puts back what was there, after a panic as well.
        struct Before(Option<bool>);

        impl Drop for Before {
            fn drop(&mut self) {
                STOPPED.set(self.0);
            }
        }

        let this = self.project();
        let before = Before(STOPPED.replace(Some(false)));
        let output = this.future.poll(task);
        *this.stopped |= STOPPED.get() == Some(true);
        drop(before);
        output.map(|output| (output, *this.stopped))
    }
}

/// Runs a request, and goes on where the policy has stopped.
pub(crate) async fn run(
    mut request: Request,
    extensions: &mut Extensions,
    next: Next<'_>,
    inject: &(dyn Fn(&mut Request) + Send + Sync),
) -> Result<Response, Error> {
    for _ in 0..=MAX_REDIRECTS {
        inject(&mut request);
        // What it takes to ask again elsewhere: all of it, where its body can be sent twice.
        let again = request.try_clone().ok_or_else(|| Bodiless::of(&request));
        let future = next.clone().run(request, extensions);
        let (response, stopped) = Watched { future, stopped: false }.await;
        let response = response?;
        // A client with another policy has had its own say.
        let Some(to) = redirected(&response).filter(|_| stopped) else { return Ok(response) };
        match follow(again, response.status(), response.url(), to) {
            Some(following) => request = following,
            None => return Ok(response),
        }
    }
    Err(Error::middleware(TooManyRedirects))
}

/// A request whose body can't be sent again.
struct Bodiless(Request);

impl Bodiless {
    fn of(request: &Request) -> Self {
        let mut bodiless = Request::new(request.method().clone(), request.url().clone());
        *bodiless.headers_mut() = request.headers().clone();
        *bodiless.version_mut() = request.version();
        *bodiless.timeout_mut() = request.timeout().copied();
        Bodiless(bodiless)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_REDIRECTS} redirects")]
struct TooManyRedirects;

/// Where a response sends its reader.
fn redirected(response: &Response) -> Option<Url> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    response.url().join(std::str::from_utf8(location.as_bytes()).ok()?).ok()
}

/// The request that a redirect asks for, by the rules of the Fetch standard that `reqwest` follows.
fn follow(
    again: Result<Request, Bodiless>,
    status: StatusCode,
    from: &Url,
    to: Url,
) -> Option<Request> {
    let (mut request, has_body) = match again {
        Ok(request) => (request, true),
        Err(Bodiless(request)) => (request, false),
    };
    let becomes_get = match status.as_u16() {
        303 => *request.method() != Method::HEAD,
        301 | 302 => *request.method() == Method::POST,
        _ => false,
    };
    if becomes_get {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
            request.headers_mut().remove(name);
        }
    } else if !has_body {
        return None;
    }
    let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    if place(from) != place(&to) {
        let cookie2 = HeaderName::from_static("cookie2");
        for name in [AUTHORIZATION, COOKIE, cookie2, PROXY_AUTHORIZATION, WWW_AUTHENTICATE] {
            request.headers_mut().remove(name);
        }
    }
    if let Some(referer) = referer(from, &to) {
        request.headers_mut().insert(REFERER, referer);
    }
    *request.url_mut() = to;
    Some(request)
}

/// Where a reader comes from, as `reqwest` tells it: nothing to plain HTTP after HTTPS, and neither
/// user nor password.
fn referer(from: &Url, to: &Url) -> Option<HeaderValue> {
    if to.scheme() == "http" && from.scheme() == "https" {
        return None;
    }
    let mut from = from.clone();
    from.set_fragment(None);
    from.set_username("").ok()?;
    from.set_password(None).ok()?;
    from.as_str().parse().ok()
}
