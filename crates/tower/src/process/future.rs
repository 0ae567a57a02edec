use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use throughline_core::{BoundarySpan, End};

use super::ResponseBody;
use super::exchange::{Aside, Exchange, abandoned};

pin_project! {
    /// The response of an [`HttpServerService`](super::HttpServerService) or an
    /// [`ClientService`](super::ClientService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        pub(super) future: Option<F>,
        // Moves on to the body with the answer. What `Process` of the core would do, without the
        // way of the answer through it.
        pub(super) span: Option<BoundarySpan>,
        pub(super) exchange: Exchange,
        pub(super) aside: Option<Box<Aside>>,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(span) = this.span
                && this.future.is_some()
            {
                span.enter(|| this.future.set(None));
                if let Some(aside) = this.aside.take() {
                    aside.left(span);
                }
                if this.exchange.is_rpc() {
                    abandoned(span);
                }
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
        let Some(span) = this.span.take() else { return Poll::Pending };
        let exchange = *this.exchange;
        Poll::Ready(answer(result, span, exchange, this.aside.take()))
    }
}

#[inline]
fn answer<B: Body, E>(
    result: Result<Response<B>, E>,
    mut span: BoundarySpan,
    exchange: Exchange,
    aside: Option<Box<Aside>>,
) -> Result<Response<ResponseBody<B>>, E> {
    let response = match (result, aside) {
        (Ok(response), None) => response,
        (Ok(response), Some(aside)) => aside.on_head(exchange, response, &mut span),
        (Err(error), aside) => {
            unanswered::<E>(aside, span);
            return Err(error);
        }
    };
    let rest = exchange.answered(&response, &mut span);
    Ok(response.map(|body| ResponseBody::new(body, span, rest)))
}

#[cold]
fn unanswered<E>(aside: Option<Box<Aside>>, span: BoundarySpan) {
    if let Some(aside) = aside {
        aside.left(&span);
    }
    span.end(End::failed_with::<E>());
}
