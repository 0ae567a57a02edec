//! A sampler that keeps a span and exports it not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, Status, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData,
    SpanProcessor,
};
use throughline_core::{Config, Description, End, W3cPropagator, boundary};

#[derive(Clone, Debug)]
struct RecordOnly;

impl ShouldSample for RecordOnly {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let decision = SamplingDecision::RecordOnly;
        SamplingResult { decision, attributes: Vec::new(), trace_state: Default::default() }
    }
}

/// Takes every span there is: exporters are only given those that are sampled.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("not poisoned").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn its_span_is_told_everything_and_ends() {
    for kind in [SpanKind::Server, SpanKind::Client] {
        let ended = Ended::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(RecordOnly)
            .with_span_processor(ended.clone())
            .build();
        let config = Config::new("test", "1")
            .with_propagator(W3cPropagator::new())
            .with_tracer_provider(&provider);
        let extraction = config.extract(&Vec::<(String, String)>::new());
        let mut span = config.receive(extraction, kind.clone(), || Description::new("serve", 2));
        assert!(span.is_recording() && !span.is_carried());
        span.set_attribute("by.owner", true);
        span.enter(|| boundary().set_attribute("by.handler", true));
        let mut onward = Vec::<(String, String)>::new();
        config.inject(span.context(), &mut onward);
        let own = span.context().span().span_context().clone();
        span.end(End::failed("503"));

        let header = format!("00-{}-{}-00", own.trace_id(), own.span_id());
        assert_eq!(onward, [("traceparent".to_owned(), header)]);
        let ended = ended.0.lock().expect("not poisoned");
        let [span] = ended.as_slice() else { panic!("not one end: {ended:#?}") };
        assert_eq!(span.status, Status::error(""));
        let mut expected = vec![KeyValue::new("by.owner", true)];
        if kind == SpanKind::Server {
            // What goes out has no handler.
            expected.push(KeyValue::new("by.handler", true));
        }
        expected.push(KeyValue::new("error.type", "503"));
        assert_eq!(span.attributes, expected);
    }
}
