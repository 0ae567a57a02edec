//! Metrics of one test, kept in memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

/// Keeps what is measured in one test: a provider of meters, and what its instruments hold.
///
/// Nothing global is touched. A metric is read as lines, one for each set of attributes, in
/// alphabetical order:
///
/// ```
/// use opentelemetry::KeyValue;
/// use opentelemetry::metrics::MeterProvider;
/// use throughline_testing::Measurements;
///
/// let measurements = Measurements::new();
/// let sizes = measurements.meter("shop").u64_histogram("order.size").with_unit("By").build();
/// sizes.record(20, &[KeyValue::new("kind", "gift")]);
/// sizes.record(22, &[KeyValue::new("kind", "gift")]);
/// assert_eq!(measurements.of("order.size"), ["kind=gift: 2 of 42 By"]);
/// ```
///
/// A sum or a gauge is its value, a histogram its count and its sum; of one in seconds or
/// milliseconds only the count, since no test knows how long a thing takes.
#[derive(Clone)]
pub struct Measurements {
    provider: SdkMeterProvider,
    kept: Kept,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Read>>>);

/// One metric, as it was read.
struct Read {
    name: String,
    lines: Vec<String>,
    bounds: Vec<f64>,
}

impl Default for Measurements {
    fn default() -> Self {
        Measurements::new()
    }
}

impl fmt::Debug for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measurements").finish_non_exhaustive()
    }
}

impl MeterProvider for Measurements {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> opentelemetry::metrics::Meter {
        self.provider.meter_with_scope(scope)
    }
}

impl Measurements {
    /// A provider whose instruments hold nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let kept = Kept::default();
        let reader = PeriodicReader::builder(kept.clone()).build();
        Measurements { provider: SdkMeterProvider::builder().with_reader(reader).build(), kept }
    }

    /// The lines of the metric of this name; none where nothing was measured.
    ///
    /// # Panics
    ///
    /// Where the SDK's reader doesn't answer.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<String> {
        self.read(name, |read| read.lines.clone())
    }

    /// The upper bounds of the buckets of a histogram of this name.
    ///
    /// # Panics
    ///
    /// Where the SDK's reader doesn't answer.
    #[must_use]
    pub fn bounds(&self, name: &str) -> Vec<f64> {
        self.read(name, |read| read.bounds.clone())
    }

    /// The names of all metrics that hold something, in alphabetical order.
    ///
    /// # Panics
    ///
    /// Where the SDK's reader doesn't answer.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.refresh();
        let kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = kept.iter().map(|read| read.name.clone()).collect();
        names.sort();
        names
    }

    fn read<T: Default>(&self, name: &str, of: impl FnOnce(&Read) -> T) -> T {
        self.refresh();
        let kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|read| read.name == name).map(of).unwrap_or_default()
    }

    #[expect(clippy::panic, reason = "a test that cannot go on says so")]
    fn refresh(&self) {
        if let Err(error) = self.provider.force_flush() {
            panic!("the metrics can't be read: {error}");
        }
    }
}

impl PushMetricExporter for Kept {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let read = metrics.scope_metrics().flat_map(ScopeMetrics::metrics).map(read).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn read(metric: &Metric) -> Read {
    let unit = metric.unit();
    let (mut lines, bounds) = match metric.data() {
        AggregatedMetrics::F64(data) => points(data, unit),
        AggregatedMetrics::U64(data) => points(data, unit),
        AggregatedMetrics::I64(data) => points(data, unit),
    };
    lines.sort();
    Read { name: metric.name().to_owned(), lines, bounds }
}

fn points<T: Copy + fmt::Display>(data: &MetricData<T>, unit: &str) -> (Vec<String>, Vec<f64>) {
    let is_time = matches!(unit, "s" | "ms");
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            (points.map(|it| line(it.attributes(), &it.value())).collect(), Vec::new())
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points();
            (points.map(|it| line(it.attributes(), &it.value())).collect(), Vec::new())
        }
        MetricData::Histogram(histogram) => {
            let lines = histogram.data_points().map(|it| match is_time {
                true => line(it.attributes(), &it.count()),
                false => line(it.attributes(), &format!("{} of {} {unit}", it.count(), it.sum())),
            });
            let bounds = histogram.data_points().next();
            (lines.collect(), bounds.map(|it| it.bounds().collect()).unwrap_or_default())
        }
        MetricData::ExponentialHistogram(histogram) => {
            let points = histogram.data_points();
            (points.map(|it| line(it.attributes(), &it.count())).collect(), Vec::new())
        }
    }
}

fn line<'a>(
    attributes: impl Iterator<Item = &'a KeyValue>,
    value: &(impl fmt::Display + ?Sized),
) -> String {
    let mut pairs: Vec<_> = attributes.map(|it| format!("{}={}", it.key, it.value)).collect();
    pairs.sort();
    format!("{}: {value}", pairs.join(" "))
}
