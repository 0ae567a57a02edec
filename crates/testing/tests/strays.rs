//! Spans on threads that belong to no scope; in a process of its own, since other tests' scopes
//! would make it unclear whose they are.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]
#![expect(clippy::disallowed_methods, reason = "shows what is lost without")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use opentelemetry::trace::Tracer;
use opentelemetry::{Context, global};
use throughline_testing::{Failure, Recorder};
use tokio::runtime::Runtime;

/// For the same reason, one test after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn span(name: &'static str) {
    drop(global::tracer("test").start(name));
}

/// What loses its context: a thread that nobody gave it to.
fn stray(name: &'static str) {
    std::thread::spawn(move || span(name)).join().expect("no panic");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Every assertion that a lost span makes untrue.
#[track_caller]
fn fails(recorder: &Recorder, lost: &str) {
    let failure = Err(Failure::Strays(vec![lost.to_owned()]));
    assert_eq!(recorder.check_no_strays(), failure);
    assert_eq!(recorder.check_tree("INTERNAL work"), failure);
    assert_eq!(recorder.check_one_trace().map(|_| ()), failure);
    assert_eq!(recorder.check_no_orphans(), failure);
}

#[test]
fn a_span_on_a_foreign_thread_fails_the_test_by_name() {
    let _alone = alone();
    let recorder = Recorder::new();
    recorder.scope_blocking(|| stray("alone"));
    let failure = recorder.check_no_orphans().expect_err("it is seen");
    assert!(failure.to_string().contains("`alone`"), "{failure}");
    assert_eq!(recorder.check_no_strays(), Ok(()));
}

#[test]
fn where_two_scopes_are_open_both_are_told() {
    let _alone = alone();
    let (outer, inner) = (Recorder::new(), Recorder::new());
    outer.scope_blocking(|| {
        span("work");
        inner.scope_blocking(|| {
            span("work");
            stray("whose");
        });
    });
    for recorder in [&outer, &inner] {
        fails(recorder, "whose");
        assert_eq!(recorder.check_all_ended(), Ok(()));
        recorder.clear();
        assert_eq!(recorder.check_no_strays(), Ok(()));
    }
}

#[test]
fn a_span_that_comes_too_late_is_told_to_who_may_have_lost_it() {
    let _alone = alone();
    let late = Recorder::new();
    late.scope_blocking(|| span("work"));
    stray("late");
    fails(&late, "late");
    // The scope of the next one may not hide it.
    late.clear();
    let next = Recorder::new();
    next.scope_blocking(|| stray("later"));
    for recorder in [&late, &next] {
        assert_eq!(recorder.strays(), ["later"]);
    }
    drop(late);
    next.clear();
    next.scope_blocking(|| stray("now"));
    assert_eq!(next.strays(), [""; 0], "there is nobody else left");
    assert_eq!(next.spans().len(), 1);
}

#[test]
fn a_runtime_says_whose_a_span_is() {
    let _alone = alone();
    let [(first, here), (second, there)] = [(); 2].map(|()| (Recorder::new(), runtime()));
    let innocent = Recorder::new();
    // Beside them, all the time.
    let mut beside = Box::pin(innocent.scope(std::future::pending::<()>()));
    assert!(beside.as_mut().now_or_never().is_none());
    here.block_on(first.scope(async { span("work") }));
    there.block_on(second.scope(async {
        span("work");
        tokio::spawn(async { span("lost") }).await.expect("no panic");
    }));
    assert_eq!(second.spans().len(), 2, "it is kept");
    let late = here.spawn(async { span("late") });
    here.block_on(late).expect("no panic");
    fails(&first, "late");
    for recorder in [&second, &innocent] {
        assert_eq!(recorder.check_no_strays(), Ok(()));
    }
}

#[test]
fn a_thread_that_a_scope_holds_says_whose_a_span_is() {
    let _alone = alone();
    let (outer, inner) = (Recorder::new(), Recorder::new());
    outer.scope_blocking(|| {
        inner.scope_blocking(|| {
            let _nothing = Context::new().attach();
            span("lost");
            runtime().block_on(async { span("lost in a runtime") });
        });
        let _nothing = Context::new().attach();
        span("the other's");
    });
    assert_eq!(inner.spans().len(), 2);
    assert_eq!(outer.spans().len(), 1);
    for recorder in [&outer, &inner] {
        assert_eq!(recorder.check_no_strays(), Ok(()));
    }
}

#[test]
fn what_was_started_before_a_scope_is_none_of_its_spans() {
    let _alone = alone();
    let recorder = Recorder::new();
    stray("before its scope");
    recorder.scope_blocking(|| span("work"));
    recorder.assert_tree("INTERNAL work");
}
