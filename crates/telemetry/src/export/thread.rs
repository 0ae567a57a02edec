//! The one thread that talks to the collector.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::sync::{mpsc, oneshot, watch};

use super::client::Trouble;
use super::counts::Counts;
use super::report::Report;

#[derive(Debug)]
enum Job {
    Export { batch: Vec<SpanData>, reply: oneshot::Sender<Result<(), String>> },
    SetResource(Resource),
}

/// Ends what the thread is doing, and all it would still do.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

/// Hands each batch to a thread with a runtime of its own and waits for its answer.
///
/// The batch processor's thread has no reactor, and the service's runtime may be of one thread
/// that is busy waiting for this very flush: neither can drive an async HTTP client.
#[derive(Debug)]
pub(super) struct ThreadExporter {
    // Never more than one batch: the processor waits for the answer before it sends the next.
    jobs: mpsc::UnboundedSender<Job>,
    counts: Arc<Counts>,
    report: Report,
}

impl ThreadExporter {
    pub(super) fn start(
        exporter: OtlpExporter,
        limit: Duration,
        trouble: Trouble,
        endpoint: String,
        counts: Arc<Counts>,
    ) -> io::Result<(Self, Stop)> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let worker = Worker { exporter, limit, trouble, stopped };
        #[expect(clippy::disallowed_methods, reason = "exports are of no trace")]
        std::thread::Builder::new().name("throughline-export".to_owned()).spawn(move || {
            // A span of the exporter's own request would be exported by a request, and so on.
            // One guard covers all: the runtime polls every task on this thread.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            runtime.block_on(worker.run(inbox));
            // A look-up of a name can't be interrupted; nobody is to wait for it.
            runtime.shutdown_background();
        })?;
        Ok((Self { jobs, counts, report: Report::new(endpoint) }, Stop(stop)))
    }
}

impl SpanExporter for ThreadExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        self.counts.sending(spans);
        let (reply, answer) = oneshot::channel();
        let result = match self.jobs.send(Job::Export { batch, reply }) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err("its thread has ended".to_owned())),
            Err(_) => Err("its thread has ended".to_owned()),
        };
        self.counts.sent(spans, result.as_ref().err().map(String::as_str));
        match result {
            Ok(()) => {
                self.report.arrived(&self.counts);
                Ok(())
            }
            Err(cause) => {
                self.report.failed(&cause, &self.counts);
                Err(OTelSdkError::InternalFailure(cause))
            }
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        // A thread that has ended exports nothing that would need a resource.
        drop(self.jobs.send(Job::SetResource(resource.clone())));
    }
}

struct Worker {
    exporter: OtlpExporter,
    limit: Duration,
    trouble: Trouble,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Job>) {
        while let Some(job) = inbox.recv().await {
            match job {
                Job::SetResource(resource) => self.exporter.set_resource(&resource),
                Job::Export { batch, reply } => {
                    let result = self.export(batch).await;
                    // The processor may have given up on the answer.
                    drop(reply.send(result));
                }
            }
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>) -> Result<(), String> {
        self.trouble.take();
        let export = tokio::time::timeout(self.limit, self.exporter.export(batch));
        let result = tokio::select! {
            biased;
            // An error means that the owner is gone without a word: the spans may still go out.
            Ok(_) = self.stopped.wait_for(|stopped| *stopped) => {
                return Err("the deadline of the shutdown passed".to_owned());
            }
            result = export => result,
        };
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.trouble.take().unwrap_or_else(|| error.to_string())),
            Err(_) => Err(match self.trouble.take() {
                Some(cause) => format!("no success within {:?}, at last: {cause}", self.limit),
                None => format!("no answer within {:?}", self.limit),
            }),
        }
    }
}
