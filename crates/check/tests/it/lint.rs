//! The ratchet, on messages as cargo prints them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{check, run, workspace};

const END: &str = r#"{"reason":"build-finished","success":true}"#;

fn found(method: &str, file: &str, line: u32) -> String {
    let span = json!({
        "file_name": file, "line_start": line, "column_start": 5, "is_primary": true,
    });
    let message = json!({
        "message": format!("use of a disallowed method `{method}`"),
        "level": "warning",
        "code": { "code": "clippy::disallowed_methods", "explanation": null },
        "spans": [span],
    });
    json!({ "reason": "compiler-message", "message": message }).to_string()
}

fn messages(lines: &[String]) -> String {
    [lines.join("\n").as_str(), END].join("\n")
}

fn three() -> String {
    messages(&[
        found("tokio::spawn", "src/audit.rs", 3),
        found("tokio::spawn", "src/audit.rs", 9),
        // Once for the library, once for its tests.
        found("tokio::spawn", "src/audit.rs", 9),
        found("reqwest::get", "src/http.rs", 4),
    ])
}

fn lint(folder: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    run(check().args(["lint", "--stdin"]).args(args).current_dir(folder), input)
}

fn baseline(folder: &Path) -> String {
    fs::read_to_string(folder.join("throughline-baseline.toml")).expect("a baseline")
}

/// A folder with the baseline of `three`.
fn held(name: &str) -> std::path::PathBuf {
    let folder = workspace(name);
    let (status, text, error) = lint(&folder, &["--write-baseline"], &three());
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(text, "throughline-baseline.toml written: 3 raw ways out\n");
    folder
}

#[test]
fn a_baseline_counts_each_place_once() {
    let text = baseline(&held("written"));
    assert!(
        text.ends_with(
            "\n[\"reqwest::get\"]\n\"src/http.rs\" = 1\n\n[\"tokio::spawn\"]\n\"src/audit.rs\" = 2\n"
        ),
        "{text}"
    );
}

#[test]
fn as_many_are_right_wherever_they_have_moved() {
    let folder = held("equal");
    let (status, text, _) = lint(&folder, &[], &three());
    assert_eq!((status, text.as_str()), (0, "3 raw ways out, as before\n"));

    let moved = three().replace("src/audit.rs", "src/trail.rs");
    let (status, text, _) = lint(&folder, &[], &moved);
    assert_eq!((status, text.as_str()), (0, "3 raw ways out, as before\n"));
}

#[test]
fn one_more_is_wrong_and_its_file_is_named() {
    let folder = held("risen");
    let before = baseline(&folder);
    let more = format!("{}\n{}", found("tokio::spawn", "src/new.rs", 7), three());
    let told =
        "tokio::spawn has risen from 2 to 3:\n  src/new.rs:7:5\nuse what `cargo clippy` says";
    let (status, text, _) = lint(&folder, &[], &more);
    assert!(text.starts_with(told), "{text}");
    assert_eq!(status, 1);

    // Nor can it be written away.
    let (status, text, _) = lint(&folder, &["--write-baseline"], &more);
    assert!(text.contains("a baseline is never raised"), "{text}");
    assert_eq!((status, baseline(&folder)), (1, before));
}

#[test]
fn one_less_asks_for_a_lower_baseline() {
    let folder = held("fallen");
    let less = messages(&[found("tokio::spawn", "src/audit.rs", 3)]);
    let (status, text, _) = lint(&folder, &[], &less);
    assert_eq!(
        text,
        "reqwest::get has fallen from 1 to 0\ntokio::spawn has fallen from 2 to 1\n\
         lower throughline-baseline.toml with --write-baseline\n"
    );
    assert_eq!(status, 0);

    let (status, ..) = lint(&folder, &["--write-baseline"], &less);
    assert_eq!(status, 0);
    assert!(!baseline(&folder).contains("reqwest"));
    let (status, ..) = lint(&folder, &[], &three());
    assert_eq!(status, 1, "it may not rise again");
}

#[test]
fn another_method_does_not_make_up_for_one_more() {
    let folder = held("exchanged");
    let other = three().replace("reqwest::get", "std::thread::spawn");
    let (status, text, _) = lint(&folder, &[], &other);
    assert!(
        text.starts_with("std::thread::spawn has risen from 0 to 1:\n  src/http.rs:4:5\n"),
        "{text}"
    );
    assert_eq!(status, 1);
}

/// `message` again, as it is when the place is in a macro that was called at `calls`, the inner
/// ones first.
fn expanded(message: &str, calls: &[(&str, u32)]) -> String {
    let mut expansion = Value::Null;
    for (file, line) in calls.iter().rev() {
        expansion = json!({ "macro_decl_name": "go!", "def_site_span": null, "span": {
            "file_name": file, "line_start": line, "column_start": 9, "is_primary": false,
            "expansion": expansion } });
    }
    let expansion = format!(r#""is_primary":true,"expansion":{expansion}"#);
    message.replace(r#""is_primary":true"#, &expansion)
}

#[test]
fn a_macro_counts_wherever_it_is_used() {
    let spawn = found("tokio::spawn", "/registry/go/src/lib.rs", 2);
    let second = found("tokio::spawn", "/registry/go/src/lib.rs", 3);
    let folder = workspace("macro");
    let used = [
        expanded(&spawn, &[("src/audit.rs", 20)]),
        expanded(&spawn, &[("src/audit.rs", 20)]),
        expanded(&spawn, &[("src/audit.rs", 30)]),
        expanded(&second, &[("src/audit.rs", 30)]),
        // By two ways through another macro.
        expanded(&spawn, &[("src/more.rs", 1), ("src/orders.rs", 5)]),
        expanded(&spawn, &[("src/more.rs", 2), ("src/orders.rs", 5)]),
    ];
    let (status, text, error) = lint(&folder, &["--write-baseline"], &messages(&used));
    assert_eq!((status, text.as_str()), (0, "throughline-baseline.toml written: 5 raw ways out\n"));
    assert_eq!(error, "");
    let text = baseline(&folder);
    assert!(
        text.ends_with("[\"tokio::spawn\"]\n\"src/audit.rs\" = 3\n\"src/orders.rs\" = 2\n"),
        "{text}"
    );

    let once_more = expanded(&spawn, &[("src/new.rs", 7)]);
    let (status, text, _) = lint(&folder, &[], &messages(&[&used[..], &[once_more]].concat()));
    assert!(
        text.starts_with(
            "tokio::spawn has risen from 5 to 6:\n  src/new.rs:7:9 (a macro that has it at \
             /registry/go/src/lib.rs:2:5)\n"
        ),
        "{text}"
    );
    assert_eq!(status, 1);
}

#[test]
fn a_macro_may_go_deep() {
    let calls: Vec<_> = (0..127).map(|_| ("src/audit.rs", 3)).collect();
    let deep = expanded(&found("tokio::spawn", "src/go.rs", 3), &calls);
    let (status, text, error) = lint(&workspace("deep"), &["--write-baseline"], &messages(&[deep]));
    assert_eq!((status, text.as_str()), (0, "throughline-baseline.toml written: 1 raw way out\n"));
    assert_eq!(error, "");
}

#[test]
fn every_run_has_to_succeed() {
    let folder = held("runs");
    let (good, bad) = (three(), END.replace("true", "false"));
    for input in [[&*good, &*bad], [&bad, &good]] {
        let (status, text, error) = lint(&folder, &[], &input.join("\n"));
        assert!(error.contains("so a count would be too low"), "{text}{error}");
        assert_eq!(status, 2);
    }
    let torn = [&good, good.trim_end_matches(END)].concat();
    let torn = torn.replace("}{", "}\n{");
    let (status, text, error) = lint(&folder, &[], &torn);
    assert!(error.contains("the messages stop before the end of the build"), "{text}{error}");
    assert_eq!(status, 2);

    let (status, text, _) = lint(&folder, &[], &[&*good, &*good].join("\n"));
    assert_eq!((status, text.as_str()), (0, "3 raw ways out, as before\n"));
}

#[test]
fn the_baseline_is_the_one_of_the_workspace() {
    let root = held("around");
    let below = root.join("crates/orders");
    fs::create_dir_all(&below).expect("a folder");
    let (status, text, _) = lint(&below, &[], &three());
    assert_eq!((status, text.as_str()), (0, "3 raw ways out, as before\n"));

    // The first one is put there, too.
    fs::remove_file(root.join("throughline-baseline.toml")).expect("removed");
    let (status, ..) = lint(&below, &["--write-baseline"], &three());
    assert_eq!((status, below.join("throughline-baseline.toml").exists()), (0, false));
    assert!(baseline(&root).contains("tokio::spawn"));

    // Above it is somebody else's.
    let inner = root.join("fuzz");
    fs::create_dir(&inner).expect("a folder");
    fs::write(inner.join("Cargo.toml"), "[workspace]\n").expect("written");
    let (status, ..) = lint(&inner, &[], &three());
    assert_eq!(status, 1);

    // Without cargo, or a manifest that it reads, the lock file tells.
    let root = held("lock-only");
    fs::remove_file(root.join("Cargo.toml")).expect("removed");
    fs::write(root.join("Cargo.lock"), "version = 4\n").expect("written");
    let below = root.join("src");
    fs::create_dir(&below).expect("a folder");
    let mut check = check();
    check.args(["lint", "--stdin"]).current_dir(&below).env("CARGO", root.join("no-cargo"));
    let (status, text, _) = run(&mut check, &three());
    assert_eq!((status, text.as_str()), (0, "3 raw ways out, as before\n"));
}

#[test]
fn without_a_baseline_there_may_be_none() {
    let folder = workspace("none");
    let (status, text, _) = lint(&folder, &[], END);
    assert_eq!((status, text.as_str()), (0, "no raw way out, as before\n"));
    let (status, text, _) = lint(&folder, &[], &three());
    assert!(text.ends_with("can be counted and held: --write-baseline\n"), "{text}");
    assert_eq!(status, 1);
    // A name that somebody gave is one that has to be there.
    let (status, _, error) = lint(&folder, &["--baseline", "lint.toml"], END);
    assert!(error.contains("no baseline lint.toml: write it with --write-baseline"), "{error}");
    assert_eq!(status, 2);
}

#[test]
fn what_cannot_be_counted_is_told_with_a_way_on() {
    let folder = held("bad");
    let failed = three().replace("true}", "false}");
    let error = json!({ "reason": "compiler-message", "message": {
        "message": "mismatched types", "level": "error", "code": null, "spans": [] } });
    for (input, why) in [
        ("", "the messages stop before the end of the build"),
        (&three()[..400], "is no message of cargo's: "),
        ("{}", "is no message of cargo's: "),
        (&format!("{error}\n{failed}"), "so a count would be too low: mismatched types; mend"),
    ] {
        let (status, _, error) = lint(&folder, &[], input);
        assert!(error.contains(why), "{input:?}: {error}");
        assert_eq!(status, 2);
    }

    fs::write(folder.join("throughline-baseline.toml"), "tokio = 3\n").expect("written");
    let (status, _, error) = lint(&folder, &[], &three());
    assert!(error.contains("is not a baseline: ") && error.contains("--write-baseline"), "{error}");
    assert_eq!(status, 2);
}
