//! No layer at all: what the no-op layer itself costs can be seen against this.

use harness::{Expect, server};
use std::process::ExitCode;

fn main() -> ExitCode {
    server::main(Expect::Nothing, |router, _| router)
}
