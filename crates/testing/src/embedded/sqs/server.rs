//! The protocol: AWS's JSON 1.0, over HTTP.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::attribute::{self, Attribute};
use super::clock::Clock;
use super::fault::{Fault, Faults, Operation};
use super::listener::Cut;
use super::messages::Receiving;
use super::refusal::Refusal;
use super::state::State;
use super::wire::{Entry, OfQueue};

const TARGET: &str = "x-amz-target";
const SERVICE: &str = "AmazonSQS.";
/// By this the instrumentation of AWS's SDKs tells of a trace.
const TRACE_ID: &str = "x-amzn-trace-id";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// A request, as far as it matters.
struct Request<'a> {
    body: &'a [u8],
    /// For its messages.
    header: Option<Attribute>,
}

/// What the server and its owner share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) clock: Clock,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    /// Told of whatever may let somebody receive something, or end somebody's wait.
    pub(super) changed: Notify,
}

impl Server {
    pub(super) fn new(endpoint: String) -> Self {
        let clock = Clock::new();
        let state = Mutex::new(State::new(endpoint));
        Server { clock, state, faults: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, or until it is so late.
    async fn change_or(&self, changed: impl Future<Output = ()>, at: u64) {
        let left = Duration::from_millis(at.saturating_sub(self.clock.now()));
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(left) => {}
        }
    }

    async fn sleep(&self, since: u64, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let until = since.saturating_add(time);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.clock.now() >= until {
                return;
            }
            self.change_or(changed, until).await;
        }
    }

    async fn receive(&self, since: u64, wanted: &Receiving) -> Result<Value, Refusal> {
        let deadline = since + wanted.wait;
        loop {
            // Enabled before the look: a change between the two is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = self.clock.now();
            let received = self.state().receive(now, wanted)?;
            if received.buried {
                self.changed.notify_waiters();
            }
            if !received.messages.is_empty() {
                return Ok(json!({ "Messages": received.messages }));
            }
            if now >= deadline {
                return Ok(json!({}));
            }
            let next = received.next_change.unwrap_or(deadline);
            self.change_or(changed, next.min(deadline)).await;
        }
    }

    async fn perform(
        &self,
        since: u64,
        operation: Operation,
        request: &Request<'_>,
        fail: Option<usize>,
    ) -> Result<Value, Refusal> {
        if operation == Operation::ReceiveMessage {
            let wanted = self.state().receiving(read(request.body)?)?;
            return self.receive(since, &wanted).await;
        }
        let done = self.perform_at_once(operation, request, fail);
        self.changed.notify_waiters();
        done
    }

    fn perform_at_once(
        &self,
        operation: Operation,
        request: &Request<'_>,
        fail: Option<usize>,
    ) -> Result<Value, Refusal> {
        let now = self.clock.now();
        let Request { body, header } = request;
        let mut state = self.state();
        match operation {
            Operation::CreateQueue => state.create_queue(now, read(body)?),
            Operation::GetQueueUrl => state.get_queue_url(read(body)?),
            Operation::GetQueueAttributes => state.get_queue_attributes(now, read(body)?),
            Operation::SetQueueAttributes => state.set_queue_attributes(now, read(body)?),
            Operation::ListQueues => state.list_queues(read(body)?),
            Operation::PurgeQueue => state.purge_queue(now, &read::<OfQueue>(body)?),
            Operation::DeleteQueue => state.delete_queue(now, &read::<OfQueue>(body)?),
            Operation::SendMessage => state.send_message(now, read(body)?, header.as_ref()),
            Operation::SendMessageBatch => {
                state.send_batch(now, read(body)?, fail, header.as_ref())
            }
            Operation::DeleteMessage => state.delete_message(now, &read::<Entry>(body)?),
            Operation::DeleteMessageBatch => {
                state.batch(read(body)?, fail, |state, entry| state.delete_message(now, entry))
            }
            Operation::ChangeMessageVisibility => {
                state.change_visibility(now, &read::<Entry>(body)?)
            }
            Operation::ChangeMessageVisibilityBatch => {
                state.batch(read(body)?, fail, |state, entry| state.change_visibility(now, entry))
            }
            Operation::ReceiveMessage => Err(Refusal::internal()),
        }
    }

    async fn faulty(
        &self,
        operation: Operation,
        request: &Request<'_>,
        cut: &Cut,
    ) -> Result<Value, Refusal> {
        // Waits begin before the request is counted: who has seen it counted, or seen what it does,
        // can put the clock forward, and knows that they end.
        let since = self.clock.now();
        // On its own: a lock is not held while a request waits.
        let fault = self.faults().take(operation);
        match fault {
            None => self.perform(since, operation, request, None).await,
            Some(Fault::ErrorBefore) => Err(Refusal::internal()),
            Some(Fault::Throttled) => Err(Refusal::throttled()),
            Some(Fault::Refused(code)) => Err(Refusal::told(code)),
            Some(Fault::CloseBefore) => {
                cut.cut();
                Err(Refusal::internal())
            }
            Some(Fault::ErrorAfter) => {
                self.perform(since, operation, request, None).await.and(Err(Refusal::internal()))
            }
            Some(Fault::CloseAfter) => {
                let done = self.perform(since, operation, request, None).await;
                cut.cut();
                done
            }
            Some(Fault::Delayed(time)) => {
                let done = self.perform(since, operation, request, None).await;
                self.sleep(since, time).await;
                done
            }
            Some(Fault::FailEntry(place)) => {
                self.perform(since, operation, request, Some(place)).await
            }
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // Serde would read an array as the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::serialization("The request is no JSON object."));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::serialization(error.to_string()))
}

/// Answers a request.
pub(super) async fn serve(
    Shared(server): Shared<std::sync::Arc<Server>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let answer = match target.strip_prefix(SERVICE).and_then(Operation::named) {
        Some(operation) => {
            let header = headers.get(TRACE_ID).and_then(|header| header.to_str().ok());
            let request = Request { body: &body, header: header.and_then(attribute::of_request) };
            server.faulty(operation, &request, &cut).await
        }
        None => Err(Refusal::unknown_operation(target)),
    };
    match answer {
        Ok(answer) => respond(StatusCode::OK, &answer).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            let error = [("x-amzn-query-error", refusal.query_error())];
            (error, respond(status, &refusal.body())).into_response()
        }
    }
}

fn respond(status: StatusCode, body: &Value) -> impl IntoResponse + use<> {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string())
}
