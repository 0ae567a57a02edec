//! The SDK alone.

use harness::Expect;
use harness::sqs::{self, Call};
use std::process::ExitCode;

fn main() -> ExitCode {
    sqs::call(Call::Send, Expect::Nothing, |config, _| config)
}
