#![no_main]
//! An environment, `NAME=value` a line; the names are normalised as well.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use throughline_core::carrier::{EnvCarrier, env_key};

fuzz_target!(|data: &[u8]| {
    let variables = throughline_fuzz::lines(data).map(|line| {
        let at = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default());
        if let Ok(name) = std::str::from_utf8(name) {
            let key = env_key(name);
            assert_eq!(env_key(&key), key);
            assert!(key.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')));
        }
        (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec()))
    });
    throughline_fuzz::send_on(&EnvCarrier::new(variables), throughline_fuzz::ALL);
});
