use std::pin::Pin;
use std::task::{Context as Task, Poll};

use bytes::Buf;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use throughline_core::{Boundary, BoundarySpan, End};

use super::future::end_of;

pin_project! {
    /// The body of a response, with the request's context current in every poll and in its drop.
    /// The span ends where the body does.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<B>,
        span: BoundarySpan,
        status: StatusCode,
        // How many bytes are left of a body whose length is known.
        left: Option<u64>,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.inner.is_some() {
                this.span.enter(|| this.inner.set(None));
                if *this.left == Some(0) {
                    // A server that has sent every byte it promised doesn't ask for the end.
                    this.span.finish(end_of(*this.status));
                }
            }
        }
    }
}

impl<B: Body> ResponseBody<B> {
    /// A body of this length, if one is known and anybody wants to know.
    pub(super) fn new(
        inner: B,
        span: BoundarySpan,
        status: StatusCode,
        length: Option<u64>,
    ) -> Self {
        ResponseBody { inner: Some(inner), span, status, left: length }
    }
}

/// For layers outside that answer without asking the service.
impl<B: Body + Default> Default for ResponseBody<B> {
    fn default() -> Self {
        let nobody = BoundarySpan::join(&Boundary::default());
        ResponseBody::new(B::default(), nobody, StatusCode::OK, None)
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
        let entered = this.span.entered();
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
        this.span.exit(entered);
        if this.span.is_recording() {
            match &frame {
                Poll::Ready(Some(Err(_))) => this.span.finish(End::failed_with::<B::Error>()),
                Poll::Ready(_) if is_over => this.span.finish(end_of(*this.status)),
                Poll::Ready(Some(Ok(frame))) => {
                    if let (Some(left), Some(data)) = (this.left.as_mut(), frame.data_ref()) {
                        *left = left.saturating_sub(data.remaining() as u64);
                    }
                }
                Poll::Ready(None) | Poll::Pending => {}
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
