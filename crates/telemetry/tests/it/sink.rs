//! A collector for tests: OTLP over HTTP on a real socket, with what can go wrong with one.
#![expect(clippy::disallowed_methods, reason = "a collector is of no trace")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Long enough for a loaded machine; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Ok,
    Status(u16),
    /// To send the request somewhere else.
    Redirect(&'static str),
    Never,
}

#[derive(Default)]
struct Seen {
    requests: Vec<ExportTraceServiceRequest>,
    heads: Vec<String>,
}

pub(crate) struct Sink {
    pub(crate) url: String,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Sink {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<(Mutex<Seen>, Condvar)>::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, answer, &shared));
            }
        });
        Self { url, seen }
    }

    /// Waits until `count` spans are here.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Span> {
        let (lock, changed) = &*self.seen;
        let (seen, timeout) = changed
            .wait_timeout_while(lock.lock().unwrap(), PATIENCE, |seen| spans(seen).len() < count)
            .unwrap();
        assert!(!timeout.timed_out(), "{} of {count} spans arrived", spans(&seen).len());
        spans(&seen)
    }

    /// Waits until a request is here, answered or not.
    pub(crate) fn wait_for_request(&self) {
        let (lock, changed) = &*self.seen;
        let (_seen, timeout) = changed
            .wait_timeout_while(lock.lock().unwrap(), PATIENCE, |seen| seen.heads.is_empty())
            .unwrap();
        assert!(!timeout.timed_out(), "no request arrived");
    }

    /// What is here now: everything, once the exporter has been shut down.
    pub(crate) fn spans(&self) -> Vec<Span> {
        spans(&self.seen.0.lock().unwrap())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
        names.sort();
        names
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.0.lock().unwrap().heads.clone()
    }

    pub(crate) fn scopes(&self) -> Vec<(String, String)> {
        let seen = self.seen.0.lock().unwrap();
        let resources = seen.requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|spans| &spans.scope_spans);
        scopes.map(|spans| (spans.scope.clone().unwrap().name, spans.schema_url.clone())).collect()
    }

    /// An attribute of the resource of the first export, as text.
    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        let seen = self.seen.0.lock().unwrap();
        let resource = seen.requests.first()?.resource_spans.first()?.resource.as_ref()?;
        let attribute = resource.attributes.iter().find(|attribute| attribute.key == key)?;
        match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.clone()),
            Value::IntValue(number) => Some(number.to_string()),
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn spans(seen: &Seen) -> Vec<Span> {
    let resources = seen.requests.iter().flat_map(|request| &request.resource_spans);
    let scopes = resources.flat_map(|spans| &spans.scope_spans);
    scopes.flat_map(|spans| spans.spans.clone()).collect()
}

fn serve(mut stream: TcpStream, answer: Answer, seen: &(Mutex<Seen>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((head, body)) = read_request(&mut reader) {
        let status = match answer {
            Answer::Ok => 200,
            Answer::Status(status) => status,
            Answer::Redirect(_) => 307,
            Answer::Never => 0,
        };
        {
            let mut seen = seen.0.lock().unwrap();
            seen.heads.push(head);
            if status == 200 {
                seen.requests.push(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
            }
        }
        seen.1.notify_all();
        if status != 0 {
            let location = match answer {
                Answer::Redirect(url) => format!("location: {url}/v1/traces\r\n"),
                _ => String::new(),
            };
            let head = format!("HTTP/1.1 {status} x\r\n{location}content-length: 0\r\n\r\n");
            if stream.write_all(head.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// An address that refuses connections.
pub(crate) fn refused() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
