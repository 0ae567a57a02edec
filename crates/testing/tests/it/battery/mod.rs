//! The battery is tested by boundaries that are wrong on purpose: each has to fail in its own
//! words, and the right one in none.

mod boundary;
mod carrier;
mod driver;
mod inbound;
mod life;
mod outbound;
mod queue;
mod wrong;

use opentelemetry::trace::SpanKind;
use throughline_core::{Config, Description, W3cPropagator};
use throughline_testing::battery::{self, Handler, Headers, Inbound, Report, Setup};

use wrong::Memory;
use wrong::Wrong::{self, Nothing};

/// A case, and those who fail it, each in its own words.
type Teeth<'a> = (&'a str, &'a [(Wrong, &'a str)]);

/// Whether each case is failed by all who are told to, and each case there is by somebody: one
/// that nobody fails asks for nothing.
async fn prove(run: impl AsyncFn(Wrong) -> Report, cases: &[Teeth<'_>]) {
    let right = prove_some(run, cases).await;
    for case in right.cases() {
        let is_failed = cases.iter().any(|(name, wrong)| *name == case.name && !wrong.is_empty());
        assert!(is_failed, "no boundary is wrong enough to fail `{}`", case.name);
    }
}

/// The same without the last; the report of the right one.
async fn prove_some(run: impl AsyncFn(Wrong) -> Report, cases: &[Teeth<'_>]) -> Report {
    let right = run(Nothing).await;
    right.assert();
    let mut reports: Vec<(Wrong, Report)> = Vec::new();
    let mut toothless = String::new();
    for (case, all) in cases {
        for (wrong, message) in *all {
            if !reports.iter().any(|(known, _)| known == wrong) {
                reports.push((*wrong, run(*wrong).await));
            }
            for (_, report) in reports.iter().filter(|(known, _)| known == wrong) {
                match report.failure(case) {
                    Some(failure) if failure.contains(message) => {}
                    Some(failure) => {
                        toothless += &format!("{wrong:?} fails `{case}` with:\n    {failure}\n");
                    }
                    None => toothless += &format!("{wrong:?} passed `{case}`\n"),
                }
            }
        }
    }
    assert!(toothless.is_empty(), "{toothless}");
    right
}

#[tokio::test]
async fn one_thread_proves_nothing_of_isolation() {
    proves_nothing(&battery::inbound(Memory::new(Nothing)).await);
    proves_nothing(&battery::outbound(Memory::new(Nothing)).await);
}

#[track_caller]
fn proves_nothing(report: &Report) {
    let failure = report.failure("isolates 1,000 concurrent messages").unwrap();
    assert!(failure.contains("multi_thread"), "{failure}");
    let error = report.check().unwrap_err().to_string();
    assert!(error.contains("- isolates 1,000 concurrent messages:\n    one thread"), "{error}");
    assert_eq!(report.cases().iter().filter(|case| case.failure.is_some()).count(), 1);
}

/// A driver that is of no use.
struct Silent;

impl Inbound for Silent {
    type Boundary = ();
    const KIND: SpanKind = SpanKind::Server;

    async fn boundary(&self, _: Setup) {}

    async fn deliver(&self, (): &(), headers: Headers, _: Handler) {
        assert!(headers.iter().next().is_some(), "no headers came");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_serves_nothing_fails_everywhere_and_ends() {
    let report = battery::inbound(Silent).await;
    assert!(report.cases().iter().all(|case| case.failure.is_some()), "{report}");
    let failure = report.failure("continues the caller's trace").unwrap();
    assert_eq!(failure, "the message was not served: its handler never ran");
}

#[test]
fn headers_are_a_carrier_and_become_http_headers() {
    let mut headers = Headers::from([("Traceparent", "stale"), ("x", "1"), ("x", "2")]);
    let config = Config::new("test", "1").with_propagator(W3cPropagator::new());
    let recorder = throughline_testing::Recorder::new();
    let config = config.with_tracer_provider(&recorder.provider());
    let span = config.send(SpanKind::Client, || Description::new("call", 0));
    config.inject(span.context(), &mut headers);
    assert_eq!(headers.get_all("traceparent").count(), 1);
    headers.push("not a header", "is left out");
    let map = http::HeaderMap::from(headers);
    let names: Vec<_> = Headers::from(&map).iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["x", "x", "traceparent"]);
}
