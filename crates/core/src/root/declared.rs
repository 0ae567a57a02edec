use std::borrow::Cow;

use opentelemetry::Context;

/// A mark in a context: whatever starts a trace there does so on purpose.
///
/// For code that makes spans of its own and knows nothing of Throughline: a job of a scheduler, a
/// consumer of a queue that has no boundary yet. [`spawn_linked`][spawn_linked] and
/// [`Config::root`](crate::Config::root) need no mark.
///
/// ```
/// use opentelemetry::Context;
/// use throughline_core::root::Declared;
///
/// let nightly = Declared::new("nightly").mark(&Context::current());
/// let _attached = nightly.attach();
/// // A span that is started here may be a root.
/// ```
///
/// [spawn_linked]: https://docs.rs/throughline-task/latest/throughline_task/fn.spawn_linked.html
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared(Cow<'static, str>);

impl Declared {
    /// A mark of this name, which becomes the value of
    /// [`throughline.root`](crate::semconv::THROUGHLINE_ROOT).
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Declared(name.into())
    }

    /// `context`, marked.
    #[must_use]
    pub fn mark(self, context: &Context) -> Context {
        context.with_value(self)
    }

    /// The mark of a context.
    #[must_use]
    pub fn of(context: &Context) -> Option<&Self> {
        context.get()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        self.0.clone()
    }
}
