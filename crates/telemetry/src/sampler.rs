//! Which sampler decides: the environment's, the code's, else parent-based with every root kept.

use opentelemetry_sdk::trace::{Sampler, ShouldSample};

use crate::env::Env;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The sampler to give to the provider, or `None` where the SDK reads the environment itself.
///
/// The SDK reads it well, but where it can't use a value it forgets the code's sampler and tells
/// only its own log, which most builds leave out: that is judged here.
pub(crate) fn choose(
    env: &mut Env,
    from_code: Option<Box<dyn ShouldSample>>,
) -> Option<Box<dyn ShouldSample>> {
    let fallback = |code: Option<Box<dyn ShouldSample>>| {
        code.unwrap_or_else(|| Sampler::ParentBased(Box::new(Sampler::AlwaysOn)).into())
    };
    let Some(name) = env.text(SAMPLER) else {
        return Some(fallback(from_code));
    };
    match name.as_str() {
        "always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off" => None,
        "traceidratio" | "parentbased_traceidratio" => {
            let argument = env.text(ARGUMENT);
            let ratio = argument.as_deref().and_then(|text| text.parse::<f64>().ok());
            if !ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio)) {
                env.warn(format!(
                    "{ARGUMENT}={:?} is ignored and every root is kept: {SAMPLER}={name} needs a \
                     number from 0.0 to 1.0",
                    argument.unwrap_or_default()
                ));
                let all = Sampler::TraceIdRatioBased(1.0);
                return Some(if name.starts_with("parentbased") {
                    Sampler::ParentBased(Box::new(all)).into()
                } else {
                    all.into()
                });
            }
            None
        }
        _ => {
            env.warn(format!(
                "{SAMPLER}={name:?} is ignored: use always_on, always_off, traceidratio, \
                 parentbased_always_on, parentbased_always_off or parentbased_traceidratio"
            ));
            Some(fallback(from_code))
        }
    }
}
