//! The binary as its users run it.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod clippy;
mod lint;
mod list;
mod lock;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn check() -> Command {
    let mut check = Command::new(env!("CARGO_BIN_EXE_throughline-check"));
    check.env_remove("CLIPPY_CONF_DIR");
    check
}

/// Exit status, standard output, standard error.
fn run(command: &mut Command, input: &str) -> (i32, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the binary");
    // It may have had enough before the end.
    drop(process.stdin.take().expect("piped").write_all(input.as_bytes()));
    let output = process.wait_with_output().expect("an end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a status"), text(output.stdout), text(output.stderr))
}

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A folder that is the root of a workspace, whatever is above it.
fn workspace(name: &str) -> PathBuf {
    let folder = folder(name);
    fs::write(folder.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").expect("written");
    folder
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A file of this repository.
fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}
