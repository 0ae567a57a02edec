//! Which sampler decides: the environment's, the code's, else parent-based with every root kept.

use opentelemetry_sdk::trace::{Sampler, ShouldSample};

use crate::env::Env;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The sampler to give to the provider.
///
/// The SDK would read the environment, too. But where it can't use a value, be it for a space, it
/// forgets the code's sampler and tells only its own log, which most builds leave out.
pub(crate) fn choose(
    env: &mut Env,
    from_code: Option<Box<dyn ShouldSample>>,
) -> Box<dyn ShouldSample> {
    match env.text(SAMPLER) {
        Some(name) => from_env(env, &name),
        None => None,
    }
    .map(Into::into)
    .or(from_code)
    .unwrap_or_else(|| parent_based(Sampler::AlwaysOn).into())
}

fn from_env(env: &mut Env, name: &str) -> Option<Sampler> {
    Some(match name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => ratio(env, name),
        "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
        "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
        "parentbased_traceidratio" => parent_based(ratio(env, name)),
        _ => {
            env.warn(format!(
                "{SAMPLER}={name:?} is ignored: use always_on, always_off, traceidratio, \
                 parentbased_always_on, parentbased_always_off or parentbased_traceidratio"
            ));
            return None;
        }
    })
}

fn parent_based(root: Sampler) -> Sampler {
    Sampler::ParentBased(Box::new(root))
}

fn ratio(env: &mut Env, name: &str) -> Sampler {
    let argument = env.text(ARGUMENT);
    let ratio = argument.as_deref().and_then(|text| text.parse::<f64>().ok());
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or_else(|| {
        env.warn(format!(
            "{ARGUMENT}={:?} is ignored and every root is kept: {SAMPLER}={name} needs a number \
             from 0.0 to 1.0",
            argument.unwrap_or_default()
        ));
        1.0
    });
    Sampler::TraceIdRatioBased(ratio)
}
