//! A poll that asks for the attributes of a trace, and gets them.

use harness::Expect;
use harness::sqs::{self, Call, Carrier};
use std::process::ExitCode;

fn main() -> ExitCode {
    sqs::call(Call::Receive, Expect::Nothing, |config, _| config.interceptor(Carrier))
}
