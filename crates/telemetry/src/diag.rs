//! What this crate has to tell when no caller waits for an answer.

/// Says `text` where somebody reads it: in the log, or on stderr before there is one.
pub(crate) fn warn(text: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{text}");
    } else {
        eprintln!("throughline-telemetry: {text}");
    }
}

/// As [`warn`], for what cost data.
pub(crate) fn error(text: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{text}");
    } else {
        eprintln!("throughline-telemetry: {text}");
    }
}
