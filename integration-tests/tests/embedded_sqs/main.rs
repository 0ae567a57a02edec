//! SQS as AWS documents it: one list of cases, for the embedded server and for ElasticMQ.
//!
//! Where the two differ, AWS's documents decide; the documentation of
//! `throughline_testing::embedded::sqs` has the table, and the case that shows a row names it.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod batches;
mod common;
mod crowd;
mod dead_letter;
mod differences;
mod faults;
mod fifo;
mod limits;
mod messages;
mod queues;
mod time;
mod visibility;
mod wire;
