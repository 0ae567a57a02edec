use super::*;

fn facts<'a, const N: usize>(kind: Kind, attributes: [(&'a str, Attribute<'a>); N]) -> Facts<'a> {
    Facts::new(kind, attributes)
}

const EXPECTED: (&str, Attribute<'_>) =
    (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Bool(true));

#[test]
fn inbound_roots_are_allowed_until_a_parent_is_expected() {
    for kind in [Kind::Server, Kind::Consumer] {
        assert_eq!(facts(kind, []).judge(), Verdict::Allowed(Allowed::Inbound));
        assert_eq!(facts(kind, [EXPECTED]).judge(), Verdict::Orphan);
        let not_expected = (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Bool(false));
        assert_eq!(facts(kind, [not_expected]).judge(), Verdict::Allowed(Allowed::Inbound));
        let stringly = (semconv::THROUGHLINE_PARENT_EXPECTED, Attribute::Str("true"));
        assert_eq!(facts(kind, [stringly]).judge(), Verdict::Orphan);
    }
}

#[test]
fn other_roots_are_orphans_unless_declared() {
    let declared = (semconv::THROUGHLINE_ROOT, Attribute::Str("nightly"));
    for kind in [Kind::Internal, Kind::Client, Kind::Producer] {
        assert_eq!(facts(kind, []).judge(), Verdict::Orphan, "{kind}");
        assert_eq!(facts(kind, [declared]).judge(), Verdict::Allowed(Allowed::Declared));
        for not in [Attribute::Bool(false), Attribute::Str("false")] {
            let not = (semconv::THROUGHLINE_ROOT, not);
            assert_eq!(facts(kind, [not]).judge(), Verdict::Orphan, "{kind} {not:?}");
        }
    }
}

#[test]
fn only_clients_that_receive_or_settle_are_roots() {
    for (operation, kind, allowed) in [
        ("receive", Kind::Client, true),
        ("settle", Kind::Client, true),
        ("send", Kind::Client, false),
        ("create", Kind::Producer, false),
        ("receive", Kind::Internal, false),
    ] {
        let operation = (semconv::MESSAGING_OPERATION_TYPE, Attribute::Str(operation));
        let verdict = facts(kind, [operation]).judge();
        assert_eq!(
            verdict == Verdict::Allowed(Allowed::ReceiveOrSettle),
            allowed,
            "{kind} {operation:?}"
        );
    }
}

#[test]
fn the_class_follows_the_conventions_of_an_inbound_span() {
    let http = (semconv::HTTP_REQUEST_METHOD, Attribute::Str("POST"));
    let grpc = (semconv::RPC_SYSTEM_NAME, Attribute::Str("grpc"));
    let kafka = (semconv::MESSAGING_SYSTEM_NAME, Attribute::Str("kafka"));
    let sqs = (semconv::MESSAGING_SYSTEM_NAME, Attribute::Str("aws.sqs"));
    assert_eq!(facts(Kind::Server, [http]).class(), Class::Http);
    assert_eq!(facts(Kind::Server, [http, grpc]).class(), Class::Grpc);
    assert_eq!(facts(Kind::Consumer, [kafka]).class(), Class::Kafka);
    assert_eq!(facts(Kind::Consumer, [sqs]).class(), Class::Sqs);
    assert_eq!(facts(Kind::Server, []).class(), Class::Task);
    for kind in [Kind::Internal, Kind::Client, Kind::Producer] {
        assert_eq!(facts(kind, [http, kafka]).class(), Class::Task, "{kind}");
    }
}

#[test]
fn a_consumer_came_by_its_message_and_not_by_the_poll_that_brought_it() {
    let http = (semconv::HTTP_REQUEST_METHOD, Attribute::Str("POST"));
    let grpc = (semconv::RPC_SYSTEM_NAME, Attribute::Str("grpc"));
    let of = |system| (semconv::MESSAGING_SYSTEM_NAME, Attribute::Str(system));
    assert_eq!(facts(Kind::Consumer, [http, of("aws.sqs")]).class(), Class::Sqs);
    assert_eq!(facts(Kind::Consumer, [grpc, of("kafka")]).class(), Class::Kafka);
    assert_eq!(facts(Kind::Consumer, [grpc, of("gcp_pubsub")]).protocol(), None);
    assert_eq!(facts(Kind::Consumer, [http]).class(), Class::Http);
    // Whom a queue calls is called.
    assert_eq!(facts(Kind::Server, [http, of("aws.sqs")]).class(), Class::Http);
}

/// As the instrumentation of other languages, and proxies, have them still.
#[test]
fn spans_of_others_are_judged_by_names_that_were_replaced() {
    let method = (replaced::HTTP_METHOD, Attribute::Str("POST"));
    let grpc = (replaced::RPC_SYSTEM, Attribute::Str("grpc"));
    let of = |system| (replaced::MESSAGING_SYSTEM, Attribute::Str(system));
    assert_eq!(facts(Kind::Server, [method]).class(), Class::Http);
    assert_eq!(facts(Kind::Server, [grpc]).class(), Class::Grpc);
    assert_eq!(facts(Kind::Consumer, [of("kafka")]).class(), Class::Kafka);
    assert_eq!(facts(Kind::Consumer, [of("aws_sqs")]).class(), Class::Sqs);
    let receive = (replaced::MESSAGING_OPERATION, Attribute::Str("receive"));
    let verdict = facts(Kind::Client, [receive]).judge();
    assert_eq!(verdict, Verdict::Allowed(Allowed::ReceiveOrSettle));
}

#[test]
fn facts_come_from_the_attributes_a_sampler_sees() {
    let seen = [
        opentelemetry::KeyValue::new(semconv::HTTP_REQUEST_METHOD, "GET"),
        opentelemetry::KeyValue::new(semconv::SERVER_PORT, 8080),
        opentelemetry::KeyValue::new(semconv::THROUGHLINE_PARENT_EXPECTED, true),
    ];
    let facts = Facts::new(
        Kind::from(&SpanKind::Server),
        seen.iter().map(|kv| (kv.key.as_str(), Attribute::from(&kv.value))),
    );
    assert_eq!((facts.judge(), facts.class()), (Verdict::Orphan, Class::Http));
}
