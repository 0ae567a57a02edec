//! The battery, over real sockets: this is what makes three files a boundary.
#![allow(clippy::expect_used, reason = "a driver that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "the other side is of no trace")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use custom_protocol::{Client, Frame, Header, Server};
use opentelemetry::trace::SpanKind;
use throughline_testing::battery::{self, Handler, Headers, Inbound, Outbound, Peer, Setup};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What can't be sent over a socket: it is left here, and found by the number in the body.
struct Left<T>(Mutex<HashMap<u64, T>>, AtomicU64);

impl<T> Left<T> {
    fn leave(&self, value: T) -> Vec<u8> {
        let number = self.1.fetch_add(1, Relaxed);
        self.0.lock().expect("a lock").insert(number, value);
        number.to_be_bytes().to_vec()
    }

    fn take(&self, body: &[u8]) -> T {
        let number = u64::from_be_bytes(body.try_into().expect("a number"));
        self.0.lock().expect("a lock").remove(&number).expect("it was left")
    }
}

fn native(headers: Headers) -> Vec<Header> {
    headers.into_iter().map(|(name, value)| Header { name, value }).collect()
}

fn arrived(headers: Vec<Header>) -> Headers {
    headers.into_iter().map(|header| (header.name, header.value)).collect()
}

/// How many connections there are at once.
const CONNECTIONS: usize = 100;

/// A server that listens until it is dropped.
struct Listening<T> {
    address: SocketAddr,
    left: Arc<Left<T>>,
    accepts: JoinHandle<()>,
    /// A thousand messages are sent at once, and a process may have fewer files than connections.
    connections: Semaphore,
}

impl<T> Drop for Listening<T> {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

impl<T: Send + 'static> Listening<T> {
    async fn start<F>(
        server: Server,
        serve: impl Fn(T, Headers) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), battery::Failed>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let left = Arc::new(Left(Mutex::default(), AtomicU64::new(0)));
        let accepts = tokio::spawn({
            let left = Arc::clone(&left);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    let (server, serve, left) = (server.clone(), serve.clone(), Arc::clone(&left));
                    tokio::spawn(async move {
                        let handler = async |frame: Frame| {
                            let handled = serve(left.take(&frame.body), arrived(frame.headers));
                            handled.await.map(|()| Vec::new())
                        };
                        drop(server.serve(connection, handler).await);
                    });
                }
            }
        });
        Listening { address, left, accepts, connections: Semaphore::new(CONNECTIONS) }
    }
}

/// A client without a trace calls the server.
struct Serves;

impl Inbound for Serves {
    type Boundary = Listening<Handler>;
    const KIND: SpanKind = SpanKind::Server;
    const LAYERED: bool = false;

    async fn boundary(&self, setup: Setup) -> Listening<Handler> {
        let server = Server::default().configure(|config| setup.configure(config));
        Listening::start(server, |handler: Handler, _| async move { handler.run().await }).await
    }

    async fn deliver(&self, to: &Listening<Handler>, headers: Headers, handler: Handler) {
        let _connection = to.connections.acquire().await;
        let frame = Frame { headers: native(headers), body: to.left.leave(handler) };
        let mut connection =
            tokio::net::TcpStream::connect(to.address).await.expect("a connection");
        // A client that is dropped hangs up.
        connection.set_zero_linger().expect("a socket");
        frame.write(&mut connection).await.expect("it is written");
        // Whatever is answered: a handler that panics answers nothing.
        drop(Frame::read(&mut connection).await);
    }
}

/// The client calls a server without a trace.
struct Calls;

impl Outbound for Calls {
    type Boundary = (Client, Listening<Peer>);
    const KIND: SpanKind = SpanKind::Client;
    const LAYERED: bool = false;

    async fn boundary(&self, setup: Setup) -> (Client, Listening<Peer>) {
        let client = Client::default().configure(|config| setup.configure(config));
        let serve = |peer: Peer, headers| async move { peer.receive(headers).await };
        (client, Listening::start(Server::default(), serve).await)
    }

    async fn send(&self, (client, to): &(Client, Listening<Peer>), headers: Headers, peer: Peer) {
        let _connection = to.connections.acquire().await;
        let frame = Frame { headers: native(headers), body: to.left.leave(peer) };
        drop(client.call(to.address, frame).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_conforms() {
    battery::inbound(Serves).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_conforms() {
    battery::outbound(Calls).await.assert();
}
