//! The baseline: what axum charges for any layer at all.

use harness::noop::Noop;
use harness::{Expect, server};
use std::process::ExitCode;

fn main() -> ExitCode {
    server::main(Expect::Nothing, |router, _| router.layer(Noop))
}
