use std::pin::Pin;
use std::task::{Context as Task, Poll};

use bytes::Buf;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use throughline_core::rpc::Code;
use throughline_core::{BoundarySpan, End};

use super::exchange::{Exchange, Rest, UNKNOWN, abandoned, end_of, graded};

pin_project! {
    /// The body of a response, with the exchange's context current in every poll and in its drop.
    /// The span ends where the body does.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<B>,
        span: BoundarySpan,
        rest: Rest,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.inner.is_some() {
                let span = this.span;
                span.enter(|| this.inner.set(None));
                let Rest { left, status, exchange } = *this.rest;
                if exchange.is_rpc() {
                    abandoned(span);
                } else if left == 0 && !span.has_panicked() {
                    // A server that has sent every byte it promised doesn't ask for the end.
                    span.finish(end_of(status, exchange));
                }
            }
        }
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, span: BoundarySpan, rest: Rest) -> Self {
        ResponseBody { inner: Some(inner), span, rest }
    }

    /// A body whose span somebody else holds.
    pub(super) fn untouched(inner: B) -> Self {
        let exchange = Exchange::Served { is_head: false };
        let rest = Rest { left: UNKNOWN, status: StatusCode::OK, exchange };
        ResponseBody { inner: Some(inner), span: BoundarySpan::apart(), rest }
    }
}

/// For layers outside that answer without asking the service.
impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        ResponseBody::untouched(B::default())
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let span = this.span;
        let entered = span.entered();
        let frame = inner.as_mut().poll_frame(task);
        let is_over = match &frame {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(_))) => inner.is_end_stream(),
            Poll::Ready(_) => true,
        };
        if is_over {
            // Nothing more will come out of it: it is dropped while its context is current.
            this.inner.set(None);
        }
        span.exit(entered);
        if span.is_observed()
            && let Poll::Ready(frame) = &frame
        {
            let Rest { left, status, exchange } = this.rest;
            if let Some(measure) = span.measure()
                && let Some(Ok(frame)) = frame
            {
                measure.count(frame.data_ref().map_or(0, |data| data.remaining() as u64));
            }
            match frame {
                Some(Err(_)) => span.finish(End::failed_with::<B::Error>()),
                frame if exchange.is_rpc() => {
                    let frame = frame.as_ref().and_then(|frame| frame.as_ref().ok());
                    heard(frame, is_over, this.rest, span);
                }
                _ if is_over => span.finish(end_of(*status, *exchange)),
                // The last frame there is: a server that has sent it asks for no end.
                Some(Ok(frame)) if frame.is_trailers() => {
                    span.finish(end_of(*status, *exchange));
                }
                Some(Ok(frame)) if *left != UNKNOWN => {
                    let sent = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    *left = left.saturating_sub(sent);
                }
                _ => {}
            }
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

/// Ends the span of a call where its status stands: in the trailers, which are the last frame.
#[inline(never)]
fn heard<D>(frame: Option<&Frame<D>>, is_over: bool, rest: &Rest, span: &mut BoundarySpan) {
    let Rest { status, exchange, .. } = *rest;
    let trailers = frame.and_then(Frame::trailers_ref);
    if trailers.is_none() && !is_over {
        return;
    }
    let of_http = || (status != StatusCode::OK).then(|| Code::of_http(status));
    let code = trailers.and_then(Code::of).or_else(of_http).unwrap_or(Code::Unknown);
    graded(code, exchange, trailers, span);
}
