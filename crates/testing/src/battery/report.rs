use std::fmt;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use throughline_core::panic_message;

use super::Outcome;

/// How a boundary did, case by case.
#[derive(Clone, Debug)]
#[must_use = "a report that nobody reads proves nothing"]
pub struct Report {
    driver: &'static str,
    cases: Vec<Case>,
}

/// One case of a [`Report`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// What the boundary is asked to do.
    pub name: &'static str,
    /// What is wrong, if it doesn't.
    pub failure: Option<String>,
}

/// A boundary that breaks the law, with every case that shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotConforming(String);

impl Report {
    pub(super) fn new<D>() -> Self {
        Report { driver: std::any::type_name::<D>(), cases: Vec::new() }
    }

    /// Runs a case; a panic is its failure, and the others still run.
    pub(super) async fn add(&mut self, name: &'static str, case: impl Future<Output = Outcome>) {
        let outcome = AssertUnwindSafe(case).catch_unwind().await;
        let outcome =
            outcome.unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_message(&*panic))));
        self.cases.push(Case { name, failure: outcome.err() });
    }

    /// Every case that was run.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// What is wrong with the case of this name, if it failed.
    #[must_use]
    pub fn failure(&self, name: &str) -> Option<&str> {
        self.cases.iter().find(|case| case.name == name)?.failure.as_deref()
    }

    /// Whether every case went well.
    ///
    /// # Errors
    ///
    /// When one didn't; the error tells of all that didn't.
    pub fn check(&self) -> Result<(), NotConforming> {
        match self.cases.iter().all(|case| case.failure.is_none()) {
            true => Ok(()),
            false => Err(NotConforming(self.to_string())),
        }
    }

    /// Asserts that every case went well.
    ///
    /// # Panics
    ///
    /// When one didn't, with all that didn't.
    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn assert(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: Vec<_> = self.cases.iter().filter(|case| case.failure.is_some()).collect();
        let (bad, all) = (failed.len(), self.cases.len());
        writeln!(f, "{}: {} of {all} cases hold", self.driver, all - bad)?;
        for Case { name, failure } in failed {
            let failure = failure.as_deref().unwrap_or_default().trim_end().replace('\n', "\n    ");
            writeln!(f, "- {name}:\n    {failure}")?;
        }
        Ok(())
    }
}
