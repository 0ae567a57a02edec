//! Others on the other side, and in between: curl, grpcio with OpenTelemetry's own instrumentation,
//! nginx, Envoy, Caddy and Traefik; and on the other side of a queue, Python and Java with theirs. Whole
//! trees are judged, of what ours recorded and what the others exported.
//!
//! `native/stack run --only nginx,envoy,caddy,traefik,grpcio,kafka,sqs,queues-python,queues-java -- \
//! cargo test -p integration-tests --test peers`
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod curl;
mod docs;
mod edge;
mod envoy;
mod greeter;
mod grpcio;
mod nginx;
mod others;
mod process;
mod queues;
mod rig;
