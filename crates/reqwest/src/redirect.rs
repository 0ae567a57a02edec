//! Redirects to where less may go along.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION,
    PROXY_AUTHORIZATION, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{Extensions, HeaderName, Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Next};
use throughline_core::Propagate;

use crate::process::Decides;

/// As many as `reqwest` follows.
const MAX_REDIRECTS: usize = 10;

pub(crate) fn policy(propagate_to: Option<Decides>) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("too many redirects");
        }
        let Some(propagate_to) = &propagate_to else { return attempt.follow() };
        let allowed = attempt.previous().first().map(|first| propagate_to(first));
        match allowed.is_some_and(|allowed| propagate_to(attempt.url()) < allowed) {
            // The middleware goes on from here.
            true => attempt.stop(),
            false => attempt.follow(),
        }
    })
}

/// Runs a request, and goes on where the policy has stopped.
pub(crate) async fn run(
    mut request: Request,
    extensions: &mut Extensions,
    next: Next<'_>,
    propagate_to: &(dyn Fn(&Url) -> Propagate + Send + Sync),
    inject: &(dyn Fn(&mut Request) + Send + Sync),
) -> Result<Response, Error> {
    for _ in 0..=MAX_REDIRECTS {
        inject(&mut request);
        // What it takes to ask again elsewhere: all of it, where its body can be sent twice.
        let again = request.try_clone().ok_or_else(|| Bodiless::of(&request));
        let allowed = propagate_to(request.url());
        let response = next.clone().run(request, extensions).await?;
        let Some(to) = redirected(&response) else { return Ok(response) };
        if propagate_to(&to) >= allowed {
            // The client's own policy has let it be.
            return Ok(response);
        }
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
#[error("more than {MAX_REDIRECTS} redirects to where less of the trace may go along")]
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
    *request.url_mut() = to;
    Some(request)
}
