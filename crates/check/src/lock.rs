//! A second OpenTelemetry in a lock file.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::{Error, Found, Result};

/// What may be there once only, and what breaks where it isn't.
const FAMILY: [(&str, &str); 6] = [
    (
        "opentelemetry",
        "two sets of globals and two `Context` types: what one part starts the other doesn't see, \
         and traces fall apart without an error",
    ),
    (
        "opentelemetry_sdk",
        "a provider of one means nothing to the other: its spans are exported by nobody",
    ),
    (
        "opentelemetry-http",
        "what one injects belongs to another `Context` than what the other extracts",
    ),
    ("opentelemetry-otlp", "two exporters: what is set for one doesn't reach the other"),
    (
        "tracing-opentelemetry",
        "two layers: a tracing span that one has exported has no context for the other",
    ),
    ("throughline-core", "two cores: `boundary()` of one doesn't find the span of the other"),
];

/// What is often there twice, and sometimes a reason.
const NOTED: [(&str, &str); 1] = [(
    "http",
    "two `HeaderMap` types: a boundary reads and writes one of them, and a client or server on the \
     other passes it by; harmless where no traced request meets the older one",
)];

/// Who tells which version is the one to keep.
const OURS: &str = "throughline-core";

/// Below a version, no more paths than these are printed.
const PATHS: usize = 5;

pub(crate) fn check(paths: &[PathBuf], json: bool) -> Result<Found> {
    let paths = if paths.is_empty() { vec![around_here()?] } else { paths.to_vec() };
    let files = paths.iter().map(|path| judge(path)).collect::<Result<Vec<_>>>()?;
    let is_right = files.iter().all(|file| file.ok);
    let text = if json {
        let all = Report { ok: is_right, files };
        serde_json::to_string_pretty(&all).map_err(Error::Json)?
    } else {
        files.iter().map(Verdict::text).collect()
    };
    Ok(Found { text, is_right })
}

fn around_here() -> Result<PathBuf> {
    let from = env::current_dir().map_err(|cause| Error::Read { path: ".".into(), cause })?;
    let found = folder_around(&from).map(|folder| folder.join("Cargo.lock"));
    // Told as short as it can be: it is usually right here.
    let found = found.map(|path| path.strip_prefix(&from).map(Path::to_owned).unwrap_or(path));
    found.ok_or(Error::NoLock { from })
}

/// The nearest folder from `from` upwards that has a lock file.
pub(crate) fn folder_around(from: &Path) -> Option<&Path> {
    from.ancestors().find(|folder| folder.join("Cargo.lock").is_file())
}

fn judge(path: &Path) -> Result<Verdict> {
    let path = if path.is_dir() { path.join("Cargo.lock") } else { path.to_owned() };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) => return Err(Error::Read { path, cause }),
    };
    let packages = match toml::from_str::<LockFile>(&text) {
        Ok(lock) => lock.package.into_iter().chain(lock.root).collect::<Vec<_>>(),
        Err(error) => return Err(Error::NotALock { path, why: error.message().to_owned() }),
    };
    if packages.is_empty() {
        return Err(Error::NotALock { path, why: "it lists no packages".to_owned() });
    }
    let graph = Graph::new(&packages);
    let splits: Vec<_> = FAMILY.iter().filter_map(|rule| graph.split(*rule)).collect();
    let notes = NOTED.iter().filter_map(|rule| graph.split(*rule)).collect();
    let only = packages.iter().find(|package| package.name == "opentelemetry");
    Ok(Verdict {
        path: path.display().to_string(),
        ok: splits.is_empty(),
        opentelemetry: only.filter(|_| splits.is_empty()).map(|package| package.version.clone()),
        splits,
        notes,
    })
}

// ------------------------------------------------------------------- what is read

#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<Package>,
    /// In the first format, the package of the folder itself.
    root: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Version,
    /// None for a member of the workspace, and for any other folder.
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Package {
    /// Whether an entry of `dependencies` means this one: `name`, `name version` or
    /// `name version (source)`, as much as it takes.
    fn is_meant_by(&self, dependency: &str) -> bool {
        let mut parts = dependency.splitn(3, ' ');
        let plain = |source: &str| source.split('#').next().map(str::to_owned);
        parts.next() == Some(self.name.as_str())
            && parts.next().is_none_or(|version| version == self.version.to_string())
            && parts.next().is_none_or(|source| {
                let source = source.trim_start_matches('(').trim_end_matches(')');
                self.source.as_deref().and_then(plain) == plain(source)
            })
    }

    fn told(&self) -> String {
        // Members are known by their names.
        if self.source.is_none() {
            self.name.clone()
        } else {
            format!("{} {}", self.name, self.version)
        }
    }
}

struct Graph<'a> {
    packages: &'a [Package],
    dependents: Vec<Vec<usize>>,
    /// The next one on the shortest way to a member of the workspace.
    towards_member: Vec<Option<usize>>,
}

impl<'a> Graph<'a> {
    fn new(packages: &'a [Package]) -> Self {
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, package) in packages.iter().enumerate() {
            named.entry(&package.name).or_default().push(index);
        }
        let resolve = |dependency: &str| {
            let name = dependency.split(' ').next().unwrap_or_default();
            let candidates = named.get(name).into_iter().flatten().copied();
            candidates.filter(|index| packages[*index].is_meant_by(dependency)).collect::<Vec<_>>()
        };

        let mut dependents = vec![Vec::new(); packages.len()];
        let mut dependencies = vec![Vec::new(); packages.len()];
        for (index, package) in packages.iter().enumerate() {
            for dependency in package.dependencies.iter().flat_map(|entry| resolve(entry)) {
                dependents[dependency].push(index);
                dependencies[index].push(dependency);
            }
        }

        let mut towards_member = vec![None; packages.len()];
        let mut reached: Vec<_> = packages.iter().map(|package| package.source.is_none()).collect();
        let mut queue: VecDeque<_> = (0..packages.len()).filter(|index| reached[*index]).collect();
        while let Some(index) = queue.pop_front() {
            for &dependency in &dependencies[index] {
                if !reached[dependency] {
                    reached[dependency] = true;
                    towards_member[dependency] = Some(index);
                    queue.push_back(dependency);
                }
            }
        }
        Graph { packages, dependents, towards_member }
    }

    fn split(&self, (name, breaks): (&'static str, &'static str)) -> Option<Split> {
        let versions: Vec<_> =
            (0..self.packages.len()).filter(|index| self.packages[*index].name == name).collect();
        if versions.len() < 2 {
            return None;
        }
        let ours = versions.iter().copied().find(|&version| self.is_ours(version));
        let newest =
            versions.iter().copied().max_by_key(|version| &self.packages[*version].version);
        let keep = ours.or(newest)?;

        let told = |&index: &usize| {
            let package = &self.packages[index];
            let mut brought_by: Vec<_> =
                self.dependents[index].iter().map(|by| self.path(*by, index)).collect();
            brought_by.sort_by_key(Vec::len);
            Told {
                version: package.version.clone(),
                source: package.source.clone(),
                keep: index == keep,
                brought_by,
            }
        };
        Some(Split {
            name,
            versions: versions.iter().map(told).collect(),
            breaks,
            advice: self.advice(name, &versions, keep),
        })
    }

    fn is_ours(&self, version: usize) -> bool {
        let mut dependents = self.dependents[version].iter();
        dependents.any(|by| self.packages[*by].name == OURS)
    }

    /// From the nearest member of the workspace to `by` and `version`.
    fn path(&self, by: usize, version: usize) -> Vec<String> {
        let mut path = vec![self.packages[version].told(), self.packages[by].told()];
        let mut next = by;
        while let Some(index) = self.towards_member[next] {
            path.push(self.packages[index].told());
            next = index;
        }
        path.reverse();
        path
    }

    fn advice(&self, name: &str, versions: &[usize], keep: usize) -> Vec<String> {
        let kept = &self.packages[keep].version;
        let has_its_own = |by: &Package| {
            let same = self.packages.iter().filter(|package| package.name == by.name).count();
            same > 1 && FAMILY.iter().any(|(name, _)| *name == by.name)
        };
        let mut advice = BTreeMap::new();
        for &version in versions.iter().filter(|version| **version != keep) {
            let dependents = self.dependents[version].iter().map(|by| &self.packages[*by]);
            for by in dependents.filter(|by| !has_its_own(by)) {
                let whom = by.told();
                let text = if by.source.is_none() {
                    format!("in the Cargo.toml of {whom} ask for {name} {kept}")
                } else {
                    format!(
                        "raise {whom} to a release that stands on {name} {kept}, replace it, or \
                         turn off the feature that brings it"
                    )
                };
                advice.insert(whom, text);
            }
        }
        advice.into_values().collect()
    }
}

// -------------------------------------------------------------------- what is told

#[derive(Serialize)]
struct Report {
    ok: bool,
    files: Vec<Verdict>,
}

#[derive(Serialize)]
struct Verdict {
    path: String,
    ok: bool,
    /// The one that is there.
    opentelemetry: Option<Version>,
    splits: Vec<Split>,
    notes: Vec<Split>,
}

#[derive(Serialize)]
struct Split {
    #[serde(rename = "crate")]
    name: &'static str,
    versions: Vec<Told>,
    breaks: &'static str,
    advice: Vec<String>,
}

#[derive(Serialize)]
struct Told {
    version: Version,
    source: Option<String>,
    /// Whether the others are to follow this one.
    keep: bool,
    /// Paths from the nearest members of the workspace.
    brought_by: Vec<Vec<String>>,
}

impl Verdict {
    fn text(&self) -> String {
        let mut text = String::new();
        if self.ok {
            let found = match &self.opentelemetry {
                Some(version) => format!("one opentelemetry, {version}"),
                None => "no opentelemetry".to_owned(),
            };
            text += &format!("{}: {found}\n", self.path);
        }
        for split in &self.splits {
            text += &format!("{}: {}\n", self.path, split.text());
        }
        for note in &self.notes {
            text += &format!("{}: note: {}\n", self.path, note.heading());
            text += &format!("  {}\n", note.breaks);
        }
        text
    }
}

impl Split {
    fn heading(&self) -> String {
        let versions: Vec<_> = self.versions.iter().map(|told| told.version.to_string()).collect();
        format!("{} versions of {}: {}", versions.len(), self.name, versions.join(", "))
    }

    fn text(&self) -> String {
        let mut text = self.heading();
        for told in &self.versions {
            let keep = if told.keep { " (to keep)" } else { "" };
            // Writing to a String can't fail.
            let _ok = write!(text, "\n  {}{keep} is brought by", told.version);
            for path in told.brought_by.iter().take(PATHS) {
                let _ok = write!(text, "\n    {}", path.join(" → "));
            }
            if let Some(more @ 1..) = told.brought_by.len().checked_sub(PATHS) {
                let _ok = write!(text, "\n    and {more} more (--json shows all)");
            }
        }
        let _ok = write!(text, "\n  breaks: {}", self.breaks);
        for advice in &self.advice {
            let _ok = write!(text, "\n  do: {advice}");
        }
        text + "\n"
    }
}
