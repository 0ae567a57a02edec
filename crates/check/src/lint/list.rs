//! The list of raw ways out that clippy reads: without one it finds none, and says so of none.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::workspace::Workspace;
use crate::{Error, Result};

const CONF_DIR: &str = "CLIPPY_CONF_DIR";
/// Of two in one folder clippy reads the first.
const NAMES: [&str; 2] = [".clippy.toml", "clippy.toml"];

/// What clippy reads for each member of the workspace.
pub(super) struct Lists(BTreeMap<PathBuf, List>);

struct List {
    /// Where clippy begins to look, from there upwards.
    from: PathBuf,
    file: Option<PathBuf>,
    text: String,
    /// None where it doesn't say.
    entries: Option<usize>,
}

impl Lists {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let conf_dir = conf_dir(&workspace.root);
        let list = |member: &PathBuf| {
            Ok((member.clone(), List::read(conf_dir.as_ref().unwrap_or(member))?))
        };
        workspace.members.iter().map(list).collect::<Result<_>>().map(Lists)
    }

    /// Fails where clippy can't find anything in any member.
    pub(super) fn are_some(&self) -> Result<()> {
        some(self.0.values())
    }

    /// Fails where the packages that were `checked` can't have been counted.
    pub(super) fn cover(&self, checked: &BTreeSet<PathBuf>) -> Result<()> {
        let read = self.0.iter().filter(|(member, _)| checked.contains(*member));
        some(read.clone().map(|(_, list)| list))?;
        match read.clone().find(|(_, list)| list.entries.is_none()) {
            Some((member, list)) => {
                Err(Error::NotListed { member: member.clone(), why: list.missing() })
            }
            None => Ok(()),
        }
    }

    /// Another one for other lists.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (member, list) in &self.0 {
            (member, &list.text).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// Fails unless one of `lists` has an entry, or there are none to judge.
fn some<'a>(mut lists: impl Iterator<Item = &'a List> + Clone) -> Result<()> {
    match lists.clone().next() {
        Some(first) if !lists.any(|list| list.entries > Some(0)) => {
            Err(Error::NoList { why: first.missing() })
        }
        _ => Ok(()),
    }
}

impl List {
    /// The same file as clippy's `lookup_conf_file`.
    fn read(from: &Path) -> Result<Self> {
        // A link leads to the folders above what it points to.
        let from =
            from.canonicalize().map_err(|cause| Error::ConfDir { path: from.to_owned(), cause })?;
        let mut paths = from.ancestors().flat_map(|folder| NAMES.map(|name| folder.join(name)));
        let Some(path) = paths.find(|path| path.is_file()) else {
            return Ok(List { from, file: None, text: String::new(), entries: None });
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) => return Err(Error::Read { path, cause }),
        };
        match toml::from_str::<Conf>(&text) {
            Ok(conf) => {
                let entries = conf.disallowed_methods.map(|entries| entries.len());
                Ok(List { from, file: Some(path), text, entries })
            }
            Err(error) => Err(Error::NotAConf { path, why: error.message().to_owned() }),
        }
    }

    fn missing(&self) -> String {
        match (&self.file, self.entries) {
            (None, _) => format!("there is no clippy.toml in {} or above it", self.from.display()),
            (Some(path), None) => format!("{} has no `disallowed-methods`", path.display()),
            (Some(path), _) => format!("`disallowed-methods` in {} is empty", path.display()),
        }
    }
}

#[derive(Deserialize)]
struct Conf {
    #[serde(rename = "disallowed-methods")]
    disallowed_methods: Option<Vec<IgnoredAny>>,
}

// ------------------------------------------------------------------ where it lies

/// The folder that `CLIPPY_CONF_DIR` names for clippy, which cargo runs in the root.
fn conf_dir(root: &Path) -> Option<PathBuf> {
    let here = env::var_os(CONF_DIR).map(|folder| root.join(folder));
    match configured() {
        Some((folder, is_forced)) if is_forced || here.is_none() => Some(root.join(folder)),
        _ => here,
    }
}

/// What `[env]` in cargo's own configuration says, and whether it beats the environment.
fn configured() -> Option<(PathBuf, bool)> {
    let from = env::current_dir().ok()?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut folders = from.ancestors().map(|folder| folder.join(".cargo")).chain(home);
    folders.find_map(|folder| {
        let text = ["config", "config.toml"]
            .iter()
            .find_map(|name| fs::read_to_string(folder.join(name)).ok())?;
        // What cargo doesn't understand it reports itself.
        let mut config: CargoConfig = toml::from_str(&text).ok()?;
        match config.env.remove(CONF_DIR)?.try_into().ok()? {
            Variable::Value(value) => Some((value, false)),
            Variable::Table { value, relative: true, force } => {
                Some((folder.parent()?.join(value), force))
            }
            Variable::Table { value, force, .. } => Some((value, force)),
        }
    })
}

#[derive(Deserialize)]
struct CargoConfig {
    #[serde(default)]
    env: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Variable {
    Value(PathBuf),
    Table {
        value: PathBuf,
        #[serde(default)]
        relative: bool,
        #[serde(default)]
        force: bool,
    },
}
