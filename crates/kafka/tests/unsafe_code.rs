//! There is one place with `unsafe` in Throughline, and it is audited: `src/raw.rs` of this crate.
//!
//! The compiler holds each library to that by `forbid`. It can't hold tests, examples and benches,
//! which a lint of the workspace's is allowed to be switched off in, nor somebody who relaxes a
//! `lib.rs`.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]

use std::fs;
use std::path::{Path, PathBuf};

const AUDITED: &str = "crates/kafka/src/raw.rs";

/// Which `lib.rs` can't forbid it, since what is forbidden can't be allowed in a module.
const DENIES: &str = "crates/kafka/src/lib.rs";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust source below these folders: its path from the workspace, and what it says.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| workspace().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name() != Some("target".as_ref()) {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                let text = fs::read_to_string(&path).expect("a source");
                let path = path.strip_prefix(workspace()).expect("a path of the workspace");
                found.push((path.to_string_lossy().into_owned(), text));
            }
        }
    }
    found
}

/// What of a line is code: no comment, and no text in quotes.
fn code(line: &str) -> String {
    let line = line.replace("\\\"", "");
    let unquoted: String = line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    unquoted.split("//").next().unwrap_or_default().to_owned()
}

/// Whether a line is unsafe, or lets others be.
fn is_unsafe(line: &str) -> bool {
    let line = code(line);
    let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let relaxes = ["allow", "warn", "expect"].iter().any(|level| line.contains(level));
    words.any(|word| word == "unsafe" || (word == "unsafe_code" && relaxes))
}

#[test]
fn nothing_is_unsafe_but_one_audited_module() {
    let sources = sources(&["crates", "examples", "benches"]);
    let lines = sources.iter().flat_map(|(path, text)| {
        let numbered = text.lines().enumerate().filter(|(_, line)| is_unsafe(line));
        numbered.map(move |(number, line)| (path, number + 1, line))
    });
    let (audited, others): (Vec<_>, Vec<_>) = lines.partition(|(path, ..)| *path == AUDITED);
    assert!(others.is_empty(), "unsafe outside of {AUDITED}: {others:#?}");
    assert!(!audited.is_empty(), "nothing is unsafe any more: forbid it in {DENIES} too");
}

#[test]
fn every_other_library_forbids_it() {
    let libraries: Vec<_> = sources(&["crates"])
        .into_iter()
        .filter(|(path, _)| path.ends_with("/src/lib.rs"))
        .collect();
    assert!(libraries.len() > 5, "only {} libraries were found", libraries.len());
    for (path, text) in libraries {
        let wanted = match &*path {
            DENIES => "#![deny(unsafe_code)]",
            _ => "#![forbid(unsafe_code)]",
        };
        assert!(text.lines().any(|line| line == wanted), "{path} lacks {wanted}");
    }
}

#[test]
fn what_is_unsafe_is_found() {
    for line in [
        "unsafe { work() }",
        "    let x = unsafe{*pointer};",
        "unsafe fn work() {}",
        "#![allow(unsafe_code, reason = \"because\")]",
        "#[expect(unsafe_code)] // it is \"needed\"",
        "let text = \"safe\"; unsafe { work(text) }",
    ] {
        assert!(is_unsafe(line), "{line}");
    }
    for line in ["#![forbid(unsafe_code)]", "// unsafe { work() }", "let text = \"unsafe { }\";"] {
        assert!(!is_unsafe(line), "{line}");
    }
}
