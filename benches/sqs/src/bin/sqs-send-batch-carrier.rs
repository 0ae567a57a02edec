//! Messages that carry an attribute, and no trace.

use harness::Expect;
use harness::sqs::{self, Call, Carrier};
use std::process::ExitCode;

fn main() -> ExitCode {
    sqs::call(Call::SendBatch, Expect::Nothing, |config, _| config.interceptor(Carrier))
}
