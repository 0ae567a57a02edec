//! What nobody may read in a trace or in a log: planted wherever a caller or an operator can put it,
//! and looked for in all that the services send and say.

mod callers;
mod scan;

use std::time::{Duration, Instant};

use throughline_testing::embedded::{Collector, Kafka, Sqs};
use throughline_testing::lineage::Span;

use self::callers::{Customer, between, grpc, http, kafka, sqs};
use self::scan::{Found, scan_lines, scan_spans};
use self::shipping::Parcel;
use crate::service::Service;

/// The client of the demo's own.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::doc_markdown)]
mod shipping {
    include!("../../../src/legs/shipping.v1.rs");
}

/// What is told by design, as SECURITY.md says. Nothing else that is planted may be found.
const VISIBLE: [&str; 11] = [
    "planted-visible-agent",
    "planted-visible-error",
    "planted-visible-grpc-method",
    "planted-visible-host",
    "planted-visible-item",
    "planted-visible-method",
    "planted-visible-order",
    "planted-visible-path",
    "planted-visible-query",
    "planted-visible-resource",
    "planted-visible-tracestate",
];

/// In the lines as well.
const LOGGED: [&str; 3] =
    ["planted-visible-error", "planted-visible-item", "planted-visible-order"];

/// In the lines for developers: the SDK of AWS tells whose key it uses, which is no secret.
const LOGGED_TO_DEVELOPERS: [&str; 4] = [
    "planted-visible-error",
    "planted-visible-item",
    "planted-visible-key",
    "planted-visible-order",
];

const TRACEPARENT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// An order that nobody can read.
const UNREADABLE: &str = r#"{"id":"1","item":"1","quantity":"planted-visible-error","customer":"planted-unreadable","callback":""}"#;

/// What the services sent, and what they said.
struct Evidence {
    spans: Vec<Span>,
    lines: Vec<(&'static str, Vec<String>)>,
}

fn order(place: &str, more: &str) -> String {
    format!(
        r#"{{"id":"planted-visible-order","item":"planted-visible-item","quantity":2,"customer":"planted-{place}-customer"{more}}}"#
    )
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The whole demo, with something planted wherever there is a place for it.
async fn run(log: &str) -> Evidence {
    let broker = Kafka::start().expect("a broker");
    broker.create_topic("placed-orders", 1).expect("created");
    let queues = Sqs::start().expect("an SQS");
    let queues_at = between(&queues).await;
    let collector = Collector::start().await.expect("a collector");
    let endpoint = format!("http://me:planted-otlp-password@{}", collector.address());
    let environment = [
        ("RUST_LOG", log),
        ("KAFKA_BROKERS", broker.brokers()),
        ("SQS_ENDPOINT", queues_at.as_str()),
        ("AWS_ACCESS_KEY_ID", "planted-visible-key"),
        ("AWS_SECRET_ACCESS_KEY", "planted-sqs-secret"),
        ("AWS_SESSION_TOKEN", "planted-sqs-session"),
        ("AWS_REGION", "us-east-1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20planted-otlp-header,x-api-key=planted-otlp-key,planted-otlp-junk",
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=planted-visible-resource"),
        // Something that others are told by their environment.
        ("DATABASE_URL", "postgres://me:planted-environment@db.internal/orders"),
    ];
    let with_password = |url: &str, place: &str| {
        url.replace("http://", &format!("http://planted-{place}-user:planted-{place}-password@"))
    };
    let fulfilment = Service::start(&["fulfilment"], environment);
    let args = ["orders", "--fulfilment", &with_password(&fulfilment.url, "fulfilment")];
    let orders = Service::start(&args, environment);
    let args = ["gateway", "--orders", &with_password(&orders.url, "orders")];
    let gateway = Service::start(&args, environment);
    let mut customer = Customer::new().await;
    let callback = with_password(&format!("http://{}", customer.address), "callback");
    let callback = format!(r#","callback":"{callback}""#);

    // From outside, through all of it.
    let query = "sig=planted-sig&X-Amz-Signature=planted-amz-signature&page=planted-visible-query\
                 &X-Amz-Credential=planted-amz-credential&X-Amz-Security-Token=planted-amz-token\
                 &X-Goog-Signature=planted-goog-signature&AWSAccessKeyId=planted-aws-key\
                 &Signature=%70lanted-signature";
    let headers = format!(
        "{TRACEPARENT}
        tracestate: vendor=planted-edge-tracestate
        baggage: token=planted-edge-baggage,planted-edge-baggage-key=1
        authorization: Bearer planted-authorization
        proxy-authorization: Basic dTpwbGFudGVkLXByb3h5
        cookie: session=planted-cookie
        x-api-key: planted-api-key
        x-request-id: planted-request-id
        referer: http://me:planted-referer@localhost/?sig=planted-referer-sig
        x-forwarded-for: planted-forwarded-for
        forwarded: for=planted-forwarded
        user-agent: planted-visible-agent"
    );
    let line = format!("POST /orders?{query}");
    assert_eq!(http(&gateway.url, &line, &headers, &order("edge", "")).await, 201);
    let line = format!("GET /orders/planted-visible-order/events?{query}");
    assert_eq!(http(&gateway.url, &line, &headers, "").await, 200);
    assert_eq!(http(&gateway.url, "GET /orders/planted-visible-path", "", "").await, 404);
    assert_eq!(http(&gateway.url, "PLANTED-VISIBLE-METHOD /orders", "", "").await, 405);
    let target = "GET http://planted-target-user:planted-target-password@localhost/orders/1";
    let host = "host: planted-host-user:planted-host-password@planted-visible-host";
    http(&gateway.url, target, host, "").await;

    // What can't be read, from outside and inside.
    let long = "x".repeat(9_000);
    let malformed = [
        "traceparent: 00-planted-traceparent-b7ad6b7169203331-01".to_owned(),
        format!("{TRACEPARENT}\ntraceparent: planted-second-traceparent"),
        format!("traceparent: planted-long-traceparent{long}"),
        format!("{TRACEPARENT}\ntracestate: planted-tracestate-without-a-value"),
        format!("{TRACEPARENT}\ntracestate: a=planted-long-tracestate{long}"),
        format!("{TRACEPARENT}\nbaggage: planted-baggage-without-a-value"),
        format!("{TRACEPARENT}\nbaggage: token=planted-long-baggage{long}"),
        format!("{TRACEPARENT}\nx-long: planted-long-header{long}"),
    ];
    for headers in &malformed {
        for url in [&gateway.url, &orders.url] {
            assert_eq!(http(url, "GET /orders/1", headers, "").await, 404, "{headers:.99}");
        }
    }

    // Inside baggage and tracestate go on, and so they were in the context of all that was done.
    let headers = format!(
        "{TRACEPARENT}
        tracestate: vendor=planted-visible-tracestate
        baggage: token=planted-inside-baggage
        authorization: Bearer planted-inside-authorization
        x-api-key: planted-inside-api-key"
    );
    let body = order("inside", &callback);
    assert_eq!(http(&orders.url, "POST /orders", &headers, &body).await, 201);
    for _ in 0..3 {
        let report = customer.reported().await;
        for sent in ["planted-inside-baggage", "planted-visible-tracestate"] {
            assert!(report.contains(sent), "{sent} was not on its way: {report}");
        }
    }

    // By SQS, where somebody keeps failing to read one, too.
    sqs(queues.endpoint(), &order("sqs", &callback)).await;
    assert!(customer.reported().await.contains("planted-sqs-baggage"));
    sqs(queues.endpoint(), UNREADABLE).await;
    let is_dead = || queues.messages("pickups-dead").is_ok_and(|dead| dead.len() == 1);
    wait_until("it is a dead letter", is_dead).await;

    // By Kafka, and by gRPC with somebody to report to who isn't there.
    kafka(broker.brokers(), &order("kafka", &callback)).await;
    for _ in 0..2 {
        assert!(customer.reported().await.contains("planted-kafka-baggage"));
    }
    let parcel = Parcel {
        order_id: "planted-visible-order".to_owned(),
        customer: "planted-grpc-customer".to_owned(),
        callback: "http://me:planted-refused-password@127.0.0.1:1/?sig=planted-refused-sig".into(),
        ..Parcel::default()
    };
    assert!(!grpc(&fulfilment.url, parcel).await, "nobody listens there");
    let headers = "content-type: application/grpc\nte: trailers";
    let line = "POST /shipping.v1.Shipping/planted-visible-grpc-method";
    http(&fulfilment.url, line, headers, "").await;

    // The next service is away; then the event of an order that nobody can read.
    let orders = orders.stop();
    assert_eq!(http(&gateway.url, "POST /orders", "", &order("refused", "")).await, 502);
    kafka(broker.brokers(), UNREADABLE).await;
    let fulfilment = fulfilment.ended();
    let gateway = gateway.stop();

    // And a service whose collector is away.
    let args = ["gateway", "--orders", "http://me:planted-idle-password@127.0.0.1:1"];
    let lonely = Service::start(
        &args,
        environment.map(|(name, value)| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => {
                (name, "http://me:planted-away-password@127.0.0.1:1/?key=planted-away-key")
            }
            _ => (name, value),
        }),
    );
    assert_eq!(http(&lonely.url, "POST /orders", "", &order("lonely", "")).await, 502);
    let lonely = lonely.stop();
    let said = lonely.join("\n");
    assert!(said.contains("127.0.0.1:1") && said.contains("lost"), "{said}");

    let lines = vec![
        ("gateway", gateway),
        ("orders", orders),
        ("fulfilment", fulfilment),
        ("a lonely gateway", lonely),
    ];
    Evidence { spans: collector.spans(), lines }
}

/// Fails for whatever was found that isn't told by design, and for what wasn't that is.
#[track_caller]
fn judge(what: &str, found: Found, visible: &[&str]) {
    let (told, leaked): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(planted, _)| visible.contains(&planted.as_str()));
    let leaked: Vec<_> =
        leaked.iter().map(|(planted, place)| format!("{planted} in {place}")).collect();
    assert!(leaked.is_empty(), "{what} tell what was planted:\n{}", leaked.join("\n"));
    let told: Vec<_> = told.iter().map(|(planted, _)| planted.as_str()).collect();
    assert_eq!(told, visible, "{what}: what is looked for would be found");
}

/// Whether nothing but what is meant to be is told. The lines, to be looked into.
async fn nothing_is_told(log: &str, logged: &[&str]) -> String {
    let Evidence { spans, lines } = run(log).await;
    let mut found = Found::new();
    scan_spans(&spans, &mut found);
    judge("the spans", found, &VISIBLE);
    let mut found = Found::new();
    for (service, lines) in &lines {
        scan_lines(service, lines, &mut found);
    }
    judge("the lines", found, logged);
    lines.into_iter().flat_map(|(_, lines)| lines).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_is_told() {
    nothing_is_told("info", &LOGGED).await;
}

/// Not to developers either, who let us and all libraries say whatever they have to say: but for one,
/// which shows whole messages at `trace`, as SECURITY.md says.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_is_told_to_developers() {
    let said = nothing_is_told("trace,aws_smithy_runtime=debug", &LOGGED_TO_DEVELOPERS).await;
    for line in ["a trace context was refused", "hyper_util::client", "h2::", "aws_sigv4::"] {
        assert!(said.contains(line), "no {line:?}: less was said than there is to say");
    }
}
