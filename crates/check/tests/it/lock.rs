//! Lock files that cargo wrote, and what else is given as one.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{check, fixture, folder, ours, run};

fn lock(path: &Path) -> (i32, String, String) {
    run(check().arg("lock").arg(path), "")
}

fn written(name: &str, text: &str) -> (i32, String, String) {
    let path = folder(name).join("Cargo.lock");
    fs::write(&path, text).expect("written");
    lock(&path)
}

/// `orders` depends on opentelemetry 0.33, `shared` on reqwest-tracing, which stops at 0.32, and on
/// a reqwest of http 0.2.
#[test]
fn a_split_is_found_with_who_brings_it_and_what_to_do() {
    let (status, text, _) = lock(&fixture("lock/split.lock"));
    let text = text.split_once(": ").expect("a path").1;
    assert_eq!(
        text.split_once("\n\n").expect("a note").0,
        "2 versions of opentelemetry: 0.32.0, 0.33.1
  0.32.0 is brought by
    shared → reqwest-tracing 0.7.1 → opentelemetry 0.32.0
    shared → reqwest-tracing 0.7.1 → tracing-opentelemetry 0.33.0 → opentelemetry 0.32.0
  0.33.1 (to keep) is brought by
    orders → opentelemetry 0.33.1
  breaks: two sets of globals and two `Context` types: what one part starts the other doesn't see, \
  and traces fall apart without an error
  do: raise reqwest-tracing 0.7.1 to a release that stands on opentelemetry 0.33.1, replace it, or \
  turn off the feature that brings it
  do: raise tracing-opentelemetry 0.33.0 to a release that stands on opentelemetry 0.33.1, replace \
  it, or turn off the feature that brings it"
    );
    assert!(text.contains("note: 2 versions of http: 0.2.12, 1.5.0\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn json_tells_the_same() {
    let path = fixture("lock/split.lock");
    let (status, text, _) = run(check().args(["lock", "--json"]).arg(path), "");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let file = &found["files"][0];
    assert_eq!((&found["ok"], &file["ok"]), (&Value::Bool(false), &Value::Bool(false)));
    assert_eq!(file["splits"].as_array().map(Vec::len), Some(1), "{text}");
    let split = &file["splits"][0];
    assert_eq!(split["crate"], "opentelemetry");
    assert_eq!(split["versions"][0]["keep"], false);
    assert_eq!(
        split["versions"][0]["brought_by"][0],
        serde_json::json!(["shared", "reqwest-tracing 0.7.1", "opentelemetry 0.32.0"])
    );
    assert_eq!(file["notes"][0]["crate"], "http");
    assert_eq!(status, 1);
}

#[test]
fn ours_have_one() {
    let mut command = check();
    command.arg("lock").args(["Cargo.lock", "benches/Cargo.lock"].map(ours));
    let (status, text, _) = run(&mut command, "");
    assert_eq!(text.matches(": one opentelemetry, 0.33").count(), 2, "{text}");
    assert_eq!(status, 0);
}

#[test]
fn what_our_core_stands_on_is_kept_even_if_it_is_older() {
    let (status, text, _) = written(
        "older-core",
        r#"version = 4
[[package]]
name = "opentelemetry"
version = "0.33.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "opentelemetry"
version = "0.34.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "orders"
version = "0.1.0"
dependencies = ["opentelemetry 0.34.0", "throughline-core"]
[[package]]
name = "throughline-core"
version = "0.1.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
dependencies = ["opentelemetry 0.33.1"]
"#,
    );
    assert!(text.contains("0.33.1 (to keep)"), "{text}");
    assert!(
        text.contains("do: in the Cargo.toml of orders ask for opentelemetry 0.33.1\n"),
        "{text}"
    );
    assert_eq!(status, 1);
}

#[test]
fn one_version_from_two_sources_is_a_split() {
    let (status, text, _) = written(
        "two-sources",
        r#"version = 4
[[package]]
name = "opentelemetry"
version = "0.33.1"
source = "git+https://example.com/opentelemetry-rust?branch=main#1234567"
[[package]]
name = "opentelemetry"
version = "0.33.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "orders"
version = "0.1.0"
dependencies = [
 "opentelemetry 0.33.1 (registry+https://github.com/rust-lang/crates.io-index)",
]
[[package]]
name = "shared"
version = "0.1.0"
dependencies = [
 "opentelemetry 0.33.1 (git+https://example.com/opentelemetry-rust?branch=main)",
]
"#,
    );
    assert!(text.contains("orders → opentelemetry") && text.contains("shared → "), "{text}");
    assert_eq!(text.matches(" → ").count(), 2, "{text}");
    assert_eq!(status, 1);
}

/// The first format keeps the package of the folder apart from the others.
#[test]
fn the_root_of_an_old_lock_file_is_one_of_its_packages() {
    let (status, text, _) = written(
        "root",
        r#"[root]
name = "orders"
version = "0.1.0"
dependencies = [
 "opentelemetry 0.32.0 (registry+https://github.com/rust-lang/crates.io-index)",
 "opentelemetry 0.33.1 (registry+https://github.com/rust-lang/crates.io-index)",
]
[[package]]
name = "opentelemetry"
version = "0.32.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "opentelemetry"
version = "0.33.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
"#,
    );
    assert!(text.contains("0.32.0 is brought by\n    orders → opentelemetry 0.32.0\n"), "{text}");
    assert!(
        text.contains("do: in the Cargo.toml of orders ask for opentelemetry 0.33.1\n"),
        "{text}"
    );
    assert_eq!(status, 1);

    // A package of its own, and nothing else.
    let (status, text, _) =
        written("root-only", "[root]\nname = \"orders\"\nversion = \"0.1.0\"\n");
    assert!(text.ends_with("Cargo.lock: no opentelemetry\n"), "{text}");
    assert_eq!(status, 0);
}

#[test]
fn a_folder_or_none_means_the_lock_file_in_it_or_above() {
    let folder = folder("above");
    let below = folder.join("crates/orders");
    fs::create_dir_all(&below).expect("a folder");
    let none = "[[package]]\nname = \"orders\"\nversion = \"0.1.0\"\n";
    fs::write(folder.join("Cargo.lock"), none).expect("written");
    for command in [check().arg("lock").arg(&folder), check().arg("lock").current_dir(&below)] {
        let (status, text, _) = run(command, "");
        assert!(text.ends_with("Cargo.lock: no opentelemetry\n"), "{text}");
        assert_eq!(status, 0);
    }
}

#[test]
fn what_is_no_lock_file_is_told_with_a_way_on() {
    let (status, _, error) =
        written("manifest", "[package]\nname = \"orders\"\nversion = \"1.0.0\"\n");
    assert!(
        error.contains("is not a lock file: ") && error.ends_with("path of a Cargo.lock\n"),
        "{error}"
    );
    assert_eq!(status, 2);

    let (status, _, error) = written("empty", "version = 4\n");
    assert!(error.contains("is not a lock file: it lists no packages; give"), "{error}");
    assert_eq!(status, 2);

    let (status, _, error) = written("not-toml", "<<<<<<< HEAD\n");
    assert!(error.contains("is not a lock file: "), "{error}");
    assert_eq!(status, 2);

    let (status, _, error) = lock(Path::new("nowhere/Cargo.lock"));
    assert!(error.contains("nowhere/Cargo.lock can't be read: "), "{error}");
    assert_eq!(status, 2);

    let (status, _, error) = run(check().arg("lock").current_dir("/"), "");
    assert!(
        error.contains("no Cargo.lock in / or above it: run `cargo generate-lockfile`"),
        "{error}"
    );
    assert_eq!(status, 2);
}
