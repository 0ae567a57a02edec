//! The baseline.

use harness::noop::Noop;
use harness::{Expect, rpc};
use std::process::ExitCode;
use throughline::opentelemetry::trace::SpanKind;

fn main() -> ExitCode {
    rpc::main(SpanKind::Client, Expect::Nothing, |_| Noop)
}
