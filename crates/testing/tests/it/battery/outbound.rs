use throughline_testing::battery;

use super::prove;
use super::wrong::Wrong::*;
use super::wrong::{Ending, Memory};

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_outbound_boundary_fails_in_its_own_words() {
    let (tracestate, baggage) = ("vendor=a,ot=th:8", "user=alice");
    prove(
        async |wrong| battery::outbound(Memory::new(wrong)).await,
        &[
            (
                "injects its own span",
                &[
                    (DropsTheContext, "not with its own"),
                    (UsesTheAmbientParent, "the trace is lost"),
                    (
                        AltersTheParent,
                        "the parent of the span is 0000000000000bad, not the current",
                    ),
                    (Rewrites("traceparent", "-03", "-01"), "(sampled, random) and left as 01"),
                    (Rewrites("traceparent", "00-", "zz-"), "the message left with"),
                    (Rewrites("tracestate", tracestate, ""), "left without tracestate"),
                    (Rewrites("tracestate", "vendor=a", "vendor=b"), "left as `vendor=b,ot=th:8`"),
                    (Rewrites("baggage", baggage, "user=bob"), "left as `user=bob`"),
                    (IsOfAnotherKind, "the span is of kind internal, not producer"),
                    (HandlesTwice, "one message left 2 times"),
                    (Swallows, "no message left"),
                    (Hangs, "the message was not done after"),
                    (Panics, "the boundary panicked: it was wrong"),
                ],
            ),
            (
                "starts a trace where none is current",
                &[
                    (DropsTheContext, "the message left without traceparent"),
                    (InventsAParent, "nothing is current, and the span is no root"),
                    (
                        Rewrites("tracestate", "", ""),
                        "there is no tracestate, and the message left",
                    ),
                    (Rewrites("baggage", "", ""), "there is no baggage, and the message left"),
                ],
            ),
            (
                "replaces a stale context",
                &[
                    (DoublesTheHeader, "the message left with traceparent 3 times"),
                    (KeepsTheStale("tracestate"), "tracestate should leave as `vendor=a,ot=th:8`"),
                    (KeepsTheStale("baggage"), "baggage should leave as `user=alice`"),
                    (KeepsTheStale("traceparent"), "not with its own"),
                    (ForgetsTheStale("tracestate"), "a stale tracestate left with another trace"),
                    (ForgetsTheStale("baggage"), "a stale baggage left with another trace"),
                    (KeepsTheStaleTrace, "the message left with span 2222222222222222"),
                    (DropsOtherHeaders, "the message left without x-kept"),
                ],
            ),
            (
                "replaces a stale context in any case",
                &[
                    (MindsTheCaseOf("traceparent"), "the message left with traceparent 3 times"),
                    (MindsTheCaseOf("tracestate"), "the message left with tracestate 2 times"),
                    (MindsTheCaseOf("baggage"), "the message left with baggage 2 times"),
                    (
                        MindsTheCaseToRemove("tracestate"),
                        "a stale tracestate left with another trace",
                    ),
                    (MindsTheCaseToRemove("baggage"), "a stale baggage left with another trace"),
                ],
            ),
            (
                "replaces what the handled message came with",
                &[
                    (KeepsTheStale("traceparent"), "not with its own"),
                    (KeepsTheStale("tracestate"), "the tracestate that came left again"),
                    (DropsTheContext, "not with its own"),
                ],
            ),
            (
                "keeps an unsampled trace unsampled",
                &[
                    (RecordsAnyway, "trace is not sampled, and the span `more` was recorded"),
                    (Rewrites("traceparent", "-02", "-00"), "an unsampled trace came as"),
                    (Rewrites("tracestate", tracestate, ""), "left without tracestate"),
                    (Rewrites("tracestate", "vendor=a", "vendor=b"), "left as `vendor=b,ot=th:8`"),
                    (Rewrites("baggage", baggage, "user=bob"), "left as `user=bob`"),
                ],
            ),
            (
                "tells of a root that was not sampled",
                &[
                    (RecordsAnyway, "the span `more` was recorded"),
                    (ErasesWhatIsNotRecorded, "the message left without traceparent"),
                    (SendsAsSampled, "the sampler said no, and the message left as sampled"),
                ],
            ),
            (
                "carries the trace on after shutdown",
                &[
                    (ErasesWhatIsNotRecorded, "the message left without traceparent"),
                    (UsesTheAmbientParent, "the message left without traceparent"),
                    (AltersTheParent, "after the provider's shutdown the context that leaves is"),
                ],
            ),
            (
                "ends once on success",
                &[
                    (EndsTwice, "the span `send` was ended 2 times"),
                    (LeavesTheSpanOpen, "the span `send` never ended"),
                    (RecordsNothing, "no span was started"),
                    (MakesTwoSpans, "one message made 2 spans"),
                    (Tells(Ending::Success, true, ""), "the status is Error though the message"),
                    (Tells(Ending::Success, false, "ok"), "error.type is `ok` though the message"),
                ],
            ),
            (
                "ends once on an error",
                &[
                    (Tells(Ending::Failure, false, "failed"), "lost: the status is Unset, not"),
                    (Tells(Ending::Failure, true, ""), "error.type is missing"),
                    (DoublesTheErrorType, "the span has the attribute error.type more than once"),
                    (HandlesTwice, "one message left 2 times"),
                ],
            ),
            (
                "ends once on cancellation",
                &[
                    (Tells(Ending::Cancel, false, ""), "lost: error.type is missing, not"),
                    (Tells(Ending::Cancel, true, "cancelled"), "giving up is no error"),
                    (Detaches, "the message was done before it was answered"),
                    (Hangs, "the message did not leave within"),
                    (EndsTwice, "was ended 2 times"),
                ],
            ),
            (
                "nests in tracing spans",
                &[
                    (UsesTheAmbientParent, "no child of the tracing span"),
                    (DropsTheContext, "not with its own"),
                ],
            ),
            (
                "makes one span when applied twice",
                &[
                    (StartsAgain, "one message made 2 spans"),
                    (ForgetsWhatIsNotRecorded, "the sampler said no, was asked again, and"),
                    (DropsTheContext, "not with its own"),
                    (Tells(Ending::Success, true, ""), "the status is Error though the message"),
                ],
            ),
            (
                "keeps an unsampled trace unsampled when applied twice",
                &[
                    (RecordsAnyway, "the span `more` was recorded"),
                    (ForgetsWhatIsNotRecorded, "the span `send` was recorded"),
                    (Rewrites("traceparent", "-02", "-00"), "an unsampled trace came as"),
                    (Rewrites("baggage", baggage, "user=bob"), "left as `user=bob`"),
                ],
            ),
            (
                "isolates 1,000 concurrent messages",
                &[
                    (SharesOneContext, "left with trace"),
                    (MixesTheBaggage, "left with trace"),
                    (DropsTheContext, "a span has the parent of another message"),
                    (MakesTwoSpans, "1000 messages made"),
                ],
            ),
        ],
    )
    .await;
}
