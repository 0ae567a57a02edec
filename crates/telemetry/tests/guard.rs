//! Roots that are none are counted and named, sampled or not.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{SpanKind, Tracer, TracerProvider};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SdkTracerProvider, SimpleSpanProcessor,
};
use throughline_core::root::{Allowed, Class, Declared};
use throughline_core::{Config, Description, End, semconv};
use throughline_telemetry::{Lineage, LineageGuard};
use tracing::field::{Field, Visit};
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

/// Keeps the warnings of a thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("a string takes all");
    }
}

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().expect("a lock").push(text.0);
    }
}

impl Warnings {
    /// Once there are as many: they are written by a thread of their own.
    fn wait_for(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.0.lock().expect("a lock").clone();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < end, "{count} warnings expected, got {found:?}");
            std::thread::yield_now();
        }
    }
}

struct Rig {
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
    lineage: Lineage,
}

fn rig(sampler: Sampler) -> Rig {
    let exporter = InMemorySpanExporter::default();
    let guard = LineageGuard::new(sampler);
    let (processor, lineage) =
        (guard.detail(SimpleSpanProcessor::new(exporter.clone())), guard.lineage());
    let provider =
        SdkTracerProvider::builder().with_sampler(guard).with_span_processor(processor).build();
    Rig { provider, exporter, lineage }
}

fn config(rig: &Rig) -> Config {
    Config::new("guard-test", "1.0.0").with_tracer_provider(&rig.provider)
}

fn receive(config: &Config, headers: &[(&str, &str)]) {
    let carrier: Vec<_> = headers.to_vec();
    let span = config.receive(config.extract(&carrier), SpanKind::Server, || {
        let mut span = Description::new("GET /", 4);
        span.set(semconv::HTTP_REQUEST_METHOD, "GET");
        span
    });
    span.end(End::Completed);
}

fn counts(lineage: &Lineage) -> (u64, [u64; 3]) {
    let allowed = [Allowed::Inbound, Allowed::Declared, Allowed::ReceiveOrSettle];
    (lineage.orphans(), allowed.map(|why| lineage.allowed(why)))
}

#[test]
fn a_lost_root_is_counted_whether_it_is_sampled_or_not() {
    for sampler in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
        let rig = rig(sampler);
        let tracer = rig.provider.tracer("a library");
        drop(tracer.start("process-async"));
        drop(tracer.start("process-async"));
        assert_eq!(counts(&rig.lineage), (2, [0, 0, 0]));
        let lost = rig.lineage.lost_roots();
        assert_eq!(lost.len(), 1);
        assert_eq!(
            (&*lost[0].name, lost[0].class, lost[0].count),
            ("process-async", Class::Task, 2)
        );
    }
}

#[test]
fn roots_by_right_are_no_orphans() {
    let rig = rig(Sampler::AlwaysOn);
    let config = config(&rig);
    receive(&config, &[]);
    config.root("nightly").end(End::Completed);
    let tracer = rig.provider.tracer("a poller");
    let poll = tracer.span_builder("poll orders").with_kind(SpanKind::Client).with_attributes([
        opentelemetry::KeyValue::new(semconv::MESSAGING_OPERATION_TYPE, "receive"),
    ]);
    drop(poll.start(&tracer));
    assert_eq!(counts(&rig.lineage), (0, [1, 1, 1]));
    // Below a span nothing is a root.
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    receive(&config, &[("traceparent", caller)]);
    assert_eq!(counts(&rig.lineage), (0, [1, 1, 1]));
}

#[test]
fn a_parent_that_was_expected_and_did_not_come_is_a_break() {
    let rig = rig(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    receive(&config(&rig).expect_parent(true), &[]);
    let lost = rig.lineage.lost_roots();
    assert_eq!((lost.len(), lost[0].class), (1, Class::Http));
}

#[test]
fn a_linked_message_whose_sender_was_expected_and_did_not_come_is_a_break() {
    use throughline_core::messaging::{self, CreationContext};
    let rig = rig(Sampler::AlwaysOn);
    let config = config(&rig);
    let mut job = config.root("nightly");
    job.enter(|| {
        for expected in [false, true] {
            let extraction = config.extract(&Vec::<(&str, &str)>::new());
            let how = (CreationContext::Link, expected);
            let span = messaging::process(&config, extraction, how, || {
                let mut span = Description::new("process orders", 4);
                span.set(semconv::MESSAGING_SYSTEM_NAME, "kafka");
                span
            });
            span.end(End::Completed);
        }
    });
    let lost = rig.lineage.lost_roots();
    assert_eq!((lost.len(), lost[0].class, lost[0].count), (1, Class::Kafka, 1));
}

#[test]
fn a_declared_context_allows_its_roots_and_marks_them_for_the_verdict() {
    let rig = rig(Sampler::AlwaysOn);
    let tracer = rig.provider.tracer("a scheduler");
    let declared = Declared::new("cleanup").mark(&Context::new());
    drop(tracer.start_with_context("tick", &declared));
    assert_eq!(counts(&rig.lineage), (0, [0, 1, 0]));
    let spans = rig.exporter.get_finished_spans().expect("spans");
    let mark =
        spans[0].attributes.iter().find(|pair| pair.key.as_str() == semconv::THROUGHLINE_ROOT);
    assert_eq!(mark.map(|pair| pair.value.to_string()).as_deref(), Some("cleanup"));
}

#[test]
fn a_lost_root_is_warned_of_once_a_minute_with_who_made_it() {
    let rig = rig(Sampler::AlwaysOn);
    let warnings = Warnings::default();
    with_default(tracing_subscriber::registry().with(warnings.clone()), || {
        for _ in 0..1_000 {
            drop(rig.provider.tracer("a library").start("process-async"));
        }
    });
    // Another name is told after whatever else there would be of the first.
    with_default(tracing_subscriber::registry().with(warnings.clone()), || {
        drop(rig.provider.tracer("a library").start("another"));
    });
    let warnings = warnings.wait_for(2);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for part in ["process-async", "a library", "trace ", "docs/lost-context.md", "class=task"] {
        assert!(warnings[0].contains(part), "{part} is missing: {}", warnings[0]);
    }
}

#[test]
fn an_unsampled_root_is_warned_of_as_well() {
    let rig = rig(Sampler::AlwaysOff);
    let warnings = Warnings::default();
    with_default(tracing_subscriber::registry().with(warnings.clone()), || {
        drop(rig.provider.tracer("a library").start("process-async"));
    });
    assert_eq!(warnings.wait_for(1).len(), 1);
}

#[test]
fn names_that_somebody_makes_up_cost_no_memory() {
    let rig = rig(Sampler::AlwaysOff);
    let tracer = rig.provider.tracer("a library");
    for number in 0..10_000 {
        drop(tracer.start(format!("span {number}")));
    }
    let lost = rig.lineage.lost_roots();
    assert_eq!(lost.len(), 129);
    assert_eq!((&*lost[0].name, lost[0].count), ("_OTHER", 10_000 - 128));
    assert_eq!(rig.lineage.orphans(), 10_000);
}

#[test]
fn the_counts_are_metrics() {
    let rig = rig(Sampler::AlwaysOff);
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    rig.lineage.observe(&meters.meter("throughline"));
    drop(rig.provider.tracer("a library").start("process-async"));
    receive(&config(&rig), &[]);
    meters.force_flush().expect("a flush");
    let mut seen = Vec::new();
    for resource in exporter.get_finished_metrics().expect("metrics") {
        for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else {
                panic!("{} is no counter", metric.name());
            };
            for point in sum.data_points() {
                let attributes = point.attributes().map(|pair| pair.value.to_string());
                let mut attributes: Vec<_> = attributes.collect();
                attributes.sort();
                seen.push((metric.name().to_owned(), attributes.join(", "), point.value()));
            }
        }
    }
    let value = |name: &str, attribute: &str| {
        let point = seen.iter().find(|(metric, with, _)| metric == name && with == attribute);
        point.map(|(_, _, value)| *value)
    };
    assert_eq!(value("throughline.orphans", "process-async, task"), Some(1), "{seen:?}");
    assert_eq!(value("throughline.orphans", "task"), Some(0));
    assert_eq!(value("throughline.orphans", "http"), Some(0));
    assert_eq!(value("throughline.roots", "inbound"), Some(1));
    assert!(value("throughline.extractions", "absent").is_some_and(|count| count > 0));
    assert!(value("throughline.injections", "injected").is_some());
}

#[test]
fn one_name_in_two_classes_is_two() {
    let rig = rig(Sampler::AlwaysOff);
    let warnings = Warnings::default();
    with_default(tracing_subscriber::registry().with(warnings.clone()), || {
        drop(rig.provider.tracer("a library").start("GET /"));
        let config = config(&rig).expect_parent(true);
        (0..3).for_each(|_| receive(&config, &[]));
    });
    let lost: Vec<_> = rig.lineage.lost_roots();
    let lost: Vec<_> = lost.iter().map(|it| (&*it.name, it.class, it.count)).collect();
    assert_eq!(lost, [("GET /", Class::Http, 3), ("GET /", Class::Task, 1)]);
    let warnings = warnings.wait_for(2);
    assert!(
        warnings[0].contains("class=task") && warnings[1].contains("class=http"),
        "{warnings:?}"
    );
}

#[test]
fn no_name_is_longer_than_what_is_told() {
    let rig = rig(Sampler::AlwaysOff);
    drop(rig.provider.tracer("a library").start("ä".repeat(1_000_000)));
    let lost = rig.lineage.lost_roots();
    assert_eq!((lost[0].name.len(), lost[0].count), (256, 1));
}

#[test]
fn a_root_that_never_ends_is_warned_of_as_well() {
    let rig = rig(Sampler::AlwaysOn);
    let warnings = Warnings::default();
    let open = with_default(tracing_subscriber::registry().with(warnings.clone()), || {
        rig.provider.tracer("a library").start("consume for ever")
    });
    let warning = warnings.wait_for(1).remove(0);
    assert!(warning.contains("consume for ever") && warning.contains("a library"), "{warning}");
    drop(open);
}
