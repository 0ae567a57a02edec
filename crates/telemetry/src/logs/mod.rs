//! Logs: one line an event, with the ids of the trace it belongs to.

mod fields;
mod human;
mod ids;
mod json;

use std::borrow::Cow;
use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::diag;
use fields::SpanFields;

/// How events are logged: one line each to stdout, with `trace_id`, `span_id` and `trace_flags`
/// of the OpenTelemetry context that is current where the event happens, inside a `tracing` span
/// or not, sampled or not; without a context the three are left out.
///
/// While a request is handled the line has its `http.request.method` and `http.route`, too, outside
/// every `tracing` span as well. They are read from the request's boundary span when a line is
/// written, and cost nothing otherwise; a request whose span isn't recorded, as one that isn't
/// sampled, leaves them out.
///
/// `RUST_LOG` decides what is logged; `info` unless set. Where it names modules only, the warnings of
/// Throughline (its target is `throughline`) are logged, too. It has no say over what is exported as
/// spans: see [`SpanFilter`](crate::SpanFilter).
#[must_use = "settings do nothing until they are made a layer, or given to a builder"]
pub struct Logs {
    format: Format,
    writer: BoxMakeWriter,
    service_name: Option<String>,
    baggage_keys: Vec<String>,
}

impl Logs {
    /// One JSON object a line: `timestamp` (RFC 3339, UTC), `level`, `target`, `message`,
    /// `service.name` where it is known, the three ids, method and route, `baggage` as far as
    /// [asked for](Self::baggage_keys), `fields`, and `spans`, the `tracing` spans around the event
    /// from the outermost inwards. What is empty is left out.
    pub fn json() -> Self {
        Self::new(Format::Json)
    }

    /// One line for people, with the same contents; control characters are escaped.
    pub fn human() -> Self {
        Self::new(Format::Human)
    }

    fn new(format: Format) -> Self {
        let writer = BoxMakeWriter::new(std::io::stdout);
        Self { format, writer, service_name: None, baggage_keys: Vec::new() }
    }

    /// Where the lines go; stdout unless set. It is called by the thread that logs, which waits.
    pub fn writer(mut self, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> Self {
        self.writer = BoxMakeWriter::new(writer);
        self
    }

    /// The `service.name` on each JSON line. [`Builder::init`](crate::Builder::init) sets that of
    /// the resource.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Tells these members of the baggage that is current; none unless told otherwise.
    /// [`Builder::baggage_keys`](crate::Builder::baggage_keys) adds those that spans get.
    ///
    /// Baggage comes from callers and log lines are kept: name what may be.
    pub fn baggage_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.baggage_keys.extend(keys.into_iter().map(Into::into));
        self
    }

    pub(crate) fn service_name_or(mut self, name: Option<String>) -> Self {
        self.service_name = self.service_name.or(name);
        self
    }

    /// The layer, for a registry of one's own. It holds its filter, read from `RUST_LOG` here; a
    /// value that can't be read is replaced by `info`, with a warning.
    #[must_use]
    pub fn layer<S>(self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Logs { format, writer, service_name, baggage_keys } = self;
        let line = Line { format, service_name, baggage_keys };
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .fmt_fields(SpanFields)
            .event_format(line)
            .with_writer(writer)
            .with_filter(filter())
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs")
            .field("format", &self.format)
            .field("service_name", &self.service_name)
            .field("baggage_keys", &self.baggage_keys)
            .finish_non_exhaustive()
    }
}

fn filter() -> EnvFilter {
    let builder = || EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let value = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    builder().parse(with_ours(&value)).unwrap_or_else(|error| {
        diag::warn(&format!("RUST_LOG={value:?} is ignored and `info` logged: {error}"));
        builder().parse_lossy("")
    })
}

/// Who names only modules of his own wants to read of those, and not to miss that a trace is in
/// pieces; a level for all, `off` too, is meant for us as well.
fn with_ours(directives: &str) -> Cow<'_, str> {
    let mut parts = directives.split(',').map(str::trim);
    let is_for_all = parts.any(|part| part.is_empty() || part.parse::<LevelFilter>().is_ok());
    if is_for_all || directives.contains("throughline") {
        return Cow::Borrowed(directives);
    }
    Cow::Owned(format!("throughline=warn,{directives}"))
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Human,
}

struct Line {
    format: Format,
    service_name: Option<String>,
    baggage_keys: Vec<String>,
}

impl<S> FormatEvent<S, SpanFields> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, SpanFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.format {
            Format::Json => json::write(self, cx, writer, event),
            Format::Human => human::write(self, cx, writer, event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_ours;

    #[test]
    fn our_warnings_are_left_out_only_by_who_means_it() {
        let cases = [
            ("", ""),
            ("off", "off"),
            ("error,orders=info", "error,orders=info"),
            ("orders=debug,throughline=off", "orders=debug,throughline=off"),
            ("orders=info", "throughline=warn,orders=info"),
            ("orders, hyper=warn", "throughline=warn,orders, hyper=warn"),
        ];
        for (given, wanted) in cases {
            assert_eq!(with_ours(given), wanted);
        }
    }
}
