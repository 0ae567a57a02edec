//! The places where a context has to be carried on, a file each, and what each looks like when
//! the raw library is called instead.

pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod kafka;
pub(crate) mod spawn;
pub(crate) mod sqs;
