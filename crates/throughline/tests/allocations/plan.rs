//! What a request is like that is given up, and what stands at its other end.

use std::io;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use http_body::{Body, Frame};

/// As random as a test needs, and the same for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((number ^ (number >> 31)) % limit as u64).unwrap_or_default()
    }
}

/// What a request is like, and the one that its handler makes, and how often it is polled before
/// nobody wants it any longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How often the handler waits, of either.
    pub(super) waits: usize,
    pub(super) frames: usize,
    /// How often its body waits before each frame, and before its end.
    pub(super) pauses: usize,
    pub(super) is_call: bool,
    pub(super) is_sampled: bool,
    pub(super) polls: usize,
}

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        let (waits, frames, pauses) = (random.below(4), random.below(4), random.below(3));
        let mut plan = Plan {
            waits,
            frames,
            pauses,
            is_call: random.below(2) == 0,
            is_sampled: random.below(4) > 0,
            polls: 0,
        };
        plan.polls = random.below(plan.needs() + 2);
        plan
    }

    /// How often one of the two waits: in its handler, before each frame, and before its end. A
    /// call's trailers are a frame more.
    fn pending(&self) -> usize {
        let frames = self.frames + usize::from(self.is_call);
        self.waits + (frames + 1) * self.pauses
    }

    /// How many polls it takes to the end of the body: one, and one more for each wait. The request
    /// of the handler is read to its end before the handler itself waits.
    fn needs(&self) -> usize {
        1 + 2 * self.pending()
    }

    /// Whether it was begun: the first poll does.
    pub(super) fn begins(&self) -> bool {
        self.polls > 0
    }

    /// What of a body nobody need wait for: the end of a call stands in its trailers, which are the
    /// last frame.
    fn unread(&self) -> usize {
        if self.is_call { self.pauses } else { 0 }
    }

    /// Whether it came to its end.
    pub(super) fn ends(&self) -> bool {
        self.polls >= self.needs() - self.unread()
    }

    /// Whether the request of its handler did.
    pub(super) fn asks_to_the_end(&self) -> bool {
        self.polls >= 1 + self.pending() - self.unread()
    }
}

/// Pending so many times.
pub(super) struct Waits(pub(super) usize);

impl Future for Waits {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

pub(super) struct Frames {
    plan: Plan,
    paused: usize,
    sent: usize,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.paused < self.plan.pauses {
            self.paused += 1;
            return Poll::Pending;
        }
        (self.paused, self.sent) = (0, self.sent + 1);
        let Plan { frames, is_call, .. } = self.plan;
        Poll::Ready(if self.sent <= frames {
            Some(Ok(Frame::data(Bytes::from_static(b"frame"))))
        } else if is_call && self.sent == frames + 1 {
            let status = (header::HeaderName::from_static("grpc-status"), HeaderValue::from(0));
            Some(Ok(Frame::trailers(HeaderMap::from_iter([status]))))
        } else {
            None
        })
    }
}

impl Frames {
    pub(super) fn new(plan: Plan) -> Self {
        Frames { plan, paused: 0, sent: 0 }
    }
}
