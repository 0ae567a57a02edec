//! What `fail` and the ends tell of an error.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};

use throughline_core::{boundary, error_chain};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// An error, and what it was caused by.
#[derive(Debug)]
struct Broke(&'static str, Option<Box<Broke>>);

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Broke {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

fn broke() -> Broke {
    let cause = Broke("disk full", None);
    Broke("no order", Some(Box::new(Broke("no invoice", Some(Box::new(cause))))))
}

#[test]
fn every_cause_is_told_outermost_first() {
    assert_eq!(error_chain(&broke()), "no order: no invoice: disk full");
    assert_eq!(error_chain(&Broke("alone", None)), "alone");
}

#[test]
fn an_error_that_is_its_own_cause_comes_to_an_end() {
    #[derive(Debug)]
    struct Own;
    impl fmt::Display for Own {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Own {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    let told = error_chain(&Own);
    assert!(told.split(": ").count() > 3, "{told}");
    assert!(told.len() < 1_000, "{} bytes", told.len());
}

/// The level, the target and the fields of an event.
#[derive(Clone, Debug, PartialEq)]
struct Told(Level, String, Vec<(String, String)>);

/// Keeps the events of one subscriber.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Told>>>);

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.2.push((field.name().to_owned(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.2.push((field.name().to_owned(), value.to_owned()));
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut told = Told(*metadata.level(), metadata.target().to_owned(), Vec::new());
        event.record(&mut told);
        told.2.sort();
        self.0.lock().expect("not poisoned").push(told);
    }
}

#[test]
fn a_failure_is_logged_as_an_error_of_its_type() {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    tracing::subscriber::with_default(subscriber, || boundary().fail(&broke()));
    let told = log.0.lock().expect("not poisoned").clone();
    let fields =
        [("error.type", "it::fail::Broke"), ("message", "no order: no invoice: disk full")];
    let fields = fields.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    assert_eq!(told, [Told(Level::ERROR, "throughline".to_owned(), fields)]);
}
