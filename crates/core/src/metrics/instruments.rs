use std::sync::OnceLock;

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use crate::semconv::{self, replaced};
use crate::stability;

/// The buckets of a duration in seconds, as the semantic conventions give them.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What is measured: each has metrics of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A request of HTTP that came in.
    HttpServer,
    /// A request of HTTP that goes out.
    HttpClient,
    /// A call of gRPC that came in.
    RpcServer,
    /// A call of gRPC that goes out.
    RpcClient,
    /// The sending of a message, or of a batch.
    MessagingSend,
    /// The receiving of messages, where it is asked for: not of those that were fetched ahead.
    MessagingReceive,
    /// The settling of messages: a commit, a deletion.
    MessagingSettle,
    /// The processing of a message, or of a batch.
    MessagingProcess,
}

impl Operation {
    const COUNT: usize = Operation::MessagingProcess as usize + 1;

    /// The value of `messaging.operation.type`, where what a client does is told by it.
    pub(super) fn messaging_type(self) -> Option<&'static str> {
        match self {
            Operation::MessagingSend => Some("send"),
            Operation::MessagingReceive => Some("receive"),
            Operation::MessagingSettle => Some("settle"),
            _ => None,
        }
    }
}

/// What is measured only where it was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OptIn {
    pub(crate) active: bool,
    pub(crate) body_sizes: bool,
}

/// The names of one operation's metrics. Empty is what there is none of.
#[derive(Clone, Copy, Default)]
struct Names {
    duration: &'static str,
    /// In milliseconds, where the older names are wanted as well.
    old_duration: &'static str,
    active: &'static str,
    request_size: &'static str,
    response_size: &'static str,
    messages: &'static str,
}

impl Operation {
    fn names(self) -> Names {
        let none = Names::default();
        let messaging = Names { duration: semconv::MESSAGING_CLIENT_OPERATION_DURATION, ..none };
        match self {
            Operation::HttpServer => Names {
                duration: semconv::HTTP_SERVER_REQUEST_DURATION,
                active: semconv::HTTP_SERVER_ACTIVE_REQUESTS,
                request_size: semconv::HTTP_SERVER_REQUEST_BODY_SIZE,
                response_size: semconv::HTTP_SERVER_RESPONSE_BODY_SIZE,
                ..none
            },
            Operation::HttpClient => Names {
                duration: semconv::HTTP_CLIENT_REQUEST_DURATION,
                active: semconv::HTTP_CLIENT_ACTIVE_REQUESTS,
                request_size: semconv::HTTP_CLIENT_REQUEST_BODY_SIZE,
                response_size: semconv::HTTP_CLIENT_RESPONSE_BODY_SIZE,
                ..none
            },
            Operation::RpcServer => Names {
                duration: semconv::RPC_SERVER_CALL_DURATION,
                old_duration: replaced::RPC_SERVER_DURATION,
                ..none
            },
            Operation::RpcClient => Names {
                duration: semconv::RPC_CLIENT_CALL_DURATION,
                old_duration: replaced::RPC_CLIENT_DURATION,
                ..none
            },
            Operation::MessagingSend => {
                Names { messages: semconv::MESSAGING_CLIENT_SENT_MESSAGES, ..messaging }
            }
            Operation::MessagingReceive => {
                Names { messages: semconv::MESSAGING_CLIENT_CONSUMED_MESSAGES, ..messaging }
            }
            Operation::MessagingSettle => messaging,
            Operation::MessagingProcess => Names {
                duration: semconv::MESSAGING_PROCESS_DURATION,
                messages: semconv::MESSAGING_CLIENT_CONSUMED_MESSAGES,
                ..none
            },
        }
    }
}

/// The instruments of one boundary, made when they are first needed.
pub(crate) struct Instruments {
    meter: Meter,
    opt_in: OptIn,
    sets: [OnceLock<Set>; Operation::COUNT],
}

/// Those of one operation.
pub(super) struct Set {
    pub(super) duration: Histogram<f64>,
    pub(super) old_duration: Option<Histogram<f64>>,
    pub(super) active: Option<UpDownCounter<i64>>,
    pub(super) request_size: Option<Histogram<u64>>,
    pub(super) response_size: Option<Histogram<u64>>,
    pub(super) messages: Option<Counter<u64>>,
}

impl Instruments {
    pub(super) fn new(meter: Meter, opt_in: OptIn) -> Self {
        Instruments { meter, opt_in, sets: [const { OnceLock::new() }; Operation::COUNT] }
    }

    pub(super) fn of(&self, operation: Operation) -> &Set {
        self.sets[operation as usize].get_or_init(|| self.make(&operation.names()))
    }

    #[cold]
    fn make(&self, names: &Names) -> Set {
        let Names { duration, old_duration, active, request_size, response_size, messages } =
            *names;
        let wants = |name: &str, opted: bool| opted && !name.is_empty();
        let size = |name| {
            wants(name, self.opt_in.body_sizes)
                .then(|| self.meter.u64_histogram(name).with_unit("By").build())
        };
        Set {
            duration: self
                .meter
                .f64_histogram(duration)
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            old_duration: wants(old_duration, stability::tells_old_rpc())
                .then(|| self.meter.f64_histogram(old_duration).with_unit("ms").build()),
            active: wants(active, self.opt_in.active)
                .then(|| self.meter.i64_up_down_counter(active).with_unit("{request}").build()),
            request_size: size(request_size),
            response_size: size(response_size),
            messages: wants(messages, true)
                .then(|| self.meter.u64_counter(messages).with_unit("{message}").build()),
        }
    }
}
