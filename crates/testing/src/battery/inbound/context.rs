//! What a boundary makes of what came.

use std::sync::Arc;

use opentelemetry::trace::SpanContext;
use throughline_core::{InContext, Trust, semconv};
use throughline_lineage::{AnyValue, Span};

use super::Inbound;
use super::bench::Bench;
use crate::battery::checks::{
    BAGGAGE, Eyes, SAMPLED, TRACESTATE, UNSAMPLED, caller, is_child, is_current, is_onward,
    is_same, only, remote, stale, told,
};
use crate::battery::{Headers, Outcome};
use crate::convert::ids;

pub(super) async fn continues<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let eyes = bench.look(caller(SAMPLED)).await?;
    let span = bench.the_span().await?;
    is_child(&span, &remote(SAMPLED), "the caller's")?;
    ensure!(span.parent_is_remote() == Some(true), "the parent is not marked as remote");
    let flags = span.flags & 0xff;
    ensure!(flags == 3, "the trace flags came as 03 (sampled, random) and are {flags:02x}");
    ensure!(
        span.trace_state == TRACESTATE,
        "the tracestate came as `{TRACESTATE}` and is `{}`",
        span.trace_state
    );
    let seen = eyes.at("in the handler")?;
    is_current(&seen, &span, "in the handler")?;
    let baggage = seen.baggage();
    ensure!(
        baggage == BAGGAGE,
        "in the handler the baggage is `{baggage}`, and came as `{BAGGAGE}`"
    );
    Ok(())
}

pub(super) async fn starts<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    let eyes = bench.look([("baggage", BAGGAGE)].into()).await?;
    let span = bench.the_span().await?;
    is_root(&span, &eyes, "nothing")?;
    let baggage = eyes.at("in the handler")?.baggage();
    ensure!(baggage == BAGGAGE, "baggage that came alone is `{baggage}` in the handler");
    Ok(())
}

/// Whether a span is a root, and the context of its handler.
fn is_root(span: &Span, eyes: &Eyes, came: &str) -> Outcome {
    let parent = told(span.parent);
    ensure!(span.parent.is_none(), "{came} came, and the span is no root: its parent is {parent}");
    ensure!(span.links.is_empty(), "{came} came, and the span is linked to something");
    ensure!(span.trace_state.is_empty(), "{came} came, and the tracestate was kept all the same");
    is_current(&eyes.at("in the handler")?, span, "in the handler")
}

pub(super) async fn restarts<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    let malformed: [(&str, &[&str]); 12] = [
        ("that is doubled", &[SAMPLED, other]),
        (
            "of the forbidden version ff",
            &["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ),
        ("without flags", &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"]),
        ("with a tail", &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"]),
        ("in upper case", &["00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"]),
        ("with a trace id of zeroes", &["00-00000000000000000000000000000000-b7ad6b7169203331-01"]),
        ("with a span id of zeroes", &["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"]),
        ("with a short trace id", &["00-1-b7ad6b7169203331-01"]),
        ("with a sign in it", &["00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
        (
            "with flags that are no hex",
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x"],
        ),
        ("with other delimiters", &["00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01"]),
        ("that is no text", &["\u{fffd}"]),
    ];
    for (what, values) in malformed {
        if values.len() > 1 && !D::DOUBLES {
            continue;
        }
        let bench = Bench::new(driver).await;
        let mut headers = Headers::from([("tracestate", TRACESTATE)]);
        for value in values {
            // No text at all: bytes that aren't UTF-8.
            let bytes = if *value == "\u{fffd}" { vec![0xff, 0xfe] } else { (*value).into() };
            headers.push("traceparent", bytes);
        }
        let came = format!("a traceparent {what}");
        let eyes =
            bench.look(headers).await.map_err(|error| format!("{came} came, and {error}"))?;
        is_root(&bench.the_span().await?, &eyes, &came)?;
    }
    Ok(())
}

pub(super) async fn links<D: Inbound>(driver: &Arc<D>) -> Outcome {
    for traceparent in [SAMPLED, UNSAMPLED] {
        let bench = Bench::with(driver, |setup| setup.trust = Trust::Link).await;
        let eyes = bench.look(caller(traceparent)).await?;
        let told = |error| format!("under Trust::Link, from {traceparent}: {error}");
        let span = bench.the_span().await.map_err(told)?;
        starts_anew(&span, &eyes, "Trust::Link")?;
        let links: Vec<_> = span.links.iter().map(|link| (link.trace_id, link.span_id)).collect();
        ensure!(
            links.as_slice() == ids(&remote(traceparent)).as_slice(),
            "under Trust::Link the span is linked to {links:?}, not once to the caller's span"
        );
    }
    Ok(())
}

pub(super) async fn ignores<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::with(driver, |setup| setup.trust = Trust::Ignore).await;
    let eyes = bench.look(caller(SAMPLED)).await?;
    let span = bench.the_span().await?;
    starts_anew(&span, &eyes, "Trust::Ignore")?;
    ensure!(span.links.is_empty(), "under Trust::Ignore the span is linked to the caller's");
    Ok(())
}

fn starts_anew(span: &Span, eyes: &Eyes, trust: &str) -> Outcome {
    let trace = ids(&remote(SAMPLED)).map(|(trace, _)| trace);
    ensure!(
        span.parent.is_none() && Some(span.trace_id) != trace,
        "under {trust} the caller's trace was continued"
    );
    ensure!(span.trace_state.is_empty(), "under {trust} the caller's tracestate was kept");
    let seen = eyes.at("in the handler")?;
    is_current(&seen, span, "in the handler")?;
    let baggage = seen.baggage();
    ensure!(baggage.is_empty(), "under {trust} the caller's baggage got in: `{baggage}`");
    Ok(())
}

pub(super) async fn keeps_unsampled<D: Inbound>(driver: &Arc<D>) -> Outcome {
    for traceparent in [UNSAMPLED, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"] {
        let bench = Bench::new(driver).await;
        let seen = bench.look(caller(traceparent)).await?.at("in the handler")?;
        bench
            .no_span()
            .map_err(|error| format!("the caller's trace is not sampled, and {error}"))?;
        is_same(&seen.span, &remote(traceparent), "the context of an unsampled caller")?;
        is_onward(&only(&seen.onward, "traceparent")?, traceparent)?;
        for (name, value) in [("tracestate", TRACESTATE), ("baggage", BAGGAGE)] {
            let left = only(&seen.onward, name)?;
            ensure!(left == value, "{name} came as `{value}`, and would go on as `{left}`");
        }
    }
    Ok(())
}

pub(super) async fn starts_empty<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let cases: [(&str, Headers); 3] = [
        ("nothing", Headers::new()),
        ("a malformed traceparent", [("traceparent", "00-malformed")].into()),
        ("a caller's context", [("traceparent", SAMPLED)].into()),
    ];
    for (came, headers) in cases {
        let bench = Bench::new(driver).await;
        let eyes = InContext::new(bench.look(headers), stale()).await?;
        let span = bench.the_span().await?;
        let ambient = ids(&SpanContext::clone(
            opentelemetry::trace::TraceContextExt::span(&stale()).span_context(),
        ));
        ensure!(
            Some(span.trace_id) != ambient.map(|(trace, _)| trace),
            "{came} came, and what happened to be current on the thread became the parent"
        );
        let baggage = eyes.at("in the handler")?.baggage();
        ensure!(
            baggage.is_empty(),
            "{came} came, and the baggage that happened to be current got in: `{baggage}`"
        );
    }
    Ok(())
}

pub(super) async fn expects_parent<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let malformed = "00-malformed";
    for (expect, traceparent, marked) in [
        (true, None, true),
        (true, Some(malformed), true),
        (true, Some(SAMPLED), false),
        (false, None, false),
    ] {
        let bench = Bench::with(driver, |setup| setup.expect_parent = expect).await;
        bench.look(traceparent.map(|value| ("traceparent", value)).into_iter().collect()).await?;
        let span = bench.the_span().await?;
        let mark = span.attributes.get(semconv::THROUGHLINE_PARENT_EXPECTED);
        ensure!(
            mark == marked.then_some(&AnyValue::Bool(true)),
            "with expect_parent({expect}) and {} the mark {} is {mark:?}",
            traceparent.map_or("nothing sent", |value| value),
            semconv::THROUGHLINE_PARENT_EXPECTED
        );
    }
    Ok(())
}

pub(super) async fn after_shutdown<D: Inbound>(driver: &Arc<D>) -> Outcome {
    let bench = Bench::new(driver).await;
    bench.setup.provider.sdk().shutdown().map_err(|error| error.to_string())?;
    let seen = bench.look(caller(SAMPLED)).await?.at("in the handler")?;
    is_same(
        &seen.span,
        &remote(SAMPLED),
        "after the provider's shutdown the context that goes on",
    )?;
    let baggage = seen.baggage();
    ensure!(baggage == BAGGAGE, "after the provider's shutdown the baggage is `{baggage}`");
    Ok(())
}
