use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::config::interceptors::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::types::Message;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use throughline_core::{Config, Extraction, Trust};

use super::receive::Receiving;
use super::send::{self, Sending};
use super::settle::Settling;
use crate::extract::MessageContext;
use crate::settings::{Settings, TraceHeader};

/// An interceptor that carries the trace through the ordinary client of [`aws_sdk_sqs`].
///
/// Register it last: what interceptors behind it add to a message isn't counted, and might make it one
/// attribute too many. Registered twice, the first one does all there is to do.
///
/// ```
/// use throughline_sqs::{Interceptor, TraceHeader};
///
/// # fn build(sdk_config: &aws_sdk_sqs::Config) -> aws_sdk_sqs::Client {
/// let interceptor = Interceptor::new().trace_header(TraceHeader::Always);
/// let config = sdk_config.to_builder().interceptor(interceptor).build();
/// let sqs = aws_sdk_sqs::Client::from_conf(config);
/// # sqs
/// # }
/// ```
///
/// Its hooks run when the future of a call is polled first, and its spans are started under what is
/// current then. They never fail a call.
#[derive(Clone, Debug)]
pub struct Interceptor {
    settings: Arc<Settings>,
}

impl Default for Interceptor {
    fn default() -> Self {
        Interceptor::new()
    }
}

impl Interceptor {
    /// An interceptor that uses OpenTelemetry's global provider and the formats of its global
    /// propagator, and may be built before they are set. While no propagator is set it speaks W3C
    /// Trace Context and W3C Baggage.
    #[must_use]
    pub fn new() -> Self {
        Interceptor { settings: Arc::new(Settings::new()) }
    }

    /// One that does as somebody else was told.
    pub(crate) fn of(settings: Arc<Settings>) -> Self {
        Interceptor { settings }
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        change(&mut settings);
        Interceptor { settings: Arc::new(settings) }
    }

    fn map(self, map: impl FnOnce(Config) -> Config) -> Self {
        self.change(|settings| settings.config = map(settings.config.clone()))
    }

    /// What `AWSTraceHeader` is used for; [`TraceHeader::Fallback`] unless told otherwise. What a
    /// propagator of X-Ray's format would write into the header `x-amzn-trace-id` goes into it, too.
    #[must_use]
    pub fn trace_header(self, use_for: TraceHeader) -> Self {
        self.change(|settings| settings.trace_header = use_for)
    }

    /// Whether a message without attributes is looked at as one of SNS, whose envelope in the body
    /// has them: it is unless told otherwise.
    ///
    /// Where strangers write whole bodies, and no sender sends a context, they could write one.
    #[must_use]
    pub fn sns_envelopes(self, read: bool) -> Self {
        self.change(|settings| settings.sns_envelopes = read)
    }

    /// Whether each entry of a batch has a span of its own; it has unless told otherwise. Without, all
    /// entries carry the context of the batch's `send` span.
    #[must_use]
    pub fn create_spans(self, create: bool) -> Self {
        self.change(|settings| settings.create_spans = create)
    }

    /// The most bytes that the queues take of a message, their `MaximumMessageSize`; 1 MiB unless told
    /// otherwise, which is what they take of a batch in any case.
    /// No context makes a message longer than that, nor than 256 KiB, the most that queues took until
    /// 2025, unless it is already.
    #[must_use]
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.change(|settings| settings.max_message_size = bytes)
    }

    /// How far the senders of messages are trusted; [`Trust::Continue`] unless told otherwise. With
    /// [`Trust::Ignore`], spans of receiving have no links either.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        self.map(|config| config.trust(trust))
    }

    throughline_core::config_setters!();

    /// Takes the context out of a message that was received, from its attributes, from the envelope of
    /// SNS, or from `AWSTraceHeader`; whatever is wrong with those, it never panics.
    #[must_use = "an extracted context that nothing is started under ends the trace"]
    pub fn extract(&self, message: &Message) -> Extraction {
        self.settings.config.extract(&MessageContext::of(message, &self.settings))
    }
}

/// A call on its way, in the call's own memory: when its future is dropped, so is this.
#[derive(Debug)]
struct InFlight(Mutex<Option<Call>>);

impl Storable for InFlight {
    type Storer = StoreReplace<Self>;
}

#[derive(Debug)]
pub(super) enum Call {
    Send(Sending),
    Receive(Receiving),
    Settle(Settling),
}

impl Intercept for Interceptor {
    fn name(&self) -> &'static str {
        "throughline"
    }

    // By then all that the SDK itself sets is there, and it is the last moment to change what is sent.
    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Another one, before this, has seen it.
        if cfg.interceptor_state().load::<InFlight>().is_some() {
            return Ok(());
        }
        let input = context.input_mut();
        let sending = send::start(&self.settings, input, cfg);
        #[cfg(feature = "sns")]
        let sending = sending.or_else(|| super::publish::start(&self.settings, input, cfg));
        let call = sending
            .map(Call::Send)
            .or_else(|| Receiving::start(&self.settings, input, cfg).map(Call::Receive))
            .or_else(|| Settling::start(&self.settings, input, cfg).map(Call::Settle));
        if call.is_some() {
            cfg.interceptor_state().store_put(InFlight(Mutex::new(call)));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = cfg
            .interceptor_state()
            .load::<InFlight>()
            .and_then(|InFlight(call)| call.lock().unwrap_or_else(PoisonError::into_inner).take());
        match call {
            Some(Call::Send(sending)) => sending.end(context, cfg),
            Some(Call::Receive(receiving)) => receiving.end(&self.settings, context),
            Some(Call::Settle(settling)) => settling.end(context),
            None => {}
        }
        Ok(())
    }
}
