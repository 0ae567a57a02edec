//! How a boundary reads the headers of its protocol.

use std::sync::Arc;

use super::Inbound;
use super::bench::Bench;
use crate::battery::checks::{BAGGAGE, SAMPLED, TRACESTATE, is_child, remote};
use crate::battery::{Foreign, Headers, Outcome};

/// Whether all of the caller's context comes by these headers.
async fn is_whole<D: Inbound>(bench: &Bench<D>, headers: Headers, baggage: &str) -> Outcome {
    let seen = bench.look(headers).await?.at("in the handler")?;
    let span = bench.the_span().await?;
    is_child(&span, &remote(SAMPLED), "the caller's")?;
    let found = &span.trace_state;
    ensure!(found == TRACESTATE, "the tracestate came as `{TRACESTATE}` and is `{found}`");
    let found = seen.baggage();
    ensure!(found == baggage, "the baggage came as `{baggage}` and is `{found}`");
    Ok(())
}

pub(super) async fn minds_no_case<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let headers = [("Traceparent", SAMPLED), ("TraceState", TRACESTATE), ("BAGGAGE", BAGGAGE)];
    is_whole(&Bench::new(driver).await, headers.into(), BAGGAGE).await
}

pub(super) async fn joins<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let mut headers = Headers::from([("traceparent", SAMPLED)]);
    TRACESTATE.split(',').for_each(|member| headers.push("tracestate", member));
    headers.push("baggage", BAGGAGE);
    headers.push("baggage", "tenant=acme");
    is_whole(&Bench::new(driver).await, headers, &format!("tenant=acme,{BAGGAGE}")).await
}

pub(super) async fn tells_names<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let foreign = Foreign::default();
    let bench = Bench::with(driver, |setup| setup.foreign = Some(foreign.clone())).await;
    let headers = [("x-other", "1"), ("X-Battery-Trace", SAMPLED), ("x-battery-user", "alice")];
    let seen = bench.look(headers.into()).await?.at("in the handler")?;
    ensure!(foreign.was_asked(), "the driver doesn't build its boundary with Setup::foreign");
    let told = |error| format!("a propagator that asks for the names of the headers: {error}");
    is_child(&bench.the_span().await?, &remote(SAMPLED), "the caller's").map_err(told)?;
    let found = seen.baggage();
    ensure!(
        found == BAGGAGE,
        "a propagator that asks for the names of the headers finds `{found}`, not `{BAGGAGE}`"
    );
    Ok(())
}
