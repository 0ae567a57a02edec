//! `throughline::reqwest::ClientMiddleware` as a user applies it.

use harness::{Expect, client};
use std::process::ExitCode;
use throughline::reqwest::ClientMiddleware;

fn main() -> ExitCode {
    client::main(Expect::Span("GET"), |client, provider, _| {
        client.with(ClientMiddleware::new().with_tracer_provider(provider))
    })
}
