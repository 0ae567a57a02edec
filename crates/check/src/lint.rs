//! The ratchet: what clippy's list finds may become less, and never more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;

use crate::{Error, Found, LintArgs, Result};

/// The lints that read a list of names.
const LINTS: [&str; 2] = ["clippy::disallowed_methods", "clippy::disallowed_types"];
const BASELINE: &str = "throughline-baseline.toml";
const HEADER: &str = "# What clippy's list of raw ways out still finds, method by method and file by file.\n\
                      # `throughline-check lint` holds it: a number may fall, not rise.\n";

/// Methods, files, and how often.
type Counts = BTreeMap<String, BTreeMap<String, usize>>;

pub(crate) fn check(args: &LintArgs) -> Result<Found> {
    let path = args.baseline.clone().unwrap_or_else(|| PathBuf::from(BASELINE));
    let before = read(&path)?;
    if before.is_none() && args.baseline.is_some() && !args.write_baseline {
        return Err(Error::NoBaseline { path });
    }
    let places = if args.stdin {
        Places::read(io::stdin().lock())?
    } else {
        Places::find(&args.cargo_args)?
    };
    let now = places.counts();
    let allowed = before.clone().unwrap_or_default();
    let risen: Vec<_> =
        now.keys().filter(|method| of(&now, method) > of(&allowed, method)).collect();
    let fallen: Vec<_> =
        allowed.keys().filter(|method| of(&now, method) < of(&allowed, method)).collect();

    let mut text = String::new();
    // The first baseline may say anything.
    let is_first = args.write_baseline && before.is_none();
    if !risen.is_empty() && !is_first {
        for method in &risen {
            let (was, is) = (of(&allowed, method), of(&now, method));
            let _ok = writeln!(text, "{method} has risen from {was} to {is}:");
            text += &places.of_more(method, &allowed);
        }
        text += "use what `cargo clippy` says beside each of them, or say on the smallest item why \
                 not:\n  #[expect(clippy::disallowed_methods, reason = \"…\")]\n";
        if before.is_none() {
            text += "what is there already can be counted and held: --write-baseline\n";
        } else if args.write_baseline {
            let _ok = writeln!(
                text,
                "{} stays as it is: a baseline is never raised; who means it deletes it first",
                path.display()
            );
        }
        return Ok(Found { text, is_right: false });
    }
    if args.write_baseline {
        let body = toml::to_string(&now).map_err(Error::Toml)?;
        let written = fs::write(&path, format!("{HEADER}\n{body}"));
        written.map_err(|cause| Error::Write { path: path.clone(), cause })?;
        let _ok = writeln!(text, "{} written: {}", path.display(), told(sum(&now)));
    } else {
        for method in &fallen {
            let (was, is) = (of(&allowed, method), of(&now, method));
            let _ok = writeln!(text, "{method} has fallen from {was} to {is}");
        }
        if fallen.is_empty() {
            let _ok = writeln!(text, "{}, as before", told(sum(&now)));
        } else {
            let _ok = writeln!(text, "lower {} with --write-baseline", path.display());
        }
    }
    Ok(Found { text, is_right: true })
}

fn of(counts: &Counts, method: &str) -> usize {
    counts.get(method).map_or(0, |files| files.values().sum())
}

fn sum(counts: &Counts) -> usize {
    counts.values().flat_map(BTreeMap::values).sum()
}

fn told(count: usize) -> String {
    match count {
        0 => "no raw way out".to_owned(),
        1 => "1 raw way out".to_owned(),
        count => format!("{count} raw ways out"),
    }
}

fn read(path: &Path) -> Result<Option<Counts>> {
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| Error::NotABaseline {
            path: path.to_owned(),
            why: error.message().to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::Read { path: path.to_owned(), cause }),
    }
}

// ------------------------------------------------------------- what clippy says

/// Method, file, line, column. A file that is built for several targets is reported for each.
struct Places(BTreeSet<(String, String, usize, usize)>);

impl Places {
    fn find(cargo_args: &[String]) -> Result<Self> {
        let mut clippy = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        clippy.args(["clippy", "--message-format=json"]);
        if cargo_args.is_empty() {
            clippy.args(["--workspace", "--all-targets"]);
        }
        // Where the list is denied, the first crate that breaks it would be the last one counted.
        clippy.args(cargo_args).args(["--", "--cap-lints=warn"]);
        let mut clippy =
            clippy.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(Error::Cargo)?;
        let found = clippy.stdout.take().map(|output| Places::read(BufReader::new(output)));
        clippy.wait().map_err(Error::Cargo)?;
        found.unwrap_or(Err(Error::Unfinished))
    }

    fn read(messages: impl BufRead) -> Result<Self> {
        let (mut places, mut finished, mut first_error) = (BTreeSet::new(), None, None);
        for (number, line) in messages.lines().enumerate() {
            let line = line.map_err(Error::Messages)?;
            // What isn't an object was printed by something else that cargo ran.
            if !line.starts_with('{') {
                continue;
            }
            let message: Message = serde_json::from_str(&line)
                .map_err(|cause| Error::NotAMessage { line: number + 1, cause })?;
            if let Some(success) = message.success.filter(|_| message.reason == "build-finished") {
                finished = Some(success);
            }
            let Some(diagnostic) = message.message else { continue };
            if diagnostic.level == "error" && first_error.is_none() {
                first_error = Some(diagnostic.message.clone());
            }
            places.extend(diagnostic.place());
        }
        match finished {
            None => Err(Error::Unfinished),
            Some(false) => {
                Err(Error::Failed(first_error.unwrap_or_else(|| "it failed".to_owned())))
            }
            Some(true) => Ok(Places(places)),
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for (method, file, ..) in &self.0 {
            *counts.entry(method.clone()).or_default().entry(file.clone()).or_default() += 1;
        }
        counts
    }

    /// The files that have more of `method` than `allowed`, each place in a line.
    fn of_more(&self, method: &str, allowed: &Counts) -> String {
        let mut text = String::new();
        for (file, is) in self.counts().remove(method).unwrap_or_default() {
            let was = allowed.get(method).and_then(|files| files.get(&file)).copied().unwrap_or(0);
            if is <= was {
                continue;
            }
            let here = self.0.iter().filter(|place| place.0 == method && place.1 == file);
            for (_, _, line, column) in here {
                let _ok = writeln!(text, "  {file}:{line}:{column}");
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
}

impl Diagnostic {
    fn place(self) -> Option<(String, String, usize, usize)> {
        let code = self.code?.code;
        if !LINTS.contains(&code.as_str()) {
            return None;
        }
        // use of a disallowed method `tokio::spawn`
        let method = self.message.split('`').nth(1).unwrap_or(&self.message).to_owned();
        let span = self.spans.into_iter().find(|span| span.is_primary)?;
        // A baseline that was written on Windows holds elsewhere.
        let file = span.file_name.replace('\\', "/");
        Some((method, file, span.line_start, span.column_start))
    }
}
