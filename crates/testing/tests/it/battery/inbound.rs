use throughline_core::Trust::{Continue, Ignore, Link};
use throughline_testing::battery;

use super::prove;
use super::wrong::Wrong::*;
use super::wrong::{Ending, Memory, Wrong};

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

/// What takes this for a sampled parent.
const fn continues(malformed: &'static str) -> Wrong {
    Rewrites("traceparent", malformed, SAMPLED)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_inbound_boundary_fails_in_its_own_words() {
    let (tracestate, baggage) = ("vendor=a,ot=th:8", "user=alice");
    prove(
        async |wrong| battery::inbound(Memory::new(wrong)).await,
        &[
            (
                "continues the caller's trace",
                &[
                    (RecordsNothing, "no span was started"),
                    (IsOfAnotherKind, "the span is of kind internal, not consumer"),
                    (MakesTwoSpans, "one message made 2 spans"),
                    (Rewrites("traceparent", SAMPLED, ""), "the trace is lost: the span is in"),
                    (AltersTheParent, "the parent of the span is 17ad6b7169203331, not the caller"),
                    (ForgetsThatTheParentIsRemote, "the parent is not marked as remote"),
                    (Rewrites("traceparent", "-03", "-01"), "(sampled, random) and are 01"),
                    (Rewrites("tracestate", tracestate, ""), "8` and is ``"),
                    (DropsTheContext, "there is no current context: it was dropped on the way"),
                    (RunsInTheParent, "current is b7ad6b7169203331 of trace 0af7651916cd43dd"),
                    (Rewrites("baggage", baggage, ""), "in the handler the baggage is ``"),
                    (HandlesTwice, "the handler of one message ran 2 times"),
                    (Hangs, "the message was not done after"),
                    (Panics, "the boundary panicked: it was wrong"),
                ],
            ),
            (
                "starts a trace where nothing came",
                &[
                    (Rewrites("traceparent", "", SAMPLED), "nothing came, and the span is no root"),
                    (LinksToOthers, "nothing came, and the span is linked to something"),
                    (DropsTheContext, "in the handler there is no current context"),
                    (Rewrites("baggage", baggage, ""), "baggage that came alone is ``"),
                ],
            ),
            (
                "restarts on a malformed traceparent",
                &[
                    (Rewrites("traceparent", SAMPLED, ""), "that is doubled came, and the span is"),
                    (
                        continues("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                        "of the forbidden version ff came, and the span is no root",
                    ),
                    (
                        Rewrites("traceparent", "3331", "3331-01"),
                        "without flags came, and the span is no root",
                    ),
                    (Rewrites("traceparent", "-more", ""), "with a tail came, and"),
                    (
                        continues("00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"),
                        "in upper case came, and",
                    ),
                    (
                        continues("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
                        "with a trace id of zeroes came, and",
                    ),
                    (
                        continues("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
                        "with a span id of zeroes came, and",
                    ),
                    (continues("00-1-b7ad6b7169203331-01"), "with a short trace id came, and"),
                    (
                        continues("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                        "with a sign in it came, and",
                    ),
                    (Rewrites("traceparent", "-0x", "-01"), "with flags that are no hex came, and"),
                    (Rewrites("traceparent", "_", "-"), "with other delimiters came, and"),
                    (continues("\u{fffd}\u{fffd}"), "that is no text came, and"),
                    (LinksToOthers, "came, and the span is linked to something"),
                    (KeepsTheTracestate, "came, and the tracestate was kept all the same"),
                    (DropsTheContext, "in the handler there is no current context"),
                    (Panics, "that is doubled came, and the boundary panicked"),
                ],
            ),
            (
                "reads headers in any case",
                &[
                    (MindsTheCaseOf("traceparent"), "the trace is lost: the span is in"),
                    (MindsTheCaseOf("tracestate"), "the tracestate came as `vendor=a,ot=th:8` and"),
                    (MindsTheCaseOf("baggage"), "the baggage came as `user=alice` and is ``"),
                ],
            ),
            (
                "joins headers that come twice",
                &[
                    (ReadsTheFirst("tracestate"), "came as `vendor=a,ot=th:8` and is `vendor=a`"),
                    (ReadsTheFirst("baggage"), "`tenant=acme,user=alice` and is `user=alice`"),
                ],
            ),
            (
                "tells a propagator the names",
                &[
                    (NamesNothing, "that asks for the names of the headers: the trace is lost"),
                    (NamesTheFirst(2), "asks for the names of the headers finds ``, not"),
                    (KeepsToW3c, "the driver doesn't build its boundary with Setup::foreign"),
                ],
            ),
            (
                "links at a public edge",
                &[
                    (Trusts(Link, Continue), "under Trust::Link the caller's trace was continued"),
                    (KeepsTheTracestate, "under Trust::Link the caller's tracestate was kept"),
                    (
                        KeepsTheBaggage,
                        "under Trust::Link the caller's baggage got in: `user=alice`",
                    ),
                    (DropsTheContext, "in the handler there is no current context"),
                    (Trusts(Link, Ignore), "the span is linked to [], not once to the caller's"),
                    (LinksToSampledOnly, "the span is linked to [], not once to the caller's"),
                    (LinksToOthers, "not once to the caller's"),
                    (RecordsNothing, "under Trust::Link, from 00-0af7651916cd43dd8448eb211c80319c"),
                ],
            ),
            (
                "ignores an untrusted caller",
                &[
                    (Trusts(Ignore, Continue), "under Trust::Ignore the caller's trace was"),
                    (KeepsTheTracestate, "under Trust::Ignore the caller's tracestate was kept"),
                    (KeepsTheBaggage, "under Trust::Ignore the caller's baggage got in"),
                    (DropsTheContext, "in the handler there is no current context"),
                    (Trusts(Ignore, Link), "under Trust::Ignore the span is linked to the caller"),
                ],
            ),
            (
                "keeps an unsampled trace unsampled",
                &[
                    (RecordsAnyway, "trace is not sampled, and the span `more` was recorded"),
                    (Rewrites("traceparent", "-02", "-03"), "the span `process` was recorded"),
                    (ErasesWhatIsNotRecorded, "the context of an unsampled caller is gone"),
                    (AsksTheSampler, "02, unchanged"),
                    (Rewrites("traceparent", "1-00", "1-02"), "-00, unchanged"),
                    (Rewrites("tracestate", tracestate, ""), "left without tracestate"),
                    (Rewrites("tracestate", "vendor=a", "vendor=b"), "would go on as `vendor=b"),
                    (Rewrites("baggage", baggage, ""), "left without baggage"),
                ],
            ),
            (
                "starts from an empty context",
                &[
                    (UsesTheAmbientParent, "nothing came, and what happened to be current on the"),
                    (UsesTheAmbientBaggage, "the baggage that happened to be current got in"),
                ],
            ),
            (
                "marks a root that should have had a parent",
                &[
                    (ForgetsTheMark, "with expect_parent(true) and nothing sent the mark"),
                    (MarksUnasked, "with expect_parent(false) and nothing sent the mark"),
                    (MarksWhatHasAParent, "with expect_parent(true) and 00-0af7651916cd43dd"),
                ],
            ),
            (
                "carries the trace on after shutdown",
                &[
                    (ErasesWhatIsNotRecorded, "the context that goes on is gone: there is none"),
                    (AltersTheParent, "03, unchanged"),
                    (KeepsOnlyTheIds, "after the provider's shutdown the baggage is ``"),
                ],
            ),
            (
                "keeps its context current in the handler",
                &[
                    (DropsTheContext, "at the start of the handler there is no current context"),
                    (LosesTheContextAt(1), "after an await there is no current context"),
                    (LosesTheContextAt(2), "at the end of the handler there is no current"),
                    (LosesTheContextInDrop, "while a cancelled handler is dropped there is no"),
                ],
            ),
            (
                "ends once on success",
                &[
                    (EndsTwice, "the span `process` was ended 2 times"),
                    (LeavesTheSpanOpen, "the span `process` never ended"),
                    (EndsEarly, "the span had ended before its message was done"),
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
                    (EndsTwice, "was ended 2 times"),
                ],
            ),
            (
                "ends once on a panic",
                &[
                    (
                        Tells(Ending::Panic, false, "panic"),
                        "the panic is lost: the status is Unset",
                    ),
                    (Tells(Ending::Panic, true, "failed"), "error.type is failed, not `panic`"),
                    (EndsTwice, "was ended 2 times"),
                ],
            ),
            (
                "ends once on cancellation",
                &[
                    (Tells(Ending::Cancel, false, ""), "lost: error.type is missing, not"),
                    (Tells(Ending::Cancel, true, "cancelled"), "giving up is no error"),
                    (EndsEarly, "the span had ended before its message was done"),
                    (Detaches, "the message was done before its handler was"),
                    (Hangs, "the handler did not run within"),
                    (EndsTwice, "was ended 2 times"),
                ],
            ),
            (
                "nests tracing spans",
                &[
                    (DropsTheContext, "a tracing span in the handler is no child of the boundary"),
                    (Rewrites("traceparent", SAMPLED, ""), "the trace is lost: the span is in"),
                ],
            ),
            (
                "hands out its span",
                &[
                    (KeepsOnlyTheIds, "boundary() does not reach the span: battery.in_handler"),
                    (Tells(Ending::Success, true, ""), "boundary().fail(..) is lost: the status"),
                    (EndsEarly, "boundary() does not reach the span"),
                ],
            ),
            (
                "makes one span when applied twice",
                &[
                    (StartsAgain, "one message made 2 spans"),
                    (DescribesTwice, "the span has the attribute route more than once"),
                    (ForgetsWhatIsNotRecorded, "the sampler said no, was asked again, and"),
                    (DropsTheContext, "in the handler there is no current context"),
                    (Tells(Ending::Success, true, ""), "the status is Error though the message"),
                ],
            ),
            (
                "keeps an unsampled trace unsampled when applied twice",
                &[
                    (BuildsTheSameTwice, "doesn't build its inner layer by Setup::inner"),
                    (HasNothingBetween, "doesn't run its inner layer in Setup::between"),
                    (RecordsAnyway, "the span `more` was recorded"),
                    (ErasesWhatIsNotRecorded, "an unsampled caller's context is gone"),
                    (AsksTheSampler, "02, unchanged"),
                    (Rewrites("tracestate", "vendor=a", "vendor=b"), "would go on as `vendor=b"),
                    (ForgetsWhatIsNotRecorded, "layers, and the baggage is `user=alice`"),
                    (EntersTheOuterAgain, "layers, and the baggage is `user=alice`"),
                ],
            ),
            (
                "trusts nobody whom its outer layer refused",
                &[
                    (BuildsTheSameTwice, "doesn't build its inner layer by Setup::inner"),
                    (HasNothingBetween, "doesn't run its inner layer in Setup::between"),
                    (ForgetsWhatIsNotRecorded, "Drops: the inner layer continued what the outer"),
                    (Trusts(Ignore, Continue), "outside Trust::Ignore, inside Trust::Continue"),
                    (KeepsTheTracestate, "the tracestate that the outer layer refused would go on"),
                    (KeepsTheBaggage, "the baggage is `between=layers,user=alice`, and only"),
                    (EntersTheOuterAgain, "the baggage is ``, and only between=layers was set"),
                    (RecordsAnyway, "Drops: the span `more` was recorded"),
                    (LeavesTheSpanOpen, "never ended"),
                ],
            ),
            (
                "isolates 1,000 concurrent messages",
                &[
                    (SharesOneContext, "was handled in trace"),
                    (MixesTheBaggage, "was handled in trace"),
                    (AltersTheParent, "has the parent of another message"),
                    (MakesTwoSpans, "1000 messages made"),
                ],
            ),
        ],
    )
    .await;
}
