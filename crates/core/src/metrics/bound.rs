//! Where measurements go: the provider a boundary was given, else the global one, bound late.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, global};

use super::instruments::{Instruments, OptIn};

/// Whether there is a global provider, as far as anybody has looked.
static FOUND: AtomicBool = AtomicBool::new(false);

/// Whether there is any, or some boundary was given one: what is asked first, and most often is all.
static ANY: AtomicBool = AtomicBool::new(false);

/// The instruments of one boundary.
#[derive(Clone)]
pub(crate) struct BoundMeter {
    scope: InstrumentationScope,
    given: Option<Meter>,
    opt_in: OptIn,
    bound: OnceLock<Arc<Instruments>>,
}

impl fmt::Debug for BoundMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bound = self.bound.get().is_some();
        f.debug_struct("BoundMeter").field("is_bound", &is_bound).finish_non_exhaustive()
    }
}

impl BoundMeter {
    pub(crate) fn new(scope: InstrumentationScope) -> Self {
        BoundMeter { scope, given: None, opt_in: OptIn::default(), bound: OnceLock::new() }
    }

    pub(crate) fn given(&self, provider: &dyn MeterProvider) -> Self {
        let meter = provider.meter_with_scope(self.scope.clone());
        self.with(Some(meter), self.opt_in)
    }

    pub(crate) fn opting(&self, opt_in: impl FnOnce(&mut OptIn)) -> Self {
        let mut opted = self.opt_in;
        opt_in(&mut opted);
        self.with(self.given.clone(), opted)
    }

    fn with(&self, given: Option<Meter>, opt_in: OptIn) -> Self {
        let bound = OnceLock::new();
        if let Some(meter) = &given {
            ANY.store(true, Relaxed);
            bound.get_or_init(|| Arc::new(Instruments::new(meter.clone(), opt_in)));
        }
        BoundMeter { scope: self.scope.clone(), given, opt_in, bound }
    }

    /// `None` where nobody measures.
    #[inline]
    pub(crate) fn instruments(&self) -> Option<&Arc<Instruments>> {
        if !ANY.load(Relaxed) {
            return None;
        }
        match self.bound.get() {
            None if FOUND.load(Relaxed) => self.bind(),
            bound => bound,
        }
    }

    #[cold]
    fn bind(&self) -> Option<&Arc<Instruments>> {
        let meter = || global::meter_provider().meter_with_scope(self.scope.clone());
        Some(self.bound.get_or_init(|| Arc::new(Instruments::new(meter(), self.opt_in))))
    }
}

/// Looks whether there is a global provider by now.
#[cold]
pub(crate) fn look() {
    // OpenTelemetry's no-op provider says of itself only that it has no memory. One without can't
    // keep a measurement.
    if !FOUND.load(Relaxed) && size_of_val(&*global::meter_provider()) > 0 {
        FOUND.store(true, Relaxed);
        ANY.store(true, Relaxed);
    }
}
