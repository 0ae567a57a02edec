//! Every way to leave the current task, with the trace kept: spawn, spawn_blocking, spawn_linked.
#![forbid(unsafe_code)]
