//! The order that docs/http-and-grpc.md calls the best, and what it tells of a request.

use super::stack::{CASES, Case, routes};
use super::{DEADLINE, ask, observe};
use crate::parts::{Parts, SENDER};

include!("best_order.rs");

const PAGE: &str = include_str!("../../../../../docs/http-and-grpc.md");
const CODE: &str = include_str!("best_order.rs");

#[test]
fn it_is_the_one_of_the_page() {
    assert!(PAGE.contains(&format!("```rust\n{CODE}```")), "docs/http-and-grpc.md has other code");
}

#[tokio::test]
async fn it_tells_all_there_is_to_tell() {
    let parts = Parts::new();
    let _default = observe(&parts);
    for case in CASES {
        if case == Case::Torn {
            // It may leave no answer to look at.
            continue;
        }
        parts.recorder.clear();
        let timeout = Duration::from_millis(if case == Case::Slow { 1 } else { 60_000 });
        let head = ask(layered(routes(), parts.layer(), timeout), case).await.expect("answered");
        let (status, line, packed) = match case {
            Case::Ok => (200, "GET /ok {http.response.status_code=200}", 0),
            Case::Streamed => (200, "GET /streamed {http.response.status_code=200}", 2),
            Case::Panic => (
                500,
                "GET /panic !error(the handler panicked: out of paper) \
                 {error.type=interplay::tower_http::best::Panic, http.response.status_code=500}",
                0,
            ),
            Case::Slow => (408, "GET /slow {http.response.status_code=408}", 0),
            Case::Failed => {
                (503, "GET /failed !error {error.type=503, http.response.status_code=503}", 0)
            }
            Case::Unread | Case::Torn => {
                (200, "GET /unread {error.type=cancelled, http.response.status_code=200}", 0)
            }
        };
        assert_eq!(head.status, status, "{case:?}");
        assert!(head.text.contains("x-request-id: "), "{case:?}: {}", head.text);
        parts.recorder.wait_for(2 + packed, DEADLINE).await.expect("they end");
        parts.recorder.assert_all_ended();
        let below = "\n  INTERNAL pack".repeat(packed);
        parts.recorder.assert_tree(&format!("SERVER {line}\n  INTERNAL reserve{below}"));
        let span = parts.span(&format!("GET {}", case.path()));
        assert_eq!(span.parent.map(|id| id.to_string()).as_deref(), Some(SENDER));
        for (key, is_told) in
            [("http.request.header.x-request-id", true), ("http.request.header.x-customer", false)]
        {
            assert_eq!(span.attributes.get(key).is_some(), is_told, "{key}, {case:?}");
        }
    }
}
