//! The line for people.

use std::fmt;

use serde_json::{Map, Value};
use throughline_core::{HandledRequest, semconv};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::Line;
use super::fields::{Fields, SpanFields, parse};
use super::ids::{self, Current};

/// `<time> <level> <span>{k=v}: <target>: <message> k=v … baggage.k=v … http.request.method=…
/// http.route=… trace_id=… span_id=… trace_flags=…`
pub(super) fn write<S>(
    line: &Line,
    cx: &FmtContext<'_, S, SpanFields>,
    mut writer: Writer<'_>,
    event: &Event<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    SystemTime.format_time(&mut writer)?;
    write!(writer, " {:>5} ", event.metadata().level())?;
    for span in cx.event_scope().into_iter().flat_map(Scope::from_root) {
        write!(writer, "{}", Escaped(span.metadata().name()))?;
        if let Some(kept) = span.extensions().get::<FormattedFields<SpanFields>>() {
            let fields = parse(kept);
            if !fields.is_empty() {
                writer.write_char('{')?;
                write_fields(&mut writer, &fields, "")?;
                writer.write_char('}')?;
            }
        }
        writer.write_str(": ")?;
    }
    write!(writer, "{}:", Escaped(event.metadata().target()))?;
    let Fields(mut fields) = Fields::of(event);
    match fields.remove("message") {
        Some(Value::String(text)) => write!(writer, " {}", Escaped(&text))?,
        Some(other) => write!(writer, " {other}")?,
        None => {}
    }
    write_fields(&mut writer, &fields, " ")?;
    let Current { span, request, baggage } = ids::current(event, &line.baggage_keys);
    for (key, value) in baggage {
        let value = value.as_str().unwrap_or_default();
        write!(writer, " baggage.{}=", Escaped(&key))?;
        write_text(&mut writer, value)?;
    }
    if let Some(HandledRequest { method, route, .. }) = request {
        write!(writer, " {}=", semconv::HTTP_REQUEST_METHOD)?;
        write_text(&mut writer, method)?;
        if let Some(route) = route {
            write!(writer, " {}=", semconv::HTTP_ROUTE)?;
            write_text(&mut writer, &route)?;
        }
    }
    if let Some(span) = span {
        write!(writer, " trace_id={} span_id={}", span.trace_id(), span.span_id())?;
        write!(writer, " trace_flags={:02x}", span.trace_flags())?;
    }
    writeln!(writer)
}

fn write_fields(writer: &mut Writer<'_>, fields: &Map<String, Value>, first: &str) -> fmt::Result {
    let mut separator = first;
    for (name, value) in fields {
        write!(writer, "{separator}{}=", Escaped(name))?;
        separator = " ";
        match value {
            Value::String(text) => write_text(writer, text)?,
            other => write!(writer, "{other}")?,
        }
    }
    Ok(())
}

/// A bare value ends at the next space: what would be read wrong is quoted.
fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    if is_plain(text) { writer.write_str(text) } else { write!(writer, "{text:?}") }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '=', '"', '{', '}', '\\']) && !text.contains(is_risky)
}

/// Control characters move the cursor and forge lines, and so do those that turn the direction
/// of what follows.
fn is_risky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text with the characters escaped that a terminal would act on.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_risky(*c)) {
            write!(f, "{}{}", &rest[..at], c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}
