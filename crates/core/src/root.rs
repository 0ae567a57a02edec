//! The one judgement of roots: which span may stand at the top of a trace.
