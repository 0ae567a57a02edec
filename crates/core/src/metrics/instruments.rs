use std::sync::OnceLock;

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

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
}

/// What is measured only where it was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OptIn {
    pub(crate) active: bool,
    pub(crate) body_sizes: bool,
}

/// The names of one operation's metrics. Empty is what there is none of.
struct Names {
    duration: &'static str,
    /// In milliseconds, where the older names are wanted as well.
    old_duration: &'static str,
    active: &'static str,
    request_size: &'static str,
    response_size: &'static str,
}

impl Operation {
    fn names(self) -> Names {
        let calls = |duration, old_duration| {
            let (active, request_size, response_size) = ("", "", "");
            Names { duration, old_duration, active, request_size, response_size }
        };
        match self {
            Operation::HttpServer => Names {
                duration: semconv::HTTP_SERVER_REQUEST_DURATION,
                old_duration: "",
                active: semconv::HTTP_SERVER_ACTIVE_REQUESTS,
                request_size: semconv::HTTP_SERVER_REQUEST_BODY_SIZE,
                response_size: semconv::HTTP_SERVER_RESPONSE_BODY_SIZE,
            },
            Operation::HttpClient => Names {
                duration: semconv::HTTP_CLIENT_REQUEST_DURATION,
                old_duration: "",
                active: semconv::HTTP_CLIENT_ACTIVE_REQUESTS,
                request_size: semconv::HTTP_CLIENT_REQUEST_BODY_SIZE,
                response_size: semconv::HTTP_CLIENT_RESPONSE_BODY_SIZE,
            },
            Operation::RpcServer => {
                calls(semconv::RPC_SERVER_CALL_DURATION, replaced::RPC_SERVER_DURATION)
            }
            Operation::RpcClient => {
                calls(semconv::RPC_CLIENT_CALL_DURATION, replaced::RPC_CLIENT_DURATION)
            }
        }
    }
}

/// The instruments of one boundary, made when they are first needed.
pub(crate) struct Instruments {
    meter: Meter,
    opt_in: OptIn,
    sets: [OnceLock<Set>; 4],
}

/// Those of one operation.
pub(super) struct Set {
    pub(super) duration: Histogram<f64>,
    pub(super) old_duration: Option<Histogram<f64>>,
    pub(super) active: Option<UpDownCounter<i64>>,
    pub(super) request_size: Option<Histogram<u64>>,
    pub(super) response_size: Option<Histogram<u64>>,
}

impl Instruments {
    pub(super) fn new(meter: Meter, opt_in: OptIn) -> Self {
        Instruments { meter, opt_in, sets: [const { OnceLock::new() }; 4] }
    }

    pub(super) fn of(&self, operation: Operation) -> &Set {
        self.sets[operation as usize].get_or_init(|| self.make(&operation.names()))
    }

    #[cold]
    fn make(&self, names: &Names) -> Set {
        let Names { duration, old_duration, active, request_size, response_size } = *names;
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
        }
    }
}
