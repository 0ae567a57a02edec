//! What the verdict says, of raw calls for one.

use std::process::Stdio;

use crate::harness::{assert_contains, demo, file, run};

#[test]
fn a_raw_http_call_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "http"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  http broken at `POST /orders` of orders (3 times",
            "use throughline::reqwest::ClientMiddleware",
            "3 of 3 orders in pieces",
            // Only the raw call's own span is missing.
            "66 spans",
        ],
    );
}

#[test]
fn a_raw_channel_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "grpc"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  grpc broken at `shipping.v1.Shipping/Ship` of fulfilment (3 times",
            "grpc broken at `shipping.v1.Shipping/Track` of fulfilment (3 times",
            "use throughline::tonic::ClientLayer",
            "3 of 3 orders in pieces",
            // Only the two raw calls' own spans are missing.
            "63 spans",
        ],
    );
}

#[test]
fn a_raw_producer_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "kafka"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  kafka broken at `process placed-orders` of fulfilment (3 times",
            "use throughline::kafka::FutureProducer",
            "3 of 3 orders in pieces",
            // Only the raw call's own span is missing.
            "66 spans",
        ],
    );
}

#[test]
fn a_raw_spawn_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "spawn"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  task broken at `audit` of orders (3 times",
            "use throughline::task::spawn",
            "3 of 3 orders in pieces",
            "69 spans",
        ],
    );
}

#[test]
fn a_raw_client_of_sqs_is_named_and_the_spans_behind_it_arrive() {
    let demo = run(&["--break", "sqs"]);
    assert_eq!(demo.code, Some(1), "{}{}", demo.out, demo.err);
    assert_contains(
        demo.closing(),
        &[
            "FAIL  sqs broken at `process pickups` of fulfilment (3 times",
            "use throughline::sqs::Interceptor",
            "3 of 3 orders in pieces",
            // Only the raw call's own span is missing.
            "66 spans",
        ],
    );
}

#[test]
fn the_verdict_is_the_same_elsewhere_and_knows_no_names() {
    let legs =
        [("http", "http"), ("grpc", "grpc"), ("kafka", "kafka"), ("spawn", "task"), ("sqs", "sqs")];
    let legs = legs.map(|(leg, class)| (Some(leg), Some(class)));
    for (leg, class) in legs.into_iter().chain([(None, None)]) {
        let path = file(&format!("spans-{}.jsonl", leg.unwrap_or("none")));
        let path = path.to_str().expect("UTF-8");
        let mut args = vec!["--spans", path];
        args.extend(leg.iter().flat_map(|leg| ["--break", leg]));
        let here = run(&args);
        let there = run(&["verdict", "--spans", path]);
        assert_eq!((there.code, there.closing()), (here.code, here.closing()));

        // Other services, other routes, another task: the same classes.
        let renamed = file(&format!("renamed-{}.jsonl", leg.unwrap_or("none")));
        let text = std::fs::read_to_string(path).expect("the spans were kept");
        let text = text
            .replace("\"gateway\"", "\"portal\"")
            .replace("\"orders\"", "\"till\"")
            .replace("\"fulfilment\"", "\"store\"")
            .replace("/orders", "/purchases")
            .replace("shipping.v1.Shipping", "parcels.v1.Parcels")
            .replace("placed-orders", "sales")
            .replace("pickups", "lorries")
            .replace("\"audit\"", "\"ledger\"");
        std::fs::write(&renamed, text).expect("written");
        let renamed = run(&["verdict", "--spans", renamed.to_str().expect("UTF-8")]);
        assert_eq!(renamed.code, here.code);
        match class {
            None => assert!(renamed.closing().starts_with("PASS  3 orders in 3 traces")),
            Some(class) => {
                let place = match class {
                    "http" => "`POST /purchases` of till",
                    "grpc" => "`parcels.v1.Parcels/Ship` of store",
                    "kafka" => "`process sales` of store",
                    "sqs" => "`process lorries` of store",
                    _ => "`ledger` of till",
                };
                let expected = format!("FAIL  {class} broken at {place} (3 times");
                assert!(renamed.closing().starts_with(&expected), "{}", renamed.out);
            }
        }
    }
}

#[test]
fn every_break_stands_in_one_table() {
    let demo = run(&["--break", "all", "--orders", "2"]);
    assert_eq!(demo.code, Some(0), "{}{}", demo.out, demo.err);
    assert_contains(
        &demo.out,
        &[
            "throughline::reqwest::ClientMiddleware",
            "throughline::tonic::ClientLayer",
            "throughline::kafka::FutureProducer",
            "throughline::task::spawn",
            "throughline::sqs::Interceptor",
            "4 traces, 2 orphans",
            "2 traces, 0 orphans",
        ],
    );
    assert!(demo.closing().starts_with("PASS"), "{}", demo.out);
}

#[test]
fn the_help_names_every_leg() {
    let wrong = run(&["--break", "nothing"]).err;
    let (_, legs) = wrong.split_once("choose one of ").expect("a choice");
    let (legs, _) = legs.split_once(", or all").expect("all of them");
    assert_contains(&run(&["--help"]).out, &[&format!("({legs}), or each in its turn (all)")]);
}

#[test]
fn what_cannot_be_read_is_told_in_a_sentence() {
    let missing = run(&["verdict", "--spans", "/no/such/file"]);
    assert_eq!(missing.code, Some(1));
    assert_contains(&missing.err, &["cannot read spans from /no/such/file"]);

    let path = file("empty.jsonl");
    std::fs::write(&path, "").expect("written");
    let empty = run(&["verdict", "--spans", path.to_str().expect("UTF-8")]);
    assert_eq!(empty.code, Some(1));
    assert!(empty.closing().starts_with("FAIL  no span tells of an order"), "{}", empty.out);
}

#[test]
fn a_reader_who_has_seen_enough_changes_no_verdict() {
    let mut demo = demo()
        .args(["--break", "http", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the demo starts");
    drop(demo.stdout.take());
    assert_eq!(demo.wait().expect("the demo ends").code(), Some(1));
}

#[test]
fn an_order_in_two_whole_traces_is_in_pieces() {
    let path = file("twice.jsonl");
    let kept = run(&["--orders", "1", "--spans", path.to_str().expect("UTF-8")]);
    assert_eq!(kept.code, Some(0), "{}{}", kept.out, kept.err);
    let once = std::fs::read_to_string(&path).expect("the spans were kept");
    // Of the order itself, not of whoever waited for it.
    let (before, _) = once.split_once("\"name\":\"reserve\"").expect("a span");
    let id = before.rsplit("\"traceId\":\"").next().expect("a span").get(..32).expect("an id");
    let again = once.replace(id, "0123456789abcdef0123456789abcdef");
    std::fs::write(&path, format!("{once}{again}")).expect("written");
    let twice = run(&["verdict", "--spans", path.to_str().expect("UTF-8")]);
    assert_eq!(twice.code, Some(1));
    assert_contains(twice.closing(), &["FAIL  order order-1 is spread over 2 traces"]);
}
