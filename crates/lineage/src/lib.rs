//! Spans in, trees and a verdict out: which trace is broken, where, and by which boundary.
#![forbid(unsafe_code)]
