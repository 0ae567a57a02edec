//! The baseline: a loop over messages, which knows of no trace.

use harness::{Expect, sqs};
use std::process::ExitCode;

fn main() -> ExitCode {
    sqs::process(
        Expect::Nothing,
        |_| (),
        async |(), message| {
            let handled = async { sqs::handle(message.body().unwrap_or_default()) };
            handled.await;
        },
    )
}
