//! Meters whose measurements are kept, and go nowhere.

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use std::time::Duration;

struct Nowhere;

impl PushMetricExporter for Nowhere {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
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

/// A provider that is read less often than anything here takes, and lives as long as the process.
pub fn meters() -> SdkMeterProvider {
    let reader = PeriodicReader::builder(Nowhere).with_interval(Duration::from_secs(86_400));
    let provider = SdkMeterProvider::builder().with_reader(reader.build()).build();
    // Its last clone would shut it down.
    std::mem::forget(provider.clone());
    provider
}
