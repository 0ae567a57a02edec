//! What the owner of the server holds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use tokio::sync::oneshot;

use super::fault::{Fault, Operation};
use super::listener::{Cut, CuttableListener};
use super::message::{Message, MessageState};
use super::refusal::Refusal;
use super::server::{Server, serve};
use super::wire;

/// What JSON makes of 1 MiB, at its worst, and more.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// SQS on a real socket: small, and as strict as AWS documents it.
///
/// It speaks AWS's JSON protocol, so that any SDK reaches it by [`endpoint`](Self::endpoint), those
/// of other processes and languages too. It runs on a thread of its own, works from any runtime or
/// none, and stops when it is dropped.
///
/// ```
/// use throughline_testing::embedded::Sqs;
///
/// let sqs = Sqs::start()?;
/// let url = sqs.create_queue("orders", &[("VisibilityTimeout", "5")])?;
/// assert_eq!(url, sqs.queue_url("orders"));
/// assert!(sqs.messages("orders")?.is_empty());
/// # Ok::<(), throughline_testing::embedded::SqsError>(())
/// ```
///
/// A client of `aws-sdk-sqs` finds it by its endpoint. No signature is checked, but no SDK sends
/// anything without credentials:
///
/// ```ignore
/// let config = aws_sdk_sqs::Config::builder()
///     .endpoint_url(sqs.endpoint())
///     .credentials_provider(Credentials::new("test", "test", None, None, "test"))
///     .region(Region::new("us-east-1"))
///     .build();
/// let client = aws_sdk_sqs::Client::from_conf(config);
/// client.send_message().queue_url(sqs.queue_url("orders")).message_body("one book").send().await?;
/// ```
#[derive(Debug)]
pub struct Sqs {
    address: SocketAddr,
    endpoint: String,
    server: Arc<Server>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why an [`Sqs`] can't start, or doesn't do what it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqsError {
    /// Somebody else listens there.
    #[error("port {} of {} is in use; stop what listens there, or choose another", .0.port(), .0.ip())]
    Busy(SocketAddr),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// Its thread can't be started.
    #[error("can't start a thread for an embedded SQS: {0}")]
    Thread(io::Error),
    /// It refuses what it is told, as it refuses a request.
    #[error("the embedded SQS can't {what}: {code}: {message}")]
    Refused {
        /// What it was told.
        what: String,
        /// AWS's name of the error.
        code: String,
        /// What is wrong.
        message: String,
    },
}

impl Sqs {
    /// Starts one on 127.0.0.1, on a port that is free.
    ///
    /// # Errors
    ///
    /// When the operating system has no port or thread to give.
    pub fn start() -> Result<Self, SqsError> {
        Sqs::bind((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts one on this address.
    ///
    /// # Errors
    ///
    /// [`SqsError::Busy`] when somebody listens there, [`SqsError::Bind`] when the address can't be
    /// used, [`SqsError::Thread`] when there is no thread to be had.
    pub fn bind(address: SocketAddr) -> Result<Self, SqsError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => SqsError::Busy(address),
            _ => SqsError::Bind { address, source },
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let endpoint = format!("http://{address}");
        let server = Arc::new(Server::new(endpoint.clone()));
        // Whatever runtime the owner has may be blocked while somebody waits for an answer.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SqsError::Thread)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new()
            .fallback(post(serve))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&server))
            .into_make_service_with_connect_info::<Cut>();
        let run = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    // It has no end of its own.
                    _ = axum::serve(CuttableListener(listener), app) => {}
                    _ = stopped => {}
                }
            });
            // With the runtime go all connections, those on which somebody waits too.
        };
        #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
        let thread = thread::Builder::new().name("embedded-sqs".to_owned()).spawn(run);
        let thread = Some(thread.map_err(SqsError::Thread)?);
        Ok(Sqs { address, endpoint, server, stop: Some(stop), thread })
    }

    /// Where clients find it: `http://127.0.0.1:43210`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the queue with this name, whether it is there or not.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        self.server.state().url(name)
    }

    /// Creates a queue with these attributes, as `CreateQueue` does, and returns its URL.
    ///
    /// # Errors
    ///
    /// When the name or an attribute isn't valid, or the queue is there with others.
    pub fn create_queue(
        &self,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<String, SqsError> {
        let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let request = wire::CreateQueue {
            queue_name: Some(name.to_owned()),
            attributes: Some(attributes.iter().map(text).collect()),
        };
        let created = self.server.state().create_queue(self.server.clock.now(), request);
        created.map_err(|refusal| refused(format!("create the queue `{name}`"), refusal))?;
        Ok(self.queue_url(name))
    }

    /// The messages of a queue, in the order in which they came: those that can be received, are
    /// delayed, or are in flight. Nothing is received by looking.
    ///
    /// # Errors
    ///
    /// When there is no such queue.
    pub fn messages(&self, queue: &str) -> Result<Vec<Message>, SqsError> {
        let shown = self.server.state().shown(self.server.clock.now(), queue);
        shown.map_err(|refusal| refused(format!("show the queue `{queue}`"), refusal))
    }

    /// How many messages of a queue were received and neither deleted nor given back.
    ///
    /// # Errors
    ///
    /// When there is no such queue.
    pub fn in_flight(&self, queue: &str) -> Result<usize, SqsError> {
        let in_flight = |message: &Message| message.state == MessageState::InFlight;
        Ok(self.messages(queue)?.iter().filter(|message| in_flight(message)).count())
    }

    /// How often this was asked for, whatever came of it.
    #[must_use]
    pub fn requests(&self, operation: Operation) -> usize {
        self.server.faults().requests(operation)
    }

    /// Lets time pass at once: visibility timeouts, delays, waits for messages, retention and
    /// deduplication end so much earlier.
    pub fn advance(&self, time: Duration) {
        self.server.clock.advance(time);
        self.server.changed.notify_waiters();
    }

    /// Lets the next `count` requests for this operation fail, after those that are to fail already;
    /// with [`usize::MAX`] all of them.
    ///
    /// A client of AWS's SDK tries three times, unless it is told otherwise.
    pub fn fail_next(&self, operation: Operation, count: usize, fault: Fault) {
        self.server.faults().add(operation, count, fault);
    }

    /// Takes back what [`fail_next`](Self::fail_next) said.
    pub fn fail_no_more(&self) {
        self.server.faults().clear();
    }
}

fn refused(what: String, refusal: Refusal) -> SqsError {
    SqsError::Refused { what, code: refusal.code.to_owned(), message: refusal.message }
}

impl Drop for Sqs {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Its only error is a panic, which has been told.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
