//! What an attacker can send, and what comes of it. `SECURITY.md` names these tests.

use std::fmt;
use std::sync::{Arc, Mutex};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use throughline_core::codec::{baggage, tracestate};
use throughline_core::{Config, Format, Formats, Outcome, outcomes};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

type Headers = Vec<(String, String)>;

fn config() -> Config {
    let all = [Format::TraceContext, Format::Baggage, Format::B3, Format::B3Multi, Format::XRay];
    Config::new("test", "1").with_propagator(Formats::new(all))
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[test]
fn what_is_sent_on_is_bounded_however_much_came() {
    let members = (0..10_000).map(|i| format!("k{i}={}", "v".repeat(100))).collect::<Vec<_>>();
    let states = (0..32).map(|i| format!("k{i}={}", "v".repeat(250))).collect::<Vec<_>>();
    let large = "x".repeat(1 << 20);
    let mut came: Headers = vec![
        header("traceparent", TRACEPARENT),
        header("tracestate", states.join(",")),
        header("baggage", members.join(",")),
    ];
    for name in ["b3", "x-b3-traceid", "x-amzn-trace-id", "baggage"] {
        came.push(header(name, large.clone()));
    }
    came.extend((0..10_000).map(|i| header("baggage", format!("h{i}=v"))));
    let extraction = config().extract(&came);
    let context = extraction.context();
    assert!(context.span().span_context().is_valid());
    assert!(context.baggage().len() <= baggage::MAX_MEMBERS);

    let mut left = Headers::new();
    config().inject(context, &mut left);
    let bytes: usize = left.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= baggage::MAX_BYTES + tracestate::MAX_BYTES + 512, "{bytes}");
}

/// Every event, and how loud it is.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        self.0.lock().expect("nothing panics in here").push((*event.metadata().level(), text));
    }
}

#[test]
fn what_is_refused_is_counted_and_neither_shown_nor_shouted() {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    let counted = || outcomes().malformed.iter().map(|(_, count)| count).sum::<u64>();
    let (before, mut refused) = (counted(), 0);
    tracing::subscriber::with_default(subscriber, || {
        for name in
            ["traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-amzn-trace-id"]
        {
            for value in ["sesame", "sesame=\u{7f},sesame", "Root=sesame;Parent=sesame"] {
                let extraction = config().extract(&vec![header(name, value)]);
                config().inject(extraction.context(), &mut Headers::new());
                refused += u64::from(matches!(extraction.outcome(), Outcome::Malformed(_)));
            }
        }
    });
    // Others may count at the same time.
    assert!(refused >= 9 && counted() - before >= refused, "{refused} were refused");
    let told = log.0.lock().expect("nothing panicked");
    assert!(!told.is_empty());
    for (level, text) in &*told {
        assert!(*level >= Level::DEBUG, "{level}: {text}");
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[test]
fn no_header_is_split_and_no_control_character_goes_on() {
    let smuggled = "a=1%0d%0aset-cookie:%20x,b=2;p=%0d%0ax,c=\r\nx: y,d=4";
    for value in [smuggled, "x\r\nset-cookie: x", "a=\u{0}", "a=\u{1b}[31m"] {
        let came: Headers = ["traceparent", "tracestate", "baggage", "b3", "x-amzn-trace-id"]
            .into_iter()
            .map(|name| header(name, value))
            .chain([
                header("x-b3-traceid", "64fe8b2a57d3eff7"),
                header("x-b3-spanid", "64fe8b2a57d3eff7"),
            ])
            .collect();
        let mut left = Headers::new();
        config().inject(config().extract(&came).context(), &mut left);
        assert!(!left.is_empty());
        for (name, value) in left {
            assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
        }
    }
}
