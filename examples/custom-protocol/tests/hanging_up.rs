//! When a server takes its client for gone.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "the other side is of no trace")]

use std::sync::Arc;
use std::time::Duration;

use custom_protocol::{Client, Frame, Server};
use throughline_testing::Recorder;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

/// Serves one connection by a handler that waits until it may go on.
struct Slow {
    recorder: Recorder,
    address: std::net::SocketAddr,
    began: Arc<Notify>,
    goes_on: Arc<Notify>,
    serves: JoinHandle<()>,
}

impl Slow {
    async fn start() -> Self {
        let recorder = Recorder::new();
        let server =
            Server::default().configure(|it| it.with_tracer_provider(&recorder.provider()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (began, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tells, waits) = (Arc::clone(&began), Arc::clone(&goes_on));
        let serves = tokio::spawn(async move {
            let (connection, _) = listener.accept().await.expect("a client");
            let handler = async |_: Frame| {
                tells.notify_one();
                waits.notified().await;
                Ok::<_, String>(b"done".to_vec())
            };
            server.serve(connection, handler).await.expect("it is served");
        });
        Slow { recorder, address, began, goes_on, serves }
    }

    async fn ends_as(self, tree: &str) {
        tokio::time::timeout(SOON, self.serves).await.expect("in time").expect("no panic");
        self.recorder.assert_tree(tree);
    }
}

#[tokio::test]
async fn who_has_no_more_to_say_is_answered() {
    let slow = Slow::start().await;
    let mut connection = TcpStream::connect(slow.address).await.expect("a connection");
    Frame::default().write(&mut connection).await.expect("it is written");
    connection.write_all(b"!").await.expect("it is written");
    slow.began.notified().await;
    connection.shutdown().await.expect("a connection");
    // The server may well take notice of it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    slow.goes_on.notify_one();
    let answer = Frame::read(&mut connection).await.expect("an answer");
    assert_eq!(answer.body, b"\0done");
    slow.ends_as("SERVER handle frame").await;
}

#[tokio::test]
async fn who_hangs_up_is_gone() {
    let slow = Slow::start().await;
    let client = Client::default();
    let mut call = Box::pin(client.call(slow.address, Frame::default()));
    tokio::select! {
        answer = &mut call => panic!("it is answered: {answer:?}"),
        () = slow.began.notified() => drop(call),
    }
    slow.ends_as("SERVER handle frame {error.type=cancelled}").await;
}
