//! Which older names are told beside the present ones.
//!
//! The variable `OTEL_SEMCONV_STABILITY_OPT_IN`, a list separated by commas, is read once. With
//! `rpc/dup` in it a call of gRPC is also told by the names before
//! [version 1.38](https://opentelemetry.io/docs/specs/semconv/non-normative/rpc-migration/) of the
//! conventions, for dashboards that are not yet changed:
//!
//! | now | then |
//! |---|---|
//! | `rpc.system.name` | `rpc.system` |
//! | `rpc.method`, `orders.v1.Orders/Place` | `rpc.service`, `orders.v1.Orders`; on metrics `rpc.method`, `Place` |
//! | `rpc.status_code`, `OK` | `rpc.grpc.status_code`, `0` |
//! | `rpc.request.header.<name>`, `rpc.response.header.<name>` | `rpc.grpc.request.metadata.<name>`, `rpc.grpc.response.metadata.<name>` |
//! | `rpc.server.call.duration`, `rpc.client.call.duration`, seconds | `rpc.server.duration`, `rpc.client.duration`, milliseconds |
//!
//! With `messaging/dup` a message is also told by the names before version 1.45:
//!
//! | now | then |
//! |---|---|
//! | `messaging.system.name`, on metrics as well; `aws.sqs` | `messaging.system`; `aws_sqs` |
//! | `kafka.offset`, `kafka.message.key`, `kafka.message.tombstone` | `messaging.kafka.offset`, and so on |
//!
//! On spans `rpc.method` has the present meaning alone: the key is the same, and a span has each
//! once. Other values of the variable mean nothing here: what they would ask for is told anyway, or
//! was never told.

use std::sync::LazyLock;

/// The variable.
pub const OPT_IN: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

/// Whether calls are told by their older names as well.
#[must_use]
#[inline]
pub fn tells_old_rpc() -> bool {
    static TELLS: LazyLock<bool> =
        LazyLock::new(|| std::env::var(OPT_IN).is_ok_and(|list| has(&list, "rpc/dup")));
    *TELLS
}

/// Whether messages are told by their older names as well.
#[must_use]
#[inline]
pub fn tells_old_messaging() -> bool {
    static TELLS: LazyLock<bool> =
        LazyLock::new(|| std::env::var(OPT_IN).is_ok_and(|list| has(&list, "messaging/dup")));
    *TELLS
}

fn has(list: &str, value: &str) -> bool {
    list.split(',').any(|it| it.trim().eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn a_value_is_found_in_the_list_and_not_in_a_longer_one() {
        assert!(has("rpc/dup", "rpc/dup"));
        assert!(has("http, RPC/dup ,messaging", "rpc/dup"));
        assert!(!has("rpc", "rpc/dup") && !has("rpc/dup2", "rpc/dup") && !has("", "rpc/dup"));
    }
}
