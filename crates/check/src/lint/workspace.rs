//! The workspace around here, as cargo tells it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::{Error, Result, lock};

const BASELINE: &str = "throughline-baseline.toml";

pub(super) struct Workspace {
    pub(super) root: PathBuf,
    /// The folders of the packages that clippy judges.
    pub(super) members: Vec<PathBuf>,
}

impl Workspace {
    /// The one that cargo works on with these arguments.
    pub(super) fn of(cargo_args: &[String]) -> Result<Self> {
        let mut metadata = cargo();
        metadata.args(["metadata", "--no-deps", "--format-version=1"]);
        if let Some(path) = manifest_path(cargo_args) {
            metadata.arg("--manifest-path").arg(path);
        }
        let output = metadata.output().map_err(Error::Cargo)?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::NoWorkspace { why });
        }
        let told: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::NoWorkspace { why: error.to_string() })?;
        let folder = |package: &Package| package.manifest_path.parent().map(Path::to_owned);
        Ok(Workspace {
            root: told.workspace_root,
            members: told.packages.iter().filter_map(folder).collect(),
        })
    }

    /// Where cargo can't be asked: nothing is known of the members.
    pub(super) fn around_here() -> Result<Self> {
        let from = here()?;
        let root = lock::folder_around(&from).unwrap_or(&from).to_owned();
        Ok(Workspace { root, members: Vec::new() })
    }

    /// The nearest one, up to the root; where there is none, it belongs to the root.
    pub(super) fn baseline(&self) -> Result<PathBuf> {
        let from = here()?;
        let folders = from.ancestors().take_while(|folder| folder.starts_with(&self.root));
        let found = folders.map(|folder| folder.join(BASELINE)).find(|path| path.is_file());
        // A manifest may be given from afar.
        let home = if from.starts_with(&self.root) { &self.root } else { &from };
        let path = found.unwrap_or_else(|| home.join(BASELINE));
        // Told as short as it can be: it is usually right here.
        Ok(path.strip_prefix(&from).map(Path::to_owned).unwrap_or(path))
    }
}

/// The one that runs us, where we are run by one.
pub(super) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

fn here() -> Result<PathBuf> {
    env::current_dir().map_err(|cause| Error::Read { path: ".".into(), cause })
}

fn manifest_path(cargo_args: &[String]) -> Option<&str> {
    let mut args = cargo_args.iter();
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--manifest-path") {
            Some("") => return args.next().map(String::as_str),
            Some(path) => return path.strip_prefix('='),
            None => {}
        }
    }
    None
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
}
