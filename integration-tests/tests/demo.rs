//! The demo on real parts: through Kafka, SQS and the Collector into Jaeger, and judged from what
//! Jaeger has.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use integration_tests::{jaeger, native};
use throughline_testing::lineage::{Forest, Node, Settings, Span, Trace, TraceId};

const ORDERS: usize = 5;
/// How often a pickup that fails each time is tried.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// The demo's executable, built by the Cargo that runs this test.
fn demo() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "three-services"])
        .status();
    assert!(built.expect("cargo").success(), "the demo doesn't build");
    let test = std::env::current_exe().expect("a path");
    let target = test.ancestors().nth(2).expect("target/debug/deps/…");
    target.join("three-services")
}

/// Whether a trace is one of a customer who waits: from outside, and linked to his order's.
fn waits(trace: &Trace) -> bool {
    trace.tops().any(|top| !top.span().links.is_empty())
}

/// The traces in which each order is found.
fn orders(forest: &Forest) -> BTreeMap<String, BTreeSet<TraceId>> {
    let mut orders = BTreeMap::<_, BTreeSet<_>>::new();
    let own = forest.traces().iter().filter(|trace| !waits(trace));
    for span in own.flat_map(Trace::nodes).map(Node::span) {
        if let Some(id) = span.attributes.get_str("order.id") {
            orders.entry(id.to_owned()).or_default().insert(span.trace_id);
        }
    }
    orders
}

/// How many spans have this name, all of them children of what has sent their message.
fn processed(forest: &Forest, queue: &str, sender: &str) -> usize {
    let name = format!("process {queue}");
    let spans = forest.nodes().filter(|node| node.span().name == name);
    let parents = spans.map(|node| node.parent().map(|parent| parent.span().name.as_str()));
    parents.filter(|parent| *parent == Some(sender)).count()
}

#[tokio::test]
async fn the_orders_are_whole_in_jaeger() {
    let wanted = ["KAFKA_BROKERS", "SQS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "JAEGER_QUERY"];
    let Some([_, _, _, query]) = wanted
        .map(native)
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .and_then(|all| <[String; 4]>::try_from(all).ok())
    else {
        return;
    };
    let demo = demo();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let output = Command::new(demo).args(["--poison", "--orders", &ORDERS.to_string()]).output();
    let output = output.expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the demo failed: {said}");

    // What it sent is there when it ends; what Jaeger shows of it comes a little later.
    let begin = Instant::now();
    let forest = loop {
        let spans = jaeger::spans(&query, "gateway").await.expect("an answer");
        // Whoever ran the demo before has left his orders there, too.
        let is_ours = |span: &Span| u128::from(span.start_time_unix_nano) >= since;
        let spans: Vec<_> = spans.into_iter().filter(is_ours).collect();
        let forest = Forest::new(spans);
        let (waiting, own): (Vec<_>, Vec<_>) = forest.traces().iter().partition(|it| waits(it));
        let is_there = orders(&forest).len() >= ORDERS
            && waiting.len() >= ORDERS
            && processed(&forest, "pickups-dead", "send pickups") == 1
            && forest.judge(&Settings::complete()).is_unbroken()
            && own.iter().all(|trace| trace.services().len() == 3);
        if is_there || begin.elapsed() > PATIENCE {
            break forest;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let verdict = forest.judge(&Settings::complete());
    for trace in forest.traces().iter().take(1) {
        println!("{trace}");
    }
    println!("{}", verdict.summary);
    assert!(verdict.is_unbroken(), "{verdict}");
    let orders = orders(&forest);
    assert_eq!(orders.len(), ORDERS, "{said}");
    assert!(orders.values().all(|traces| traces.len() == 1), "an order is in pieces");
    let (waiting, own): (Vec<_>, Vec<_>) = forest.traces().iter().partition(|trace| waits(trace));
    assert_eq!(own.len(), ORDERS);
    for trace in own {
        let services: Vec<_> = trace.services().into_iter().collect();
        assert_eq!(services, ["fulfilment", "gateway", "orders"]);
    }
    // Kafka carried each of them, and SQS one of them as often as it was tried, and once more.
    let by_sqs = |queue| processed(&forest, queue, "send pickups");
    assert_eq!(processed(&forest, "placed-orders", "send placed-orders"), ORDERS);
    assert_eq!((by_sqs("pickups"), by_sqs("pickups-dead")), (ORDERS - 1 + TRIES, 1));
    // The stream of each order's states leads to it, in Jaeger too.
    let ids: BTreeSet<_> = orders.into_values().flatten().collect();
    let links = waiting.iter().flat_map(|trace| trace.tops()).flat_map(|top| &top.span().links);
    assert_eq!(links.map(|link| link.trace_id).collect::<BTreeSet<_>>(), ids);
    assert_eq!(waiting.len(), ORDERS);
}
