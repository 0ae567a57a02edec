//! `throughline::axum::ServerLayer` as a user applies it.

use harness::{Expect, server};
use std::process::ExitCode;
use throughline::axum::ServerLayer;

fn main() -> ExitCode {
    server::main(Expect::Span("GET /users/{id}"), |router, provider| {
        router.layer(ServerLayer::new().with_tracer_provider(provider))
    })
}
