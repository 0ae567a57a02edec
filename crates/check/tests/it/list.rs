//! The list of raw ways out: that we obey what we hand out, and that clippy sees all of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use toml::{Table, Value};

use crate::{check, fixture, folder, ours, run};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn handed_out() -> Vec<Table> {
    let list: Table = toml::from_str(&text(&ours("docs/lint/clippy.toml"))).expect("TOML");
    let methods = list["disallowed-methods"].as_array().expect("a list");
    methods.iter().map(|entry| entry.as_table().expect("a table").clone()).collect()
}

fn of<'a>(entry: &'a Table, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn our_own_list_is_the_one_we_hand_out() {
    let list = text(&ours("docs/lint/clippy.toml"));
    assert!(
        text(&ours("clippy.toml")).ends_with(&list),
        "clippy.toml must end with docs/lint/clippy.toml, word for word: copy it there"
    );
}

#[test]
fn each_entry_is_there_once_and_says_what_to_use_instead() {
    let mut paths = BTreeSet::new();
    for entry in handed_out() {
        let (path, reason) = (of(&entry, "path"), of(&entry, "reason"));
        assert!(paths.insert(path.to_owned()), "{path} is there twice");
        assert!(!reason.is_empty() && !reason.contains('\n'), "{path} has no reason in one line");
        assert!(
            entry.contains_key("replacement") || reason.contains(": "),
            "{path} doesn't say what to use instead"
        );
    }
}

/// What the docs say isn't on the list: who puts it there takes it out of the docs.
#[test]
fn what_is_said_to_be_missing_is() {
    let docs = text(&ours("docs/lint.md"));
    let docs = docs.split_once("- **What isn't on the list**").expect("its place").1;
    let docs = docs.split("\n- **").next().unwrap_or_default().replace("\n  ", " ");
    let named = |name| docs.contains(&format!("`{name}`"));
    let listed: BTreeSet<_> =
        handed_out().iter().map(|entry| of(entry, "path").to_owned()).collect();
    for (path, names) in [
        ("tokio_util::task", &["TaskTracker::spawn_blocking_on"][..]),
        ("tokio_util::task", &["LocalPoolHandle::spawn_pinned"]),
        ("std::process::Command", &["spawn", "status", "output"]),
        ("tokio::process::Command", &["spawn", "status", "output"]),
    ] {
        for name in names {
            let path = format!("{path}::{name}");
            assert!(named(name), "docs/lint.md doesn't name {path}");
            assert!(!listed.contains(&path), "{path} is on the list");
        }
    }
}

macro_rules! existing {
    ($($path:path),* $(,)?) => {
        mod existing {
            #[allow(unused_imports, reason = "that they can be imported is the point")]
            use {$($path as _),*};
        }
        const EXISTING: &[&str] = &[$(stringify!($path)),*];
    };
}

existing![
    throughline::core::Config,
    throughline::core::InContext,
    throughline::kafka::BaseProducer,
    throughline::kafka::FutureProducer,
    throughline::kafka::StreamConsumer,
    throughline::kafka::ThreadedProducer,
    throughline::reqwest,
    throughline::reqwest::ClientMiddleware,
    throughline::set_tracer_provider,
    throughline::task::spawn,
    throughline::task::spawn_blocking,
    throughline::task::spawn_linked,
];

#[test]
fn what_to_use_instead_exists() {
    let list = text(&ours("docs/lint/clippy.toml"));
    let named = list.match_indices("throughline::").map(|(start, _)| {
        let end = list[start..].find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
        list[start..start + end.expect("a quote at the end")].trim_end_matches(':')
    });
    assert_eq!(named.collect::<BTreeSet<_>>(), EXISTING.iter().copied().collect());
}

/// A path with a typo is silent for ever: `allow-invalid` sees to that, since features come and go.
#[test]
fn clippy_sees_every_entry() {
    let folder = folder("lint");
    fs::create_dir(folder.join("src")).expect("a folder");
    for file in ["Cargo.toml", "src/lib.rs"] {
        fs::write(folder.join(file), text(&fixture("lint").join(file))).expect("written");
    }
    fs::write(folder.join("clippy.toml"), text(&ours("docs/lint/clippy.toml"))).expect("written");
    // Cargo takes the versions from there, and leaves out what isn't asked for.
    fs::write(folder.join("Cargo.lock"), text(&ours("Cargo.lock"))).expect("written");

    // Where the workspace was built, so that librdkafka isn't built again.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target");
    let mut lint = check();
    lint.args(["lint", "--write-baseline", "--", "--target-dir"]).arg(target);
    lint.current_dir(&folder);
    let (status, said, error) = run(&mut lint, "");
    assert_eq!(status, 0, "{said}{error}");

    let baseline: Table =
        toml::from_str(&text(&folder.join("throughline-baseline.toml"))).expect("a baseline");
    let seen: BTreeSet<_> = baseline.keys().cloned().collect();
    let listed: BTreeSet<_> =
        handed_out().iter().map(|entry| of(entry, "path").to_owned()).collect();
    let unseen: Vec<_> = listed.difference(&seen).collect();
    assert!(
        unseen.is_empty(),
        "clippy doesn't see {unseen:#?}: a typo, a second name of a listed one, or no call in \
         tests/fixtures/lint"
    );

    // The same by a pipe, where users have clippy run already.
    let mut clippy = Command::new(env!("CARGO"));
    clippy.args(["clippy", "--message-format=json", "--target-dir"]).arg(target);
    clippy.args(["--", "--cap-lints=warn"]).current_dir(&folder).env_remove("CLIPPY_CONF_DIR");
    let (_, messages, _) = run(&mut clippy, "");
    let (status, said, _) = run(check().args(["lint", "--stdin"]).current_dir(&folder), &messages);
    assert_eq!((status, said), (0, format!("{} raw ways out, as before\n", listed.len())));
}
