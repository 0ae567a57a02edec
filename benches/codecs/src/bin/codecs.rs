//! One extraction or injection over a `HeaderMap`, ours or the SDK's.
//!
//! ```text
//! codecs ours-extract-baggage run N
//! ```

use std::hint::black_box;
use std::process::ExitCode;

use harness::Step;
use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use throughline::core::{Config, Format, Formats, W3cPropagator};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const B3: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
const XRAY: &str = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
const BAGGAGE: &str =
    "tenant=acme,user.id=4711,region=eu-central-1,plan=enterprise,session=f81d4fae";

/// As opentelemetry-http has them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let Ok(name) = http::HeaderName::from_bytes(key.as_bytes())
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            self.0.insert(name, value);
        }
    }
}

fn headers(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (http::header::ACCEPT, HeaderValue::from_static("*/*")),
        (http::HeaderName::from_static(name), HeaderValue::from_static(value)),
    ])
}

fn of_session(session: usize) -> HeaderMap {
    let baggage =
        BAGGAGE.replace("f81d4fae", &format!("{:08x}", session.wrapping_mul(0x9e37_79b9)));
    let value = HeaderValue::from_str(&baggage).unwrap_or(HeaderValue::from_static(BAGGAGE));
    HeaderMap::from_iter([
        (http::header::ACCEPT, HeaderValue::from_static("*/*")),
        (http::HeaderName::from_static("baggage"), value),
    ])
}

fn given(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Config {
    Config::new("codecs", "0.0.0").with_propagator(propagator)
}

fn sdk() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

/// Members of baggage, and one for a trace.
fn found(context: &Context) -> usize {
    context.baggage().len() + usize::from(context.span().span_context().is_valid())
}

/// Who extracts, or injects.
enum Who {
    Ours(Box<Config>),
    Sdk,
    /// Nobody: what it costs to look.
    None,
}

/// From one of `came` after the other.
fn extract(who: Who, came: Vec<HeaderMap>) -> Step {
    let sdk = sdk();
    let mut next = 0;
    Box::new(move || {
        next = if next + 1 < came.len() { next + 1 } else { 0 };
        let came = black_box(&came[next]);
        match &who {
            Who::Ours(config) => found(black_box(config.extract(came).context())),
            Who::Sdk => {
                found(&black_box(sdk.extract_with_context(&Context::new(), &Headers(came))))
            }
            Who::None => found(&black_box(Context::new())),
        }
    })
}

/// The map keeps its room, so that what is counted is the injection.
fn inject(who: Who, came: HeaderMap) -> Step {
    let sdk = sdk();
    let all = [Format::B3, Format::XRay, Format::TraceContext, Format::Baggage];
    let context = given(Formats::new(all)).extract(&came).context().clone();
    let mut left = HeaderMap::with_capacity(8);
    Box::new(move || {
        left.clear();
        match &who {
            Who::Ours(config) => config.inject(black_box(&context), &mut left),
            Who::Sdk => sdk.inject_context(black_box(&context), &mut HeadersMut(&mut left)),
            Who::None => {}
        }
        black_box(&left).values().filter(|value| !value.is_empty()).count()
    })
}

/// The step of this name, and what has to come of it.
fn step(name: &str) -> Option<(Step, usize)> {
    let (who, what) = name.split_once('-')?;
    let (direction, format) = what.split_once('-')?;
    let (came, propagator) = match format {
        "trace" => (headers("traceparent", TRACEPARENT), None),
        "baggage" | "baggage.seen" => (headers("baggage", BAGGAGE), None),
        "b3" => (headers("b3", B3), Some(Format::B3)),
        "xray" => (headers("x-amzn-trace-id", XRAY), Some(Format::XRay)),
        _ => return None,
    };
    let who = match (who, propagator) {
        ("ours", None) => Who::Ours(Box::new(given(W3cPropagator::new()))),
        ("ours", Some(format)) => Who::Ours(Box::new(given(Formats::new([format])))),
        ("sdk", None) => Who::Sdk,
        ("none", None) => Who::None,
        _ => return None,
    };
    let expected = match (&who, direction, format) {
        (Who::None, ..) => 0,
        (_, "extract", "baggage" | "baggage.seen") => 5,
        _ => 1,
    };
    let came = match format {
        // None like the one before: each names a session of its own.
        "baggage" => (0..256).map(of_session).collect(),
        _ => vec![came],
    };
    match direction {
        "extract" => Some((extract(who, came), expected)),
        "inject" => Some((inject(who, came.into_iter().next()?), expected)),
        _ => None,
    }
}

fn main() -> ExitCode {
    harness::steps(step)
}
