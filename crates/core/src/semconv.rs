//! Every name of an attribute or a metric that Throughline writes or reads, and their schema.
//!
//! The names are those of the OpenTelemetry semantic conventions 1.45. They live here and
//! nowhere else, so that a renamed attribute is one changed line. The marks of Throughline's
//! own begin with `throughline.`.

/// The schema of the names below, given to every tracer Throughline makes.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// Why an operation failed: a status code, the type of an error, [`CANCELLED`] or [`PANIC`].
pub const ERROR_TYPE: &str = "error.type";
/// The value of [`ERROR_TYPE`] for an operation whose caller gave up on it.
pub const CANCELLED: &str = "cancelled";
/// The value of [`ERROR_TYPE`] for an operation that panicked.
pub const PANIC: &str = "panic";
/// What stands for a value that is not in a bounded set (an unknown method, an opaque error).
pub const OTHER: &str = "_OTHER";

/// The method of a request, one of a bounded set, else [`OTHER`].
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
/// The method as it came, where [`HTTP_REQUEST_METHOD`] is [`OTHER`].
pub const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
/// How often a request was sent again; absent on the first attempt.
pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
/// The status code of a response.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
/// The template of the route that matched.
pub const HTTP_ROUTE: &str = "http.route";
/// What the name of a request's header is appended to, after a dot.
pub const HTTP_REQUEST_HEADER: &str = "http.request.header";
/// What the name of a response's header is appended to, after a dot.
pub const HTTP_RESPONSE_HEADER: &str = "http.response.header";
/// The path of a request.
pub const URL_PATH: &str = "url.path";
/// The query of a request, redacted.
pub const URL_QUERY: &str = "url.query";
/// The scheme of a request.
pub const URL_SCHEME: &str = "url.scheme";
/// The whole URL of a request, redacted.
pub const URL_FULL: &str = "url.full";
/// The template that the URL of a request was made of.
pub const URL_TEMPLATE: &str = "url.template";
/// The host that a request was sent to.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that a request was sent to.
pub const SERVER_PORT: &str = "server.port";
/// Who sent a request, as far as a trusted proxy or the socket tells.
pub const CLIENT_ADDRESS: &str = "client.address";
/// The address of the socket's other end.
pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
/// The port of the socket's other end.
pub const NETWORK_PEER_PORT: &str = "network.peer.port";
/// The version of the protocol: `1.1`, `2`, `3`.
pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
/// The `user-agent` header.
pub const USER_AGENT_ORIGINAL: &str = "user_agent.original";

/// The RPC system of a call, `grpc` for gRPC.
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The method of a call with its service, `orders.v1.Orders/Place`, else [`OTHER`].
pub const RPC_METHOD: &str = "rpc.method";
/// The method as it was called, where [`RPC_METHOD`] is [`OTHER`].
pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
/// What the name of a call's header is appended to, after a dot.
pub const RPC_REQUEST_HEADER: &str = "rpc.request.header";
/// What the name of an answer's header is appended to, after a dot.
pub const RPC_RESPONSE_HEADER: &str = "rpc.response.header";
/// How a call ended, as a word: `OK`, `DEADLINE_EXCEEDED`.
pub const RPC_STATUS_CODE: &str = "rpc.status_code";
/// The messaging system of a message: `kafka`, `aws.sqs`.
pub const MESSAGING_SYSTEM_NAME: &str = "messaging.system.name";
/// The name of a messaging operation, as its system calls it; it begins the name of the span.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// The kind of a messaging operation: `create`, `send`, `receive`, `process`, `settle`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// The topic or queue of a message.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// The partition of a topic.
pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
/// The group a consumer belongs to.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// How many messages a batch has.
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// What a broker calls a message.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// The URL of a queue of SQS.
pub const AWS_SQS_QUEUE_URL: &str = "aws.sqs.queue.url";
/// The ARN of a topic of SNS.
pub const AWS_SNS_TOPIC_ARN: &str = "aws.sns.topic.arn";
/// What AWS calls a request.
pub const AWS_REQUEST_ID: &str = "aws.request_id";
/// The name a client gives itself.
pub const MESSAGING_CLIENT_ID: &str = "messaging.client.id";
/// The offset of a record in its partition.
pub const KAFKA_OFFSET: &str = "kafka.offset";
/// The key of a record, where it may be told: keys can be personal.
pub const KAFKA_MESSAGE_KEY: &str = "kafka.message.key";
/// `true` on the span of a record without a payload.
pub const KAFKA_MESSAGE_TOMBSTONE: &str = "kafka.message.tombstone";

/// A metric: how long requests took that came in, in seconds.
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http.server.request.duration";
/// A metric: how many requests are being answered.
pub const HTTP_SERVER_ACTIVE_REQUESTS: &str = "http.server.active_requests";
/// A metric: the bytes of requests that came in.
pub const HTTP_SERVER_REQUEST_BODY_SIZE: &str = "http.server.request.body.size";
/// A metric: the bytes of their responses.
pub const HTTP_SERVER_RESPONSE_BODY_SIZE: &str = "http.server.response.body.size";
/// A metric: how long requests took that went out, in seconds.
pub const HTTP_CLIENT_REQUEST_DURATION: &str = "http.client.request.duration";
/// A metric: how many requests are waited for.
pub const HTTP_CLIENT_ACTIVE_REQUESTS: &str = "http.client.active_requests";
/// A metric: the bytes of requests that went out.
pub const HTTP_CLIENT_REQUEST_BODY_SIZE: &str = "http.client.request.body.size";
/// A metric: the bytes of their responses.
pub const HTTP_CLIENT_RESPONSE_BODY_SIZE: &str = "http.client.response.body.size";
/// A metric: how long calls took that came in, in seconds.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
/// A metric: how long calls took that went out, in seconds.
pub const RPC_CLIENT_CALL_DURATION: &str = "rpc.client.call.duration";
/// A metric: how long the sending, receiving and settling of messages took, in seconds.
pub const MESSAGING_CLIENT_OPERATION_DURATION: &str = "messaging.client.operation.duration";
/// A metric: how many messages were sent, or were tried to be.
pub const MESSAGING_CLIENT_SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// A metric: how many messages came to the program.
pub const MESSAGING_CLIENT_CONSUMED_MESSAGES: &str = "messaging.client.consumed.messages";
/// A metric: how long the processing of messages took, in seconds.
pub const MESSAGING_PROCESS_DURATION: &str = "messaging.process.duration";

/// Names that were replaced. The spans of others, which are judged as well, have them still, and ours
/// where [`stability`](crate::stability) says so.
pub mod replaced {
    /// [`HTTP_REQUEST_METHOD`](super::HTTP_REQUEST_METHOD), before.
    pub const HTTP_METHOD: &str = "http.method";
    /// [`RPC_SYSTEM_NAME`](super::RPC_SYSTEM_NAME), before.
    pub const RPC_SYSTEM: &str = "rpc.system";
    /// The service of [`RPC_METHOD`](super::RPC_METHOD), before they were one.
    pub const RPC_SERVICE: &str = "rpc.service";
    /// The number that [`RPC_STATUS_CODE`](super::RPC_STATUS_CODE) was before it was a word.
    pub const RPC_GRPC_STATUS_CODE: &str = "rpc.grpc.status_code";
    /// [`RPC_REQUEST_HEADER`](super::RPC_REQUEST_HEADER), before.
    pub const RPC_REQUEST_METADATA: &str = "rpc.grpc.request.metadata";
    /// [`RPC_RESPONSE_HEADER`](super::RPC_RESPONSE_HEADER), before.
    pub const RPC_RESPONSE_METADATA: &str = "rpc.grpc.response.metadata";
    /// [`RPC_SERVER_CALL_DURATION`](super::RPC_SERVER_CALL_DURATION), before: in milliseconds.
    pub const RPC_SERVER_DURATION: &str = "rpc.server.duration";
    /// [`RPC_CLIENT_CALL_DURATION`](super::RPC_CLIENT_CALL_DURATION), before: in milliseconds.
    pub const RPC_CLIENT_DURATION: &str = "rpc.client.duration";
    /// [`MESSAGING_SYSTEM_NAME`](super::MESSAGING_SYSTEM_NAME), before.
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// [`KAFKA_OFFSET`](super::KAFKA_OFFSET), before.
    pub const MESSAGING_KAFKA_OFFSET: &str = "messaging.kafka.offset";
    /// [`KAFKA_MESSAGE_KEY`](super::KAFKA_MESSAGE_KEY), before.
    pub const MESSAGING_KAFKA_MESSAGE_KEY: &str = "messaging.kafka.message.key";
    /// [`KAFKA_MESSAGE_TOMBSTONE`](super::KAFKA_MESSAGE_TOMBSTONE), before.
    pub const MESSAGING_KAFKA_MESSAGE_TOMBSTONE: &str = "messaging.kafka.message.tombstone";
    /// [`MESSAGING_OPERATION_TYPE`](super::MESSAGING_OPERATION_TYPE), before.
    pub const MESSAGING_OPERATION: &str = "messaging.operation";
}

/// The name of a service.
pub const SERVICE_NAME: &str = "service.name";
/// The version of a service.
pub const SERVICE_VERSION: &str = "service.version";
/// The identity of one running process of a service.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
/// The host a process runs on.
pub const HOST_NAME: &str = "host.name";
/// The architecture of that host.
pub const HOST_ARCH: &str = "host.arch";
/// The operating system of that host.
pub const OS_TYPE: &str = "os.type";
/// The id of a process.
pub const PROCESS_PID: &str = "process.pid";
/// The id of a process's parent.
pub const PROCESS_PARENT_PID: &str = "process.parent_pid";
/// The name of a process's executable.
pub const PROCESS_EXECUTABLE_NAME: &str = "process.executable.name";
/// The name of a process's runtime.
pub const PROCESS_RUNTIME_NAME: &str = "process.runtime.name";
/// The id of the container a process runs in.
pub const CONTAINER_ID: &str = "container.id";

/// Ours. On a root that is one on purpose (`spawn_linked`, a job): its name.
pub const THROUGHLINE_ROOT: &str = "throughline.root";
/// Ours. `true` on a root that a boundary had to start although it expected a parent.
pub const THROUGHLINE_PARENT_EXPECTED: &str = "throughline.parent.expected";
/// Ours. How old a message was when its processing began, in milliseconds by the clocks of who sent
/// and who received it; at least nought.
pub const THROUGHLINE_MESSAGE_AGE: &str = "throughline.message.age";
/// Ours. Which try of the same message this is, on all but the first.
pub const THROUGHLINE_ATTEMPT: &str = "throughline.attempt";
/// Ours, on metrics. Why something was counted.
pub const THROUGHLINE_REASON: &str = "throughline.reason";
/// Ours, on metrics. The [class](crate::root::Class) of a boundary that lost a context.
pub const THROUGHLINE_CLASS: &str = "throughline.class";
/// Ours, on metrics. The name of a root that should have had a parent: the method and route of a
/// request.
pub const THROUGHLINE_ROOT_NAME: &str = "throughline.root.name";
