//! What the context travels in, by the environment.

use throughline_core::{Format, Formats};

use crate::env::Env;

const PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// The formats of the environment; `None` where it names none, or none that is known.
pub(crate) fn choose(env: &mut Env) -> Option<Formats> {
    let list = env.text(PROPAGATORS)?;
    let names = || list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let is = |name: &str, one: &str| name.eq_ignore_ascii_case(one);
    let is_none = |name: &str| is(name, "none");
    let is_retired = |name: &str| is(name, "jaeger") || is(name, "ottrace");

    let formats: Vec<Format> = names().filter_map(Format::named).collect();
    let only_none = formats.is_empty() && names().any(is_none);
    let mut wrong = Vec::new();
    for name in names() {
        if is_retired(name) {
            wrong.push(format!("{name:?} is deprecated and not spoken"));
        } else if is_none(name) && !only_none {
            wrong.push(format!("{name:?} stands alone or not at all"));
        } else if !is_none(name) && Format::named(name).is_none() {
            wrong.push(format!("{name:?} is unknown"));
        }
    }
    if !wrong.is_empty() {
        let rest = match (&formats[..], only_none) {
            ([], true) => "none".to_owned(),
            ([], false) => "tracecontext,baggage (the default)".to_owned(),
            (formats, _) => {
                formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(",")
            }
        };
        env.warn(format!(
            "{PROPAGATORS}={list:?}: {}; the context travels in {rest}. Known are tracecontext, \
             baggage, b3, b3multi, xray, none",
            wrong.join(", "),
        ));
    }
    (only_none || !formats.is_empty()).then(|| Formats::new(formats))
}
