//! The boundary span: one type for every boundary, ended exactly once, whatever happens.

mod boundary;
mod description;
mod end;
mod handle;
pub(crate) mod inside;
mod process;

pub use boundary::{BoundarySpan, Entered};
pub use description::Description;
pub use end::{End, panic_message};
pub use handle::{Boundary, Failure, HandledRequest, boundary, error_chain};
pub use process::{InContext, Process};

pub(crate) use handle::State;
