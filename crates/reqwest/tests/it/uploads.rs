//! Requests whose bodies are streams: they are sent while the span is open, and may fail.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use throughline_testing::lineage::Status;
use throughline_testing::{Measurements, Recorder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::server::{DEADLINE, attribute, attributes, client, middleware, plain, the_one};

type Part = Result<Bytes, io::Error>;

/// A body that is whatever is sent here, until that is dropped.
fn upload() -> (UnboundedSender<Part>, Body) {
    let (parts, mut sent) = unbounded_channel::<Part>();
    let parts_of_it = stream::poll_fn(move |task| sent.poll_recv(task));
    (parts, Body::wrap_stream(parts_of_it))
}

fn part(text: &'static str) -> Part {
    Ok(Bytes::from_static(text.as_bytes()))
}

/// A server that takes one request, and reads and answers it as the test says.
struct Taken(TcpStream);

impl Taken {
    /// Reads until this has come; all of it.
    async fn read_to(&mut self, end: &str) -> String {
        let mut came = Vec::new();
        let read = async {
            while !came.ends_with(end.as_bytes()) {
                let more = self.0.read_buf(&mut came).await.expect("readable");
                assert!(more > 0, "no {end:?}: {}", String::from_utf8_lossy(&came));
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("it comes in time");
        String::from_utf8(came).expect("text")
    }

    async fn answer(&mut self, status: &str) {
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        self.0.write_all(answer.as_bytes()).await.expect("sent");
        self.0.shutdown().await.expect("closed");
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/very/private?sig=hunter2", listener.local_addr().expect("bound"));
    (listener, url)
}

async fn take(listener: TcpListener) -> Taken {
    let (stream, _) = listener.accept().await.expect("a client");
    Taken(stream)
}

#[tokio::test]
async fn the_span_covers_what_is_sent() {
    let recorder = Recorder::new();
    let (listener, url) = listen().await;
    let (parts, body) = upload();
    let asked = client(&recorder).put(url).body(body).send();
    let served = async {
        let mut taken = take(listener).await;
        let head = taken.read_to("\r\n\r\n").await;
        let open = recorder.open_spans();
        assert_eq!(open.len(), 1);
        let sent_by = format!("traceparent: 00-{}-{}-01\r\n", open[0].trace_id, open[0].span_id);
        assert!(head.contains(&sent_by), "{head}");
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        for text in ["one", "two"] {
            parts.send(part(text)).expect("it is read");
            taken.read_to(&format!("3\r\n{text}\r\n")).await;
            assert_eq!(recorder.open_spans().len(), 1, "the request is still sent");
        }
        drop(parts);
        taken.read_to("0\r\n\r\n").await;
        assert_eq!(recorder.open_spans().len(), 1, "nobody has answered");
        taken.answer("201 Created").await;
    };
    let (answer, ()) = tokio::join!(asked, served);
    assert_eq!(answer.expect("an answer").status(), 201);
    recorder.assert_all_ended();
    recorder.assert_tree("CLIENT PUT {http.response.status_code=201}");
    assert_eq!(attribute(&the_one(&recorder), "error.type"), None);
}

/// It says where it failed; the URL and what stands in it are left out.
#[tokio::test]
async fn a_stream_that_fails_fails_the_request() {
    let recorder = Recorder::new();
    let (listener, url) = listen().await;
    let (parts, body) = upload();
    let asked = client(&recorder).put(url).body(body).send();
    let served = async {
        let mut taken = take(listener).await;
        taken.read_to("\r\n\r\n").await;
        parts.send(part("one")).expect("it is read");
        taken.read_to("3\r\none\r\n").await;
        parts.send(Err(io::Error::other("the disk is gone"))).expect("it is read");
        let mut rest = Vec::new();
        drop(taken.0.read_to_end(&mut rest).await);
        assert_eq!(rest, b"", "it isn't told as a whole one");
    };
    let (answer, ()) = tokio::join!(asked, served);
    answer.expect_err("half a request");
    recorder.assert_all_ended();
    let span = the_one(&recorder);
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("request"));
    assert_eq!(attribute(&span, "http.response.status_code"), None);
    let Status::Error(description) = &span.status else { panic!("no error: {:?}", span.status) };
    assert!(description.contains("the disk is gone"), "{description:?}");
    let told = format!("{description} {:?}", attributes(&span));
    assert!(!told.contains("hunter2"), "{told}");
}

/// An answer may come before all has been sent: the span ends with it, as with any other.
#[tokio::test]
async fn a_server_that_has_read_enough_is_heard() {
    let recorder = Recorder::new();
    let (listener, url) = listen().await;
    let (parts, body) = upload();
    let asked = client(&recorder).put(url).body(body).send();
    let served = async {
        let mut taken = take(listener).await;
        taken.read_to("\r\n\r\n").await;
        parts.send(part("one")).expect("it is read");
        taken.read_to("3\r\none\r\n").await;
        taken.answer("413 Payload Too Large").await;
    };
    let (answer, ()) = tokio::join!(asked, served);
    assert_eq!(answer.expect("an answer").status(), 413);
    recorder.assert_all_ended();
    recorder.assert_tree("CLIENT PUT {http.response.status_code=413, error.type=413} !error");
}

#[tokio::test]
async fn a_request_that_is_given_up_while_it_is_sent() {
    let recorder = Recorder::new();
    let (listener, url) = listen().await;
    let (parts, body) = upload();
    let asked = client(&recorder).put(url).body(body).send();
    let served = async {
        let mut taken = take(listener).await;
        taken.read_to("\r\n\r\n").await;
        parts.send(part("one")).expect("it is read");
        taken.read_to("3\r\none\r\n").await;
        taken
    };
    let mut taken = tokio::select! {
        _ = asked => panic!("nobody answers"),
        taken = served => taken,
    };
    recorder.assert_all_ended();
    recorder.assert_tree("CLIENT PUT {error.type=cancelled}");
    assert_eq!(attribute(&the_one(&recorder), "http.response.status_code"), None);
    // The body is dropped, and the connection with it.
    tokio::time::timeout(DEADLINE, parts.closed()).await.expect("nobody reads on");
    let mut rest = Vec::new();
    drop(taken.0.read_to_end(&mut rest).await);
    assert_eq!(rest, b"");
}

/// Nobody knows how much it will be.
#[tokio::test]
async fn a_stream_has_no_size_to_measure() {
    let (recorder, kept) = (Recorder::new(), Measurements::new());
    let (listener, url) = listen().await;
    let (parts, body) = upload();
    parts.send(part("one")).expect("it will be read");
    drop(parts);
    let measured = middleware(&recorder).measure_body_sizes(true).with_meter_provider(&kept);
    let client = reqwest_middleware::ClientBuilder::new(plain()).with(measured).build();
    let asked = client.put(url).body(body).send();
    let served = async {
        let mut taken = take(listener).await;
        taken.read_to("0\r\n\r\n").await;
        taken.answer("200 OK").await;
    };
    let (answer, ()) = tokio::join!(asked, served);
    answer.expect("an answer");
    assert_eq!(kept.of("http.client.request.duration").len(), 1);
    assert_eq!(kept.of("http.client.request.body.size"), [""; 0]);
}
