use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use throughline_core::{BoundarySpan, End, semconv};

use super::ResponseBody;

pin_project! {
    /// The response of an [`HttpServerService`](super::HttpServerService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        pub(super) future: Option<F>,
        // Moves on to the body with the answer. What `Process` of the core would do, without the
        // way of the answer through it.
        pub(super) span: Option<BoundarySpan>,
        pub(super) is_head: bool,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(span) = this.span
                && this.future.is_some()
            {
                span.enter(|| this.future.set(None));
            }
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(future), Some(span)) = (this.future.as_mut().as_pin_mut(), this.span.as_mut())
        else {
            // Polled after it was ready, which the contract of `Future` leaves to us.
            return Poll::Pending;
        };
        let entered = span.entered();
        let result = future.poll(task);
        if result.is_ready() {
            this.future.set(None);
        }
        span.exit(entered);
        let result = ready!(result);
        match this.span.take() {
            Some(span) => Poll::Ready(answer(result, span, *this.is_head)),
            None => Poll::Pending,
        }
    }
}

#[inline]
fn answer<B: Body, E>(
    result: Result<Response<B>, E>,
    mut span: BoundarySpan,
    is_head: bool,
) -> Result<Response<ResponseBody<B>>, E> {
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            span.end(End::failed_with::<E>());
            return Err(error);
        }
    };
    let status = response.status();
    let mut length = None;
    if span.is_recording() {
        let exact = response.body().size_hint().exact();
        length = exact.or_else(|| content_length(&response));
        span.set_attribute(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
        // A body that has something to come needn't be asked whether it is at its end.
        let is_over = || exact.is_none_or(|left| left == 0) && response.body().is_end_stream();
        if is_head || has_no_body(status) || is_over() {
            // Servers don't poll such a body: its drop must not look like a caller who left.
            span.finish(end_of(status));
        }
    }
    Ok(response.map(|body| ResponseBody::new(body, span, status, length)))
}

/// What the head promises of a body that doesn't know its own length, as a proxy's doesn't.
fn content_length<B>(response: &Response<B>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[inline]
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How a response of this status ends once its body is through.
#[inline]
pub(super) fn end_of(status: StatusCode) -> End {
    if status.is_server_error() { End::failed(status.as_str().to_owned()) } else { End::Completed }
}
