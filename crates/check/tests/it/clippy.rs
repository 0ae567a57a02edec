//! The ratchet, on small packages that clippy really judges.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{check, run, workspace};

const LIST: &str = "disallowed-methods = [\"std::thread::spawn\"]\n";
const NO_LIST: &str = "clippy has no list of raw ways out, and would find none: ";

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
fn without_a_list_nothing_is_judged() {
    let root = orders("no-list");
    for (list, why) in [
        (
            "too-many-lines-threshold = 90\n",
            "clippy.toml has no `disallowed-methods`; put the list",
        ),
        ("disallowed-methods = []\n", "clippy.toml is empty; put the list into the clippy.toml"),
    ] {
        write(root.join("clippy.toml"), list);
        let (status, text) = said(&mut lint(&root, &["--write-baseline"]));
        assert!(text.contains(NO_LIST) && text.contains(why), "{list}: {text}");
        assert_eq!((status, root.join("throughline-baseline.toml").exists()), (2, false));
    }
    let (status, text) = said(lint(&root, &["--write-baseline"]).env("CLIPPY_CONF_DIR", "/"));
    assert!(text.contains(NO_LIST) && text.contains("no clippy.toml in / or above it"), "{text}");
    assert_eq!(status, 2);
    assert!(!root.join("target").exists(), "it can be told before clippy runs");

    write(root.join("clippy.toml"), "disallowed-methods = 3\n");
    let (status, text) = said(&mut lint(&root, &[]));
    assert!(text.contains("clippy.toml is no configuration of clippy's: "), "{text}");
    assert_eq!(status, 2);

    write(root.join("clippy.toml"), LIST);
    let (status, text) = said(&mut lint(&root, &["--write-baseline"]));
    assert!(text.starts_with("throughline-baseline.toml written: 1 raw way out\n"), "{text}");
    assert_eq!(status, 0);

    // Of two, clippy reads the one with the dot.
    write(root.join(".clippy.toml"), "");
    let (status, text) = said(&mut lint(&root, &[]));
    assert!(text.contains(NO_LIST) && text.contains(".clippy.toml has no"), "{text}");
    assert_eq!(status, 2);
}

#[test]
fn what_clippy_said_without_the_list_does_not_count() {
    let root = orders("cached");
    write(root.join("crates/orders/clippy.toml"), "disallowed-methods = []\n");
    write(root.join("crates/other/clippy.toml"), LIST);
    member(&root, "other", "");
    let (status, text) = said(&mut lint(&root, &[]));
    assert!(text.starts_with("no raw way out, as before\n"), "{text}");
    assert_eq!(status, 0);

    // Cargo looks at the time of a file alone, and a file that is put back may have its old one.
    let time =
        fs::metadata(root.join("crates/orders/clippy.toml")).and_then(|file| file.modified());
    write(root.join("crates/orders/clippy.toml"), LIST);
    let file = fs::File::options().write(true).open(root.join("crates/orders/clippy.toml"));
    file.and_then(|file| file.set_modified(time?)).expect("an old file");
    let (status, text) = said(&mut lint(&root, &[]));
    assert!(text.starts_with("std::thread::spawn has risen from 0 to 1:\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn a_folder_that_is_named_is_looked_into_as_clippy_does() {
    let root = orders("conf-dir");
    write(root.join("clippy.toml"), LIST);
    write(root.join("conf/clippy.toml"), "too-many-lines-threshold = 90\n");
    write(root.join("conf/deep/but-above"), "");
    // From the root, wherever it is run.
    for folder in ["conf", "conf/deep"] {
        let lint = &mut lint(&root.join("crates/orders/src"), &[]);
        let (status, text) = said(lint.env("CLIPPY_CONF_DIR", folder));
        assert!(text.contains(NO_LIST) && text.contains("conf/clippy.toml has no"), "{text}");
        assert_eq!(status, 2);
    }
    let (status, text) = said(lint(&root, &[]).env("CLIPPY_CONF_DIR", "nowhere"));
    assert!(
        text.contains("clippy.toml can't be looked for in ") && text.contains("name a folder"),
        "{text}"
    );
    assert_eq!(status, 2);

    write(
        root.join(".cargo/config.toml"),
        "[env]\nCLIPPY_CONF_DIR = { value = \"conf\", relative = true }\n",
    );
    let (status, text) = said(&mut lint(&root, &[]));
    assert!(text.contains(NO_LIST) && text.contains("conf/clippy.toml has no"), "{text}");
    assert_eq!(status, 2);
    let (status, text) = said(lint(&root, &[]).env("CLIPPY_CONF_DIR", "."));
    assert!(text.starts_with("std::thread::spawn has risen from 0 to 1:\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn a_member_with_a_clippy_toml_of_its_own_says_whether_it_has_a_list() {
    let root = orders("own");
    write(root.join("clippy.toml"), LIST);
    member(&root, "stock", "std::thread::spawn(|| ());\n");
    write(root.join("crates/stock/clippy.toml"), "too-many-lines-threshold = 90\n");
    let (status, text) = said(&mut lint(&root, &["--write-baseline"]));
    assert!(
        text.contains("nothing is counted in ") && text.contains("stock/clippy.toml has no"),
        "{text}"
    );
    assert_eq!((status, root.join("throughline-baseline.toml").exists()), (2, false));

    // Who isn't asked, needn't answer.
    let (status, text) = said(&mut lint(&root, &["--", "-p", "orders"]));
    assert!(text.starts_with("std::thread::spawn has risen from 0 to 1:\n"), "{text}");
    assert_eq!(status, 1);

    // The same by a pipe.
    let mut clippy = Command::new(env!("CARGO"));
    clippy.args(["clippy", "--message-format=json", "--workspace"]).current_dir(&root);
    clippy.env_remove("CLIPPY_CONF_DIR").env("CARGO_TARGET_DIR", root.join("target"));
    let (_, messages, _) = run(&mut clippy, "");
    let (status, text, error) = run(&mut lint(&root, &["--stdin"]), &messages);
    assert!(error.contains("nothing is counted in "), "{text}{error}");
    assert_eq!(status, 2);

    write(root.join("crates/stock/clippy.toml"), "disallowed-methods = []\n");
    let (status, text) = said(&mut lint(&root, &["--write-baseline"]));
    assert!(text.starts_with("throughline-baseline.toml written: 1 raw way out\n"), "{text}");
    assert_eq!(status, 0);
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

/// docs/lint.md tells it as a hole to look for.
#[test]
fn what_is_allowed_counts_as_none() {
    let root = orders("allowed");
    write(root.join("clippy.toml"), LIST);
    let lib = root.join("crates/orders/src/lib.rs");
    let spawns = fs::read_to_string(&lib).expect("a source");
    write(lib, &format!("#![allow(clippy::disallowed_methods)]\n{spawns}"));
    let (_, text) = said(&mut lint(&root, &[]));
    assert!(text.starts_with("no raw way out, as before\n"), "{text}");
}
