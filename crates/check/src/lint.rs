//! The ratchet: what clippy's list finds may become less, and never more.

mod list;
mod messages;
mod workspace;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use self::list::Lists;
use self::messages::{Counts, Places};
use self::workspace::Workspace;
use crate::{Error, Found, LintArgs, Result};

const HEADER: &str = "# What clippy's list of raw ways out still finds, method by method and file by file.\n\
                      # `throughline-check lint` holds it: a number may fall, not rise.\n";

pub(crate) fn check(args: &LintArgs) -> Result<Found> {
    let (cargo_args, clippy_args) = split(&args.cargo_args);
    let workspace = match Workspace::of(cargo_args) {
        // Messages can be read where there is no cargo.
        Err(_) if args.stdin => Workspace::around_here()?,
        workspace => workspace?,
    };
    let path = match &args.baseline {
        Some(path) => path.clone(),
        None => workspace.baseline()?,
    };
    let before = read(&path)?;
    if before.is_none() && args.baseline.is_some() && !args.write_baseline {
        return Err(Error::NoBaseline { path });
    }
    let lists = Lists::read(&workspace)?;
    let places = if args.stdin {
        Places::read(io::stdin().lock())?
    } else {
        lists.are_some()?;
        Places::find(cargo_args, clippy_args, lists.fingerprint())?
    };
    lists.cover(&places.checked)?;
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

/// What is meant for cargo, and behind a `--` of its own what is meant for clippy.
fn split(args: &[String]) -> (&[String], &[String]) {
    match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
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
