//! Spans on threads that belong to no scope; in a process of its own, since other tests' scopes
//! would make it unclear whose they are.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "shows what is lost without")]

use opentelemetry::global;
use opentelemetry::trace::Tracer;
use throughline_testing::{Failure, Recorder};

/// What loses its context: a thread that nobody gave it to.
fn stray(name: &'static str) {
    let thread = std::thread::spawn(move || drop(global::tracer("lost").start(name)));
    thread.join().expect("no panic");
}

#[test]
fn a_span_on_a_foreign_thread_fails_the_test_by_name() {
    let alone = Recorder::new();
    alone.scope_blocking(|| stray("alone"));
    let failure = alone.check_no_orphans().expect_err("it is seen");
    assert!(failure.to_string().contains("`alone`"), "{failure}");
    assert_eq!(alone.check_no_strays(), Ok(()));

    let (outer, inner) = (Recorder::new(), Recorder::new());
    outer.scope_blocking(|| inner.scope_blocking(|| stray("whose")));
    for recorder in [&outer, &inner] {
        assert_eq!(recorder.check_no_orphans(), Ok(()), "it may be the other's");
        assert_eq!(recorder.check_no_strays(), Err(Failure::Strays(vec!["whose".to_owned()])));
    }
    // When no scope is open it is nobody's.
    stray("nobody's");
    assert_eq!(outer.strays().len(), 1);
}
