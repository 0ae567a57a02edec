//! SQS as AWS documents it: one list of cases, for the embedded server and for ElasticMQ.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod common;
mod messages;
mod queues;
mod visibility;
