//! What clippy says, and the places it says it of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;

use super::workspace::cargo;
use crate::{Error, Result};

/// The lints that read a list of names.
const LINTS: [&str; 2] = ["clippy::disallowed_methods", "clippy::disallowed_types"];

/// Methods, files, and how often.
pub(super) type Counts = BTreeMap<String, BTreeMap<String, usize>>;

#[derive(Default)]
pub(super) struct Places {
    /// A file that is built for several targets is reported for each.
    found: BTreeSet<Place>,
    /// The folders of the packages that clippy has been through, dependencies by path among them.
    pub(super) checked: BTreeSet<PathBuf>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    method: String,
    /// Where somebody wrote it, or the macro that has it.
    at: Point,
    /// The way through the macros. One that is used three times is three ways out, and one with two
    /// ways out in it is two.
    within: Vec<Point>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    file: String,
    line: usize,
    column: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Places {
    pub(super) fn find(cargo_args: &[String], clippy_args: &[String], lists: u64) -> Result<Self> {
        let mut clippy = cargo();
        clippy.args(["clippy", "--message-format=json"]);
        if cargo_args.is_empty() {
            clippy.args(["--workspace", "--all-targets"]);
        }
        // Where the list is denied, the first crate that breaks it would be the last one counted.
        // Of several such options rustc takes the first.
        clippy.args(cargo_args).args(["--", "--cap-lints=warn"]);
        // Cargo repeats what clippy said before, and doesn't see that there is a clippy.toml now
        // where there was none, or an older one. It does see other arguments of clippy's.
        clippy.arg(format!("--cfg=throughline_check_lists=\"{lists:016x}\"")).args(clippy_args);
        let mut clippy =
            clippy.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(Error::Cargo)?;
        let found = clippy.stdout.take().map(|output| Places::read(BufReader::new(output)));
        clippy.wait().map_err(Error::Cargo)?;
        found.unwrap_or(Err(Error::Unfinished))
    }

    pub(super) fn read(messages: impl BufRead) -> Result<Self> {
        let (mut places, mut first_error) = (Places::default(), None);
        // There may be several runs in a row, and each has to come to its end.
        let (mut is_finished, mut is_good) = (false, true);
        for (number, line) in messages.lines().enumerate() {
            let line = line.map_err(Error::Messages)?;
            // What isn't an object was printed by something else that cargo ran.
            if !line.starts_with('{') {
                continue;
            }
            let message = Message::read(&line)
                .map_err(|cause| Error::NotAMessage { line: number + 1, cause })?;
            is_finished = message.reason == "build-finished";
            is_good &= !is_finished || message.success == Some(true);
            places.checked.extend(message.checked());
            let Some(diagnostic) = message.message else { continue };
            if diagnostic.level == "error" && first_error.is_none() {
                first_error = Some(diagnostic.message.clone());
            }
            places.found.extend(diagnostic.place());
        }
        if !is_good {
            Err(Error::Failed(first_error.unwrap_or_else(|| "it failed".to_owned())))
        } else if !is_finished {
            Err(Error::Unfinished)
        } else {
            Ok(places)
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for Place { method, at, .. } in &self.found {
            let files = counts.entry(method.clone()).or_default();
            *files.entry(at.file.clone()).or_default() += 1;
        }
        counts
    }

    /// The files that have more of `method` than `allowed`, each place in a line.
    pub(super) fn of_more(&self, method: &str, allowed: &Counts) -> String {
        let mut text = String::new();
        for (file, is) in self.counts().remove(method).unwrap_or_default() {
            let was = allowed.get(method).and_then(|files| files.get(&file)).copied().unwrap_or(0);
            if is <= was {
                continue;
            }
            let here =
                self.found.iter().filter(|place| place.method == method && place.at.file == file);
            for place in here {
                let _ok = match place.within.first() {
                    Some(within) => {
                        writeln!(text, "  {} (a macro that has it at {within})", place.at)
                    }
                    None => writeln!(text, "  {}", place.at),
                };
            }
            if was > 0 {
                let _ok = writeln!(text, "  ({was} of these {is} were there before)");
            }
        }
        text
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    message: Option<Diagnostic>,
    success: Option<bool>,
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    level: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    column_start: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Deserialize)]
struct Expansion {
    /// Where the macro was called, maybe in another macro.
    span: Span,
}

impl Message {
    fn read(line: &str) -> serde_json::Result<Self> {
        let mut json = serde_json::Deserializer::from_str(line);
        // A macro that calls itself for each of its tokens nests deeper than serde_json's 128;
        // rustc has a limit of its own.
        json.disable_recursion_limit();
        let message = Message::deserialize(&mut json)?;
        json.end().map(|()| message)
    }

    fn checked(&self) -> Option<PathBuf> {
        let is_ours = self.package_id.as_ref().is_some_and(|id| id.contains("path+file:"));
        let manifest = self.manifest_path.as_ref()?;
        let is_built = self.reason == "compiler-artifact" && is_ours;
        manifest.parent().filter(|_| is_built).map(ToOwned::to_owned)
    }
}

impl Diagnostic {
    fn place(self) -> Option<Place> {
        let code = self.code?.code;
        if !LINTS.contains(&code.as_str()) {
            return None;
        }
        // use of a disallowed method `tokio::spawn`
        let method = self.message.split('`').nth(1).unwrap_or(&self.message).to_owned();
        let mut within = Vec::new();
        let mut next = self.spans.into_iter().find(|span| span.is_primary);
        while let Some(span) = next {
            within.push(Point {
                // A baseline that was written on Windows holds elsewhere.
                file: span.file_name.replace('\\', "/"),
                line: span.line_start,
                column: span.column_start,
            });
            next = span.expansion.map(|expansion| expansion.span);
        }
        let at = within.pop()?;
        Some(Place { method, at, within })
    }
}
