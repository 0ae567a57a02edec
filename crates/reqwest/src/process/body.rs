//! The body of a response that its span ends with.

use std::pin::Pin;
use std::task::{Context as Task, Poll};

use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Response, ResponseBuilderExt};
use throughline_core::BoundarySpan;

use super::end;

/// The response, with a span that ends with its body.
pub(super) fn ends_with(response: Response, span: BoundarySpan) -> Response {
    if let Some(measure) = span.measure() {
        measure.start_counting();
    }
    let url = response.url().clone();
    let (mut parts, inner) = http::Response::<reqwest::Body>::from(response).into_parts();
    // The conversion leaves the URL behind, and only a builder puts one in.
    if let Ok(bearer) = http::Response::builder().url(url).body(()) {
        parts.extensions.extend(bearer.into_parts().0.extensions);
    }
    let (status, left) = (parts.status, inner.size_hint().exact());
    let mut body = ResponseBody { inner: Some(inner), span, status, left };
    if body.is_end_stream() {
        body.span.finish(end::of_status(status));
    }
    Response::from(http::Response::from_parts(parts, reqwest::Body::wrap(body)))
}

struct ResponseBody {
    inner: Option<reqwest::Body>,
    span: BoundarySpan,
    status: StatusCode,
    /// How many bytes are left, where the length is known.
    left: Option<u64>,
}

impl Body for ResponseBody {
    type Data = bytes::Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let frame = this.span.enter(|| Pin::new(&mut *inner).poll_frame(task));
        let Poll::Ready(found) = &frame else { return Poll::Pending };
        match found {
            Some(Err(error)) => this.span.finish(end::of_error(error)),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.left = this.left.map(|left| left.saturating_sub(bytes));
                if let Some(measure) = this.span.measure() {
                    measure.count(bytes);
                }
                if inner.is_end_stream() {
                    this.span.finish(end::of_status(this.status));
                }
            }
            None => this.span.finish(end::of_status(this.status)),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.span.enter(|| drop(inner));
        // Whoever has read all that was promised needn't ask for the end.
        if self.left == Some(0) && !self.span.has_panicked() {
            self.span.finish(end::of_status(self.status));
        }
    }
}
