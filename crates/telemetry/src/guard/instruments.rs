//! The guard's counts as metrics.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use throughline_core::outcomes;
use throughline_core::root::{Allowed, Class};

use super::Lineage;

const REASON: &str = "throughline.reason";

fn reason(reason: impl ToString) -> [KeyValue; 1] {
    [KeyValue::new(REASON, reason.to_string())]
}

pub(super) fn register(lineage: &Lineage, meter: &Meter) {
    // An instrument lives as long as its provider; the handle isn't needed.
    let roots = lineage.clone();
    let _roots = meter
        .u64_observable_counter("throughline.roots")
        .with_description("Roots of traces that are roots by right, by why they are.")
        .with_unit("{span}")
        .with_callback(move |observer| {
            for (why, said) in [
                (Allowed::Inbound, "inbound"),
                (Allowed::Declared, "declared"),
                (Allowed::ReceiveOrSettle, "receive_or_settle"),
            ] {
                observer.observe(roots.allowed(why), &reason(said));
            }
        })
        .build();
    let orphans = lineage.clone();
    let _orphans = meter
        .u64_observable_counter("throughline.orphans")
        .with_description("Roots that should have had a parent, by the boundary that lost it.")
        .with_unit("{span}")
        .with_callback(move |observer| {
            let lost = orphans.lost_roots();
            for class in Class::ALL {
                let of_class = lost.iter().filter(|root| root.class == class);
                let count: u64 = of_class.map(|root| root.count).sum();
                observer.observe(count, &[KeyValue::new("throughline.class", class.as_str())]);
            }
        })
        .build();
    let _extractions = meter
        .u64_observable_counter("throughline.extractions")
        .with_description("What became of contexts that came in.")
        .with_unit("{context}")
        .with_callback(|observer| {
            let counted = outcomes();
            observer.observe(counted.continued, &reason("continued"));
            observer.observe(counted.absent, &reason("absent"));
            observer.observe(counted.untrusted, &reason("untrusted"));
            for (malformed, count) in counted.malformed {
                observer.observe(count, &reason(format_args!("malformed: {malformed}")));
            }
        })
        .build();
    let _injections = meter
        .u64_observable_counter("throughline.injections")
        .with_description("What was put into messages that went out.")
        .with_unit("{context}")
        .with_callback(|observer| {
            let counted = outcomes();
            observer.observe(counted.injected, &reason("injected"));
            observer.observe(counted.nothing_to_inject, &reason("nothing"));
        })
        .build();
}
