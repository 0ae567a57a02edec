use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use throughline_lineage::{Forest, Span, otlp};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::decode::{self, Decoded};
use crate::wait::{TimedOut, wait};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// As much as the Collector of OpenTelemetry takes, unless told otherwise.
const MAX_BODY: usize = 20 * 1024 * 1024;

/// An OTLP/HTTP receiver for traces, on a real socket.
///
/// It keeps every span it receives. Services are pointed to it by
/// `OTEL_EXPORTER_OTLP_ENDPOINT`, with the protocol `http/protobuf` (or `http/json`). It runs on
/// the runtime it is started in, and stops when it is dropped.
///
/// ```
/// use throughline_testing::embedded::Collector;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = Collector::start().await?;
/// println!("OTEL_EXPORTER_OTLP_ENDPOINT={}", collector.endpoint());
/// assert!(collector.spans().is_empty());
/// collector.stop().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

/// Why a [`Collector`] can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
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
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Received>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    requests: usize,
}

impl Inbox {
    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector {
    /// Starts one on 127.0.0.1, on a port that is free.
    ///
    /// # Errors
    ///
    /// When the operating system has no port to give.
    pub async fn start() -> Result<Self, CollectorError> {
        Collector::bind((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts one on this address.
    ///
    /// # Errors
    ///
    /// [`CollectorError::Busy`] when somebody listens there, [`CollectorError::Bind`] when the
    /// address can't be used.
    pub async fn bind(address: SocketAddr) -> Result<Self, CollectorError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => CollectorError::Busy(address),
            _ => CollectorError::Bind { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let inbox = Arc::new(Inbox::default());
        let app = Router::new()
            .route("/v1/traces", post(receive).fallback(wrong_method))
            .fallback(wrong_path)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&inbox));
        let (stop, stopped) = oneshot::channel::<()>();
        #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
        let server = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            // It ends when it is told to, and has no other end.
            drop(axum::serve(listener, app).with_graceful_shutdown(stopped).await);
        });
        Ok(Collector { address, inbox, stop: Some(stop), server })
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://127.0.0.1:43210`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The spans received so far, in the order they came.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.inbox.received().spans.clone()
    }

    /// The traces received so far.
    #[must_use]
    pub fn forest(&self) -> Forest {
        Forest::new(self.spans())
    }

    /// How many requests were accepted.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.inbox.received().requests
    }

    /// Waits until this many spans have come, and returns them.
    ///
    /// # Errors
    ///
    /// When they have not after `deadline`; the error tells which have.
    pub async fn wait_for(&self, spans: usize, deadline: Duration) -> Result<Vec<Span>, TimedOut> {
        let wanted = format!("{spans} span{}", if spans == 1 { "" } else { "s" });
        self.wait(&wanted, deadline, |received| received.len() >= spans).await
    }

    /// Waits until the spans that have come satisfy `condition`, and returns them.
    ///
    /// # Errors
    ///
    /// When they don't after `deadline`; the error tells which spans have come.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        condition: impl FnMut(&[Span]) -> bool,
    ) -> Result<Vec<Span>, TimedOut> {
        self.wait("a condition", deadline, condition).await
    }

    async fn wait(
        &self,
        wanted: &str,
        deadline: Duration,
        mut condition: impl FnMut(&[Span]) -> bool,
    ) -> Result<Vec<Span>, TimedOut> {
        let check = || {
            let received = self.inbox.received();
            condition(&received.spans).then(|| received.spans.clone())
        };
        wait(&self.inbox.changed, deadline, check)
            .await
            .ok_or_else(|| TimedOut::new(deadline, wanted.to_owned(), self.spans()))
    }

    /// Stops it, answers what is under way, and returns the spans. The port is free afterwards.
    pub async fn stop(mut self) -> Vec<Span> {
        drop(self.stop.take());
        // Its only error is a panic, which has been told.
        drop((&mut self.server).await);
        std::mem::take(&mut self.inbox.received().spans)
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = header(header::CONTENT_ENCODING);
    if !matches!(encoding, "" | "identity") {
        let text = format!("content-encoding is `{encoding}`; send it uncompressed");
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    let content_type = header(header::CONTENT_TYPE);
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let (decoded, answer) = if essence.eq_ignore_ascii_case(PROTOBUF) {
        let decoded = decode::protobuf(&body).map_err(|error| {
            format!("the body is no ExportTraceServiceRequest in protobuf: {error}")
        });
        (decoded, PROTOBUF)
    } else if essence.eq_ignore_ascii_case(JSON) {
        (json(&body), JSON)
    } else {
        let text = format!(
            "content-type is `{content_type}`; this receiver takes {PROTOBUF} and {JSON}: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        );
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    };
    let Decoded { spans, rejected } = match decoded {
        Ok(decoded) => decoded,
        Err(text) => return refuse(StatusCode::BAD_REQUEST, text),
    };
    let mut received = inbox.received();
    received.spans.extend(spans);
    received.requests += 1;
    drop(received);
    inbox.changed.notify_waiters();
    let body = if answer == JSON { b"{}".to_vec() } else { decode::answer(rejected) };
    ([(header::CONTENT_TYPE, answer)], body).into_response()
}

fn json(body: &[u8]) -> Result<Decoded, String> {
    // Lineage reads lines, and a request may be spread over several. A string in JSON holds no
    // line break.
    let line: Vec<u8> =
        body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    let spans = otlp::read(line.as_slice()).map_err(|error| error.to_string())?;
    Ok(Decoded { spans, rejected: 0 })
}

fn refuse(status: StatusCode, text: String) -> Response {
    (status, text).into_response()
}

async fn wrong_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "spans are sent by POST".to_owned())
}

async fn wrong_path() -> Response {
    let text = "this receiver takes traces, by POST /v1/traces; it has no metrics and no logs";
    refuse(StatusCode::NOT_FOUND, text.to_owned())
}
