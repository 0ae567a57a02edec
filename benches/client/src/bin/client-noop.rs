//! The baseline: what reqwest-middleware charges for any middleware at all.

use async_trait::async_trait;
use harness::{Expect, client};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use std::process::ExitCode;

struct Noop;

#[async_trait]
impl Middleware for Noop {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        next.run(request, extensions).await
    }
}

fn main() -> ExitCode {
    client::main(Expect::Nothing, |client, _, _| client.with(Noop))
}
