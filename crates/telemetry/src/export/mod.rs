//! The way of an ended span: counted, queued by the SDK's batch processor, sent by our thread.

mod client;
mod counts;
mod processor;
mod report;
mod target;
mod thread;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor};

use crate::env::Env;
use crate::error::InitError;
pub(crate) use counts::Counts;
use processor::CountedProcessor;
use thread::{Stop, ThreadExporter};

/// What the specification gives as defaults for OTLP and for the batch processor.
const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
const QUEUE: u64 = 2048;
const BATCH: u64 = 512;
/// The SDK takes the memory of a whole queue at the start: some hundred megabytes for this many.
const MOST: u32 = 1 << 20;
const SCHEDULE_DELAY: Duration = Duration::from_secs(5);

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// Whether spans are to be exported at all, by `OTEL_TRACES_EXPORTER`.
pub(crate) fn wanted(env: &mut Env) -> bool {
    let Some(list) = env.text(EXPORTER) else { return true };
    let (mut otlp, mut other) = (false, false);
    for name in list.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        match name.as_str() {
            "otlp" => otlp = true,
            "none" | "" => other = true,
            // Who names one of these has no OTLP collector: errors of one would only mislead.
            "console" | "logging" | "zipkin" | "jaeger" | "prometheus" => {
                other = true;
                env.warn(format!(
                    "{EXPORTER}: the exporter {name:?} is not supported and exports nothing; use \
                     otlp or none"
                ));
            }
            _ => env.warn(format!("{EXPORTER}: {name:?} is ignored; use otlp or none")),
        }
    }
    otlp || !other
}

/// The running export, as its owner holds it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) counts: Arc<Counts>,
    pub(crate) stop: Stop,
}

/// Starts the exporter's thread and gives the processor for the provider; nothing where spans
/// can't be exported, which the environment then tells.
pub(crate) fn start(
    env: &mut Env,
    endpoint_from_code: Option<String>,
) -> Result<Option<(CountedProcessor, Pipeline)>, InitError> {
    if !target::check_protocol(env) {
        return Ok(None);
    }
    target::check_compression(env);
    target::check_headers(env);
    let target = target::resolve(env, endpoint_from_code)?;
    let timeout = env
        .millis(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])
        .unwrap_or(OTLP_TIMEOUT);
    // The SDK reads this one and then ignores it.
    let limit = env.millis(&["OTEL_BSP_EXPORT_TIMEOUT"]).map_or(timeout, |bsp| bsp.min(timeout));

    let queue = env.size("OTEL_BSP_MAX_QUEUE_SIZE", MOST).unwrap_or(QUEUE);
    let batch = env.size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", MOST).unwrap_or(BATCH).min(queue);
    let delay = env.millis(&["OTEL_BSP_SCHEDULE_DELAY"]).unwrap_or(SCHEDULE_DELAY);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);

    let (client, url) = client::Client::new(&target.url)?;
    let trouble = client.trouble();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url)
        .with_timeout(timeout)
        .with_http_client(client)
        .build()
        .map_err(InitError::Exporter)?;

    let counts = Arc::new(Counts::new(queue));
    let (exporter, stop) =
        ThreadExporter::start(exporter, limit, trouble, target.shown, Arc::clone(&counts))
            .map_err(InitError::Thread)?;
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(
            BatchConfigBuilder::default()
                .with_max_queue_size(size(queue))
                .with_max_export_batch_size(size(batch))
                .with_scheduled_delay(delay)
                .build(),
        )
        .build();
    Ok(Some((CountedProcessor::new(processor, Arc::clone(&counts)), Pipeline { counts, stop })))
}
