//! The baseline: what the SDK charges for any interceptor at all.

use harness::Expect;
use harness::sqs::{self, Call, Noop};
use std::process::ExitCode;

fn main() -> ExitCode {
    sqs::call(Call::SendBatch, Expect::Nothing, |config, _| config.interceptor(Noop))
}
