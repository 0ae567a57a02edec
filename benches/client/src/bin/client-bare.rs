//! No middleware at all: what the no-op middleware itself costs can be seen against this.

use harness::{Expect, client};
use std::process::ExitCode;

fn main() -> ExitCode {
    client::main(Expect::Nothing, |client, _, _| client)
}
