//! What two layers of a boundary make of one message.

use std::sync::Arc;

use opentelemetry_sdk::trace::Sampler;
use throughline_core::Trust;

use super::Inbound;
use super::bench::Bench;
use crate::Recorder;
use crate::battery::checks::{
    BAGGAGE, Ending, NoThenYes, SAMPLED, TRACESTATE, UNSAMPLED, caller, ended_as, is_current,
    is_same, only, remote,
};
use crate::battery::{Headers, Outcome};

/// The baggage that is set between the layers.
const BETWEEN: &str = "between=layers";

pub(super) async fn applied_twice<D: Inbound>(driver: &Arc<D>) -> Outcome {
    for headers in [caller(SAMPLED), Headers::new()] {
        let bench = Bench::with(driver, |setup| setup.layers = 2).await;
        let eyes = bench.look(headers).await?;
        let span = bench.the_span().await?;
        is_current(&eyes.at("in the handler")?, &span, "in the handler")?;
        ended_as(&span, Ending::Success)?;
    }
    let recorder = Recorder::with_sampler(NoThenYes::default());
    let bench = Bench::recording(driver, recorder, |setup| setup.layers = 2).await;
    bench.look(Headers::new()).await?;
    bench.no_span().map_err(|error| format!("the sampler said no, was asked again, and {error}"))
}

pub(super) async fn keeps_unsampled<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::with(driver, |setup| setup.layers = 2).await;
    let seen = bench.look(caller(UNSAMPLED)).await?.at("in the handler")?;
    bench.setup.was_layered()?;
    bench.no_span().map_err(|error| format!("the caller's trace is not sampled, and {error}"))?;
    is_same(&seen.span, &remote(UNSAMPLED), "inside two layers an unsampled caller's context")?;
    let left = only(&seen.onward, "tracestate")?;
    ensure!(left == TRACESTATE, "tracestate came as `{TRACESTATE}`, and would go on as `{left}`");
    let (baggage, wanted) = (seen.baggage(), format!("{BETWEEN},{BAGGAGE}"));
    ensure!(
        baggage == wanted,
        "{BAGGAGE} came, {BETWEEN} was set between the layers, and the baggage is `{baggage}`"
    );
    Ok(())
}

/// How much the provider records at the outer layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Provider {
    Records,
    Drops,
    IsShutDown,
}

pub(super) async fn refuses<D: Inbound>(driver: &Arc<D>) -> Outcome {
    for trust in [Trust::Link, Trust::Ignore] {
        for provider in [Provider::Records, Provider::Drops, Provider::IsShutDown] {
            refuses_as(driver, trust, provider).await.map_err(|error| {
                format!("outside Trust::{trust:?}, inside Trust::Continue, the provider {provider:?}: {error}")
            })?;
        }
    }
    Ok(())
}

async fn refuses_as<D: Inbound>(driver: &Arc<D>, trust: Trust, provider: Provider) -> Outcome {
    let recorder = match provider {
        Provider::Drops => {
            Recorder::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        }
        Provider::Records | Provider::IsShutDown => Recorder::new(),
    };
    let bench = Bench::recording(driver, recorder, |setup| {
        setup.layers = 2;
        setup.trust = trust;
        setup.inner_trust = Some(Trust::Continue);
    })
    .await;
    if provider == Provider::IsShutDown {
        bench.setup.provider.sdk().shutdown().map_err(|error| error.to_string())?;
    }
    let seen = bench.look(caller(SAMPLED)).await?.at("in the handler")?;
    bench.setup.was_layered()?;
    // By what a message that leaves from the handler would carry.
    for value in seen.onward.get_all("traceparent") {
        let value = String::from_utf8_lossy(value);
        ensure!(
            value.get(..35) != SAMPLED.get(..35),
            "the inner layer continued what the outer one refused: `{value}` would go on"
        );
    }
    let states: Vec<_> = seen.onward.get_all("tracestate").collect();
    ensure!(states.is_empty(), "the tracestate that the outer layer refused would go on");
    let baggage = seen.baggage();
    ensure!(
        baggage == BETWEEN,
        "the baggage is `{baggage}`, and only {BETWEEN} was set, between the layers"
    );
    if provider == Provider::Records {
        is_current(&seen, &bench.the_span().await?, "in the handler")?;
    } else {
        bench.no_span()?;
    }
    Ok(())
}
