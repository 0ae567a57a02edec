//! Two services on real sockets, and a caller who can hang up.
#![expect(clippy::disallowed_methods, reason = "a server is of no trace")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use reqwest_middleware::ClientWithMiddleware;
use throughline::axum::ServerLayer;
use throughline::reqwest::ClientMiddleware;
use throughline_testing::Recorder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Long enough for a machine with other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Something that a test waits for, and a handler says.
#[derive(Clone, Debug)]
pub(crate) struct Signal(Arc<Semaphore>);

impl Signal {
    pub(crate) fn new() -> Self {
        Signal(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn tell(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn heard(&self) {
        let heard = tokio::time::timeout(DEADLINE, self.0.acquire()).await;
        heard.expect("it is told in time").expect("never closed").forget();
    }
}

/// Starts a service that records as `name`; its address.
pub(crate) async fn start(recorder: &Recorder, name: &str, routes: Router) -> String {
    let layer = ServerLayer::new().with_tracer_provider(&recorder.provider_for(name));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move { axum::serve(listener, routes.layer(layer)).await });
    address
}

/// The client of a service that records as `name`.
pub(crate) fn client(recorder: &Recorder, name: &str) -> ClientWithMiddleware {
    let middleware = ClientMiddleware::new().with_tracer_provider(&recorder.provider_for(name));
    reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(middleware).build()
}

/// A caller from outside, without a trace, who may go away at any time.
pub(crate) struct Caller(TcpStream);

impl Caller {
    pub(crate) async fn post(address: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("somebody listens");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        Caller(stream)
    }

    /// Reads until `part` has come.
    pub(crate) async fn read_until(&mut self, part: &str) {
        let mut seen = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&seen).contains(part) {
                let more = self.0.read_buf(&mut seen).await.expect("readable");
                assert!(more > 0, "it ended before {part:?}: {}", String::from_utf8_lossy(&seen));
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("it comes in time");
    }

    pub(crate) fn hang_up(self) {}
}
