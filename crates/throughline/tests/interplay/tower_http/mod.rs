//! The layers of tower-http beside ours, in any order: a request has one span, in its caller's trace,
//! with all that is done for it below. What an order changes stands in docs/http-and-grpc.md.

mod best;
mod stack;

use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::layer::SubscriberExt;

use self::stack::Layer::{self, CatchPanic, Compression, Ours, RequestId, Sensitive, Timeout};
use self::stack::{CASES, Case, Side, THEIRS, side, stack};
use crate::parts::{Parts, SENDER, TRACE};

const DEADLINE: Duration = Duration::from_secs(20);

/// What becomes of a request.
struct Expected {
    /// The status that its caller sees, if he has an answer. Of one that is torn he may have nothing.
    answer: Option<u16>,
    /// The status that its span tells.
    told: Option<u16>,
    error_type: Option<&'static str>,
    /// The line of its span; its handler's child stands below.
    line: &'static str,
}

fn expected(case: Case, order: &[Layer]) -> Expected {
    let (answer, told, error_type, line) = match (case, side(order, CatchPanic)) {
        (Case::Ok, _) => (Some(200), Some(200), None, "SERVER GET /ok"),
        (Case::Streamed, _) => (Some(200), Some(200), None, "SERVER GET /streamed"),
        (Case::Panic, Side::Inside) => {
            (Some(500), Some(500), Some("500"), "SERVER GET /panic !error")
        }
        (Case::Panic, at) => {
            let line = "SERVER GET /panic !error(the handler panicked)";
            ((at == Side::Outside).then_some(500), None, Some("panic"), line)
        }
        (Case::Slow, _) if side(order, Timeout) == Side::Inside => {
            (Some(408), Some(408), None, "SERVER GET /slow")
        }
        (Case::Slow, _) => (Some(408), None, Some("cancelled"), "SERVER GET /slow"),
        (Case::Failed, _) => (Some(503), Some(503), Some("503"), "SERVER GET /failed !error"),
        (Case::Unread, _) => (Some(200), Some(200), Some("cancelled"), "SERVER GET /unread"),
        (Case::Torn, _) => {
            let line = "SERVER GET /torn !error(the handler panicked)";
            (None, Some(200), Some("panic"), line)
        }
    };
    Expected { answer, told, error_type, line }
}

/// What is seen of headers: of a request, what a layer outside has made of it; of a response, what
/// one inside has.
fn seen_headers(order: &[Layer]) -> [(&'static str, bool); 5] {
    [
        ("http.request.header.x-request-id", side(order, RequestId) == Side::Outside),
        ("http.response.header.x-request-id", side(order, RequestId) == Side::Inside),
        ("http.request.header.x-customer", side(order, Sensitive) != Side::Outside),
        ("http.response.header.x-warehouse", side(order, Sensitive) != Side::Inside),
        ("http.response.header.content-encoding", side(order, Compression) == Side::Inside),
    ]
}

/// The head of an answer.
struct Head {
    status: u16,
    text: String,
}

/// Asks in a trace of the caller's, for an answer that may be compressed. `None` where there is none.
async fn call(address: &str, case: Case) -> Option<Head> {
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\naccept-encoding: gzip\r\n\
         x-customer: alice\r\ntraceparent: 00-{TRACE}-{SENDER}-01\r\n\r\n",
        case.path()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = Vec::new();
    let head = |seen: &[u8]| seen.windows(4).position(|end| end == b"\r\n\r\n");
    // All of it, but for a body that has no end: of that, the head is enough.
    while stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
        if case == Case::Unread && head(&seen).is_some() {
            break;
        }
    }
    let text = String::from_utf8_lossy(&seen[..head(&seen)?]).to_lowercase();
    let status = text.split(' ').nth(1)?.parse().expect("a status");
    Some(Head { status, text })
}

/// Serves `app` and asks it once.
async fn ask(app: Router, case: Case) -> Option<Head> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let head = tokio::time::timeout(DEADLINE, call(&address, case)).await.expect("it ends in time");
    server.abort();
    head
}

/// Sends one request of each case through the layers, in this order.
async fn check(parts: &Parts, order: &[Layer], cases: &[Case]) {
    for case in cases.iter().copied() {
        parts.recorder.clear();
        let place = format!("{case:?} through {order:?}");
        let head = ask(stack(parts, order, case), case).await;

        let Expected { answer, told, error_type, line } = expected(case, order);
        if case != Case::Torn {
            assert_eq!(head.as_ref().map(|head| head.status), answer, "{place}");
        }
        if let Some(Head { text, .. }) = head
            && matches!(case, Case::Ok | Case::Streamed)
        {
            let is_compressed = text.contains("content-encoding: gzip");
            assert_eq!(is_compressed, order.contains(&Compression), "{place}");
        }
        let below = match case {
            Case::Streamed => &["reserve", "pack", "pack"][..],
            _ => &["reserve"],
        };
        let tree: String = below.iter().map(|name| format!("\n  INTERNAL {name}")).collect();
        let recorder = &parts.recorder;
        recorder.wait_for(1 + below.len(), DEADLINE).await.expect(&place);
        recorder.check_all_ended().expect(&place);
        recorder.check_tree(&format!("{line}{tree}")).expect(&place);
        let span = parts.span(&format!("GET {}", case.path()));
        assert_eq!(span.trace_id.to_string(), TRACE, "{place}");
        assert_eq!(span.parent.map(|id| id.to_string()).as_deref(), Some(SENDER), "{place}");
        let of_span = &span.attributes;
        let status = of_span.get_int("http.response.status_code");
        assert_eq!(status, told.map(i64::from), "{place}");
        assert_eq!(of_span.get_str("error.type"), error_type, "{place}");
        if case == Case::Ok {
            for (key, is_seen) in seen_headers(order) {
                assert_eq!(of_span.get(key).is_some(), is_seen, "{key}, {place}");
            }
        }
    }
}

/// With the layers that `init` installs.
fn observe(parts: &Parts) -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(parts.otel_layer()))
}

#[tokio::test]
async fn each_layer_may_stand_outside_or_inside() {
    let parts = Parts::new();
    let _default = observe(&parts);
    for layer in THEIRS {
        for order in [[layer, Ours], [Ours, layer]] {
            let cases = CASES.into_iter().filter(|case| *case != Case::Slow || layer == Timeout);
            check(&parts, &order, &cases.collect::<Vec<_>>()).await;
        }
    }
}

/// Any of them outside and the others inside, there and back.
#[tokio::test]
async fn all_of_them_may_stand_around_ours() {
    let parts = Parts::new();
    let _default = observe(&parts);
    for choice in 0..1 << THEIRS.len() {
        let is_outside = |index: &usize| choice & (1 << index) != 0;
        let (outside, inside): (Vec<_>, Vec<_>) = (0..THEIRS.len()).partition(is_outside);
        let of = |indices: &[usize]| indices.iter().map(|index| THEIRS[*index]).collect();
        let (mut outside, mut inside): (Vec<_>, Vec<_>) = (of(&outside), of(&inside));
        for _ in 0..2 {
            check(&parts, &[&outside, &[Ours][..], &inside].concat(), &CASES).await;
            outside.reverse();
            inside.reverse();
        }
    }
}

#[tokio::test]
#[ignore = "35,280 requests take two minutes"]
async fn all_of_them_may_stand_in_any_order() {
    let parts = Parts::new();
    let _default = observe(&parts);
    let mut orders = vec![vec![Ours]];
    for layer in THEIRS {
        let with = |order: &Vec<_>, place| {
            let mut longer = order.clone();
            longer.insert(place, layer);
            longer
        };
        let longer = orders.iter().flat_map(|order| (0..=order.len()).map(|at| with(order, at)));
        orders = longer.collect();
    }
    assert_eq!(orders.len(), 5_040);
    for order in &orders {
        check(&parts, order, &CASES).await;
    }
}
