//! The ratchet, on small packages that clippy really judges.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{check, run, workspace};

const LIST: &str = "disallowed-methods = [\"std::thread::spawn\"]\n";

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("written");
}

/// A member that does what `body` says.
fn member(root: &Path, name: &str, body: &str) {
    let folder = root.join("crates").join(name);
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    write(folder.join("Cargo.toml"), &manifest);
    write(folder.join("src/lib.rs"), &format!("pub fn start() {{\n{body}}}\n"));
}

/// A workspace of one member, which spawns once, and no list.
fn orders(name: &str) -> PathBuf {
    let root = workspace(name);
    let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n";
    write(root.join("Cargo.toml"), manifest);
    member(&root, "orders", "std::thread::spawn(|| ());\n");
    root
}

fn lint(root: &Path, args: &[&str]) -> Command {
    let mut lint = check();
    lint.arg("lint").args(args).current_dir(root).env("CARGO_TARGET_DIR", root.join("target"));
    lint
}

/// Exit status, and what was said.
fn said(command: &mut Command) -> (i32, String) {
    let (status, text, error) = run(command, "");
    (status, text + &error)
}

#[test]
fn what_is_meant_for_clippy_gets_there() {
    let root = orders("arguments");
    write(root.join("clippy.toml"), LIST);
    for args in
        [&["--", "--", "-D", "warnings"][..], &["--", "-p", "orders", "--", "-D", "warnings"]]
    {
        let (status, text) = said(&mut lint(&root, args));
        assert!(text.starts_with("std::thread::spawn has risen from 0 to 1:\n"), "{text}");
        assert_eq!(status, 1);
    }
    let (_, text) = said(&mut lint(&root, &["--", "--", "-A", "clippy::disallowed_methods"]));
    assert!(text.starts_with("no raw way out, as before\n"), "{text}");
}

#[test]
fn a_macro_counts_wherever_it_is_used() {
    let root = orders("macros");
    write(root.join("clippy.toml"), LIST);
    let body = "macro_rules! go { () => { std::thread::spawn(|| ()) } }\n\
                macro_rules! twice { () => { (go!(), go!()) } }\n\
                go!();\ngo!();\ntwice!();\ndrop(std::thread::spawn(|| ()));\n";
    member(&root, "orders", body);
    let (_, text) = said(&mut lint(&root, &["--write-baseline"]));
    assert!(text.starts_with("throughline-baseline.toml written: 5 raw ways out\n"), "{text}");
}

#[test]
fn a_manifest_may_be_elsewhere() {
    let root = orders("afar");
    write(root.join("clippy.toml"), LIST);
    let here = root.parent().expect("a folder");
    let manifest = root.join("crates/orders/Cargo.toml");
    for args in [
        &["--", "--manifest-path", manifest.to_str().expect("UTF-8")][..],
        &["--", &format!("--manifest-path={}", manifest.display())],
    ] {
        let (status, text) = said(&mut lint(here, args));
        assert!(text.starts_with("std::thread::spawn has risen from 0 to 1:\n"), "{text}");
        assert_eq!(status, 1);
    }
    let (status, text) = said(&mut lint(Path::new("/"), &[]));
    assert!(text.contains("`cargo metadata` doesn't tell what the workspace is: "), "{text}");
    assert!(text.contains("give `-- --manifest-path <PATH>`"), "{text}");
    assert_eq!(status, 2);
}
