//! The guard's counts as metrics.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use throughline_core::root::{Allowed, Class};
use throughline_core::{outcomes, semconv};

use super::Lineage;

fn reason(reason: impl ToString) -> [KeyValue; 1] {
    [KeyValue::new(semconv::THROUGHLINE_REASON, reason.to_string())]
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
        .with_description(
            "Roots that should have had a parent, by the boundary that lost it and by name.",
        )
        .with_unit("{span}")
        .with_callback(move |observer| {
            let lost = orphans.lost_roots();
            for class in Class::ALL {
                let class_is = KeyValue::new(semconv::THROUGHLINE_CLASS, class.as_str());
                // Zero, too: what isn't there yet nobody can be alerted by.
                observer.observe(0, std::slice::from_ref(&class_is));
                for root in lost.iter().filter(|root| root.class == class) {
                    let name = KeyValue::new(semconv::THROUGHLINE_ROOT_NAME, root.name.clone());
                    observer.observe(root.count, &[class_is.clone(), name]);
                }
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
            observer.observe(counted.no_room, &reason("no room"));
        })
        .build();
}
