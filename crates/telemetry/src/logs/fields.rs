//! The fields of events and spans as JSON values.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use serde_json::{Map, Number, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

/// Collects fields; one that is recorded again replaces the first.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    pub(super) fn of(fields: impl RecordFields) -> Self {
        let mut collected = Self::default();
        fields.record(&mut collected);
        collected
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        self.0.insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity; null would say that there was no value.
        let value = Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number);
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, value.to_string().into());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, value.to_string().into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Writing to a string can't fail.
            let _ok = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// Keeps the fields of a span as a JSON object, for both formats. A type of its own, so that the
/// fields another layer keeps in its own way are not taken for ours.
#[derive(Debug)]
pub(super) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        write_map(&mut writer, Fields::of(fields).0)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut all = parse(current);
        all.append(&mut Fields::of(fields).0);
        current.fields.clear();
        write_map(&mut current.as_writer(), all)
    }
}

fn write_map(writer: &mut Writer<'_>, map: Map<String, Value>) -> fmt::Result {
    write!(writer, "{}", Value::Object(map))
}

/// The fields of a span as they were kept.
pub(super) fn parse(kept: &FormattedFields<SpanFields>) -> Map<String, Value> {
    serde_json::from_str(&kept.fields).unwrap_or_default()
}
