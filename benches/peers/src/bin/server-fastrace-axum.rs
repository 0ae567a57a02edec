//! fastrace-axum. It has spans of its own, collected on a thread of its own, and no
//! OpenTelemetry context.

use fastrace::collector::{Config, Reporter, SpanRecord};
use harness::{Expect, Mode, PARENT_SPAN_ID, TRACE_ID, server};
use std::process::ExitCode;
use std::sync::Mutex;

static REPORTED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

struct Report;

impl Reporter for Report {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        // Of a count's thousands, a few are enough to tell that there were any.
        let mut reported = REPORTED.lock().expect("nothing panics in here");
        let room = 16_usize.saturating_sub(reported.len());
        let ids = |span: &SpanRecord| (span.trace_id.to_string(), span.parent_id.to_string());
        reported.extend(spans.iter().take(room).map(ids));
    }
}

fn check(mode: Mode, requests: u64) -> Result<(), String> {
    fastrace::flush();
    let reported = REPORTED.lock().map_err(|e| e.to_string())?;
    let wanted = match mode {
        Mode::Sampled => requests,
        Mode::Unsampled => 0,
        // It has no sampler: what brings no parent is traced.
        Mode::Dropped => return Err("no sampler".to_owned()),
    };
    let parent = (TRACE_ID.to_owned(), PARENT_SPAN_ID.to_owned());
    if reported.len() as u64 == wanted && reported.iter().all(|ids| *ids == parent) {
        return Ok(());
    }
    Err(format!("{wanted} children of {parent:?} expected: {reported:?}"))
}

fn main() -> ExitCode {
    server::main(Expect::Own(check), |router, _| {
        fastrace::set_reporter(Report, Config::default());
        router.layer(fastrace_axum::FastraceLayer::default())
    })
}
